"""The service as a NATS micro service: programs in any language find it, and what it does, by `$SRV.PING|INFO|STATS`.

The words are those of nats.micro; its `Service` is not used, because it carries out one request of an endpoint at a
time, and here some wait for minutes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.micro.service import (
    EndpointInfo,
    EndpointStats,
    ServiceInfo,
    ServicePing,
    ServiceStats,
    ServiceVerb,
    control_subject,
)

from ..link import Link
from ..nats.names import is_answerable

#: of what is asked and replied, not of this package
API_VERSION = "1.0.0"
_DESCRIPTION = "Submits, finds, cancels and retries jobs: JSON requests and replies, see docs/commands.md"


class Endpoint:
    """One operation as it is found, and what is counted of it."""

    def __init__(self, name: str, subject: str, queue: str) -> None:
        self.name = name
        self.subject = subject
        self.queue = queue
        self._requests = self._errors = self._nanoseconds = 0
        self._last_error = ""

    def took(self, nanoseconds: int) -> None:
        """Count a request that was carried out, or could not be."""
        self._requests += 1
        self._nanoseconds += nanoseconds

    def failed(self, code: str) -> None:
        """Count an error."""
        self._errors += 1
        self._last_error = code

    @property
    def info(self) -> EndpointInfo:
        return EndpointInfo(self.name, self.subject, self.queue)

    @property
    def stats(self) -> EndpointStats:
        requests = max(1, self._requests)
        return EndpointStats(
            self.name,
            self.subject,
            self.queue,
            num_requests=self._requests,
            num_errors=self._errors,
            processing_time=self._nanoseconds,
            average_processing_time=self._nanoseconds // requests,
            last_error=self._last_error,
        )


async def announce(
    link: Link, namespace: str, endpoints: Sequence[Endpoint]
) -> list[Callable[[], Awaitable[None]]]:
    """Let the service be found; return what ends that."""
    identity: Any = {
        "id": link.nc.new_inbox().rpartition(".")[2],
        "name": f"jobledger-{namespace}",
        "version": API_VERSION,
        "metadata": {"namespace": namespace},
    }
    started = datetime.now(UTC)

    def ping() -> Any:
        return ServicePing(**identity)

    def info() -> Any:
        found = [endpoint.info for endpoint in endpoints]
        return ServiceInfo(**identity, description=_DESCRIPTION, endpoints=found)

    def stats() -> Any:
        return ServiceStats(**identity, started=started, endpoints=[one.stats for one in endpoints])

    ends = []
    for verb, facts in ((ServiceVerb.PING, ping), (ServiceVerb.INFO, info), (ServiceVerb.STATS, stats)):
        answer = _answering(link, facts)
        for of_whom in ({}, {"name": identity["name"]}, {"name": identity["name"], "id": identity["id"]}):
            ends.append(await link.listen(control_subject(verb, **of_whom), answer))
    return ends


def _answering(link: Link, facts: Callable[[], Any]) -> Callable[[Msg], Awaitable[None]]:
    async def answer(message: Msg) -> None:
        if is_answerable(message.reply):
            await link.nc.publish(message.reply, msgspec.json.encode(facts().to_dict()))

    return answer

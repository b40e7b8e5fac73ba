"""A process that tells what it has counted, to whoever asks on the subject `metrics`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import time
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from jobledger.core.errors import JobLedgerError

from ..nats.names import Names, is_answerable
from ..nats.wire import Wire
from ..version import installed_version
from .figures import Report, Sample, Samples, encode
from .log import log_samples

log = logging.getLogger(__name__)

_BEGAN = time.time()


class Answering:
    """Answers for one process, from `start` to `stop`.

    Shape:  `kind` is what the process is, `process` its id, `samples` returns its figures.
    """

    def __init__(
        self,
        client: Wire,
        names: Names,
        kind: str,
        process: str,
        samples: Callable[[], Awaitable[Samples]],
    ) -> None:
        self._client = client
        self._names = names
        self._kind = kind
        self._process = process
        self._samples = samples
        self._version = installed_version()
        self._subscription: Subscription | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._subscription = await self._client.subscribe(self._names.metrics, cb=self._accept)

    async def stop(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
        answers = list(self._answers)
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)

    async def reports(self) -> list[Report]:
        return [await self.report()]

    async def report(self) -> Report:
        """Return all figures of this process, and of the log where that can be asked."""
        samples = dict(await self._samples())
        with contextlib.suppress(JobLedgerError):
            samples |= await log_samples(self._client, self._names)
        samples["jobledger_process_start_time_seconds"] = [Sample((), _BEGAN)]
        samples["jobledger_build_info"] = [Sample((self._version, platform.python_version()), 1.0)]
        return Report(self._kind, self._process, samples)

    @property
    def problem(self) -> str:
        """Why the process cannot do what it is for; "" if it can."""
        return "" if self._client.is_connected else "the NATS server is away"

    async def _accept(self, message: Msg) -> None:
        if not is_answerable(message.reply):
            return
        answer = asyncio.create_task(self._answer(message))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            await self._client.publish(message.reply, encode(await self.report()))
        except (nats.errors.Error, OSError) as error:
            log.warning("metrics could not be sent: %s", error or type(error).__name__)

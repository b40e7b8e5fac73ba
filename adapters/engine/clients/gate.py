"""The way to JetStream for users that may not ask it themselves: what they have a right to is passed on.

The answer comes from JetStream itself, straight to the inbox of the user: what is read does not come by here. See
`adapters.nats.gated` for why there is a gate, and `adapters.access` for the rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import lru_cache
from typing import NamedTuple

import nats.errors

from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.core.undecodable import UNDECODABLE

from ...access.gatekeeping import Denied, Wanted, bound_job, check, passed_on, wanted
from ...access.identity import Identity, Role
from ...access.rights import Kept
from ...nats.frames import header_block
from ...nats.gated import DENIED, TO
from ...nats.names import Names
from ...nats.wire import Message, Wire
from ..ledger import Background, Ledger
from .beside import make_streams

log = logging.getLogger(__name__)

_NOBODY = b"NATS/1.0 503\r\n\r\n"


class _Request(NamedTuple):
    """One that may be passed on, as it is."""

    who: Identity
    asked: Wanted
    to: str
    headers: bytes
    reply: str
    job_id: str | None  #: of which a runner must have work


class Gate:
    """Of the engine of one partition. What takes time runs among the `requests`."""

    def __init__(self, client: Wire, names: Names, ledger: Ledger, requests: Background) -> None:
        self._client = client
        self._names = names
        self._ledger = ledger
        self._requests = requests
        self._making: asyncio.Future[None] | None = None  #: the streams that are to be there
        self._made = False

    def handle(self, message: Message) -> None:
        """Pass a request on, or say why not: within the call, where nothing has to be waited for."""
        who = _answerable_asker(message)
        if who is None:
            return
        try:
            request = self._understood(who, message)
            if self._made and (request.job_id is None or self._has_work(who, request.job_id)):
                self._pass_on(request)
            else:
                self._requests.run(self._look_closer(request))
        except (Denied, *UNDECODABLE) as denied:
            self._deny(who, message.reply, denied)

    def turn_away(self, message: Message) -> None:
        """Have somebody ask again who is served here no longer: as if nobody had been there."""
        if _answerable_asker(message) is not None:
            with contextlib.suppress(nats.errors.Error):
                self._client.post(message.reply, b"", headers=_NOBODY)

    def _understood(self, who: Identity, message: Message) -> _Request:
        """Errors: Denied for what this role has no right to, whatever the job; UNDECODABLE."""
        headers = message.headers or {}
        to = headers.pop(TO, "")
        asked = wanted(self._names, to, message.data)
        if asked is None:
            raise Denied(f"{to} does not go through the gate")
        check(who.role, asked)
        job_id = bound_job(asked) if who.role is Role.RUNNER else None
        passed = passed_on(headers, asked)
        return _Request(who, asked, to, header_block(passed) if passed else b"", message.reply, job_id)

    async def _look_closer(self, request: _Request) -> None:
        """Pass the request on once the streams are there, if the runner has work of the job after all."""
        try:
            if request.job_id is not None and not self._has_work(request.who, request.job_id):
                await self._check_lines(request.who, request.job_id, request.asked.kept)
            await self._streams()
            self._pass_on(request)
        except Denied as denied:
            self._deny(request.who, request.reply, denied)
        except (JobLedgerError, OSError) as error:
            log.warning("a request of %s cannot be passed on: %s", request.who, error)

    def _pass_on(self, request: _Request) -> None:
        try:
            self._client.post(request.to, request.asked.payload, request.reply, request.headers)
        except nats.errors.Error as error:
            log.warning("a request of %s cannot be passed on: %s", request.who, error)

    def _deny(self, who: Identity, reply: str, reason: Exception) -> None:
        log.info("denied to %s: %s", who, reason)
        line = f"NATS/1.0 {DENIED} {' '.join(str(reason).split())[:300]}\r\n\r\n"
        with contextlib.suppress(nats.errors.Error):
            self._client.post(reply, b"", headers=line.encode("ascii", "replace"))

    def _has_work(self, who: Identity, job_id: str) -> bool:
        """Whether the user runs a task of this job."""
        live = self._ledger.jobs.get(job_id)
        runner = f"{who.cluster}.{who.user}."
        return live is not None and any(by.startswith(runner) for by in live.job.claimed_by.values())

    async def _check_lines(self, who: Identity, job_id: str, kept: Kept) -> None:
        """Lines of a task that has ended may still be on their way: for them, it is enough that the job has tasks for the
        runner's cluster. Errors: Denied; as `Ledger.find`."""
        live = await self._ledger.find(job_id) if kept is Kept.TELEMETRY else None
        if live is None or not any(spec.cluster == who.cluster for spec in live.job.specs):
            raise Denied(f"runner {who.user} runs no task of job {job_id}")
        if live.settled and not live.dead:  # it was read again only to be asked
            self._ledger.settle(live)

    async def _streams(self) -> None:
        """Make sure that the streams are there that such users may not make. Errors: as `make_streams`."""
        if self._making is None or (self._making.done() and not self._made):
            self._making = asyncio.ensure_future(make_streams(self._client, self._names))
        await asyncio.shield(self._making)
        self._made = True


def _answerable_asker(message: Message) -> Identity | None:
    """Return who asks, if that is to be answered in the inbox of who asks: nothing else ever is."""
    who = _asker(message.subject)
    if who is not None and message.reply.startswith(f"{who.inbox}."):
        return who
    log.warning("a request on %s is to be answered elsewhere, and is dropped", message.subject)
    return None


@lru_cache(maxsize=4096)
def _asker(subject: str) -> Identity | None:
    _, role, cluster, user = subject.rsplit(".", 3)
    try:
        return Identity.parse(".".join((role, cluster, user) if role == Role.RUNNER else (role, user)))
    except ArgumentError:
        return None

"""Signs of life: what extends the lease of a runner, and what becomes of its tasks when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from jobledger.core import commands as c
from jobledger.core.decisions import Refusal
from jobledger.core.errors import DamagedLog

from .. import protocol as p
from ..nats.wire import Message
from . import halts
from .answers import Answer, answer_with
from .exchange import speaker
from .ledger import Ledger
from .live import LiveJob

log = logging.getLogger(__name__)

#: how often in the length of a lease it is looked whether one has run out
_LOOKS = 10


class SignsOfLife:
    """Answers requests on the `heartbeat` subjects, and ends leases."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def heartbeat(self, message: Message, answer: Answer) -> None:
        """Extend the runner's lease, and tell it which of its attempts are over all the same. Errors: MsgspecError."""
        runner, request = speaker(message), p.decode_heartbeat(message.data)
        self._ledger.leases.extend(runner)
        self._ledger.background.run(answer_with(self._seen(runner, request), answer))

    async def _seen(self, runner: str, request: p.Heartbeat) -> p.Reply:
        leases = self._ledger.leases
        lost = []
        held: dict[str, tuple[LiveJob, list[p.AttemptRef]]] = {}
        for ref in request.holds:
            try:
                live = await self._ledger.find(ref.job_id)
            except DamagedLog:
                live = None
            if live is not None and _holds(live, runner, ref):
                leases.claimed(runner, live)
                held.setdefault(ref.job_id, (live, []))[1].append(ref)
            else:
                lost.append(ref)
        for report in request.running:
            if report.job_id in held:
                with contextlib.suppress(Refusal):  # it ended meanwhile
                    self._ledger.apply(held[report.job_id][0], report)
        return p.HeartbeatSeen(lost, [h for live, refs in held.values() for h in halts.reminders(live, refs)])

    async def expire_leases(self) -> None:
        """Take their tasks from runners that fall silent, for ever."""
        ledger = self._ledger
        while True:
            await asyncio.sleep(ledger.leases.length / _LOOKS)
            for runner in list(ledger.leases.expired()):
                for live, tasks in list(ledger.leases.held(runner)):
                    # An exchange it left open must not be answered with the very tasks it has just lost.
                    ledger.dispatcher.supersede(runner)
                    log.warning("runner %s is lost with %d tasks of job %s", runner, len(tasks), live.job.id)
                    for task in tasks:
                        ledger.apply(live, c.ExpireLease(live.job.id, task, live.job.attempt[task]))
                    ledger.refresh(live)


def _holds(live: LiveJob, runner: str, ref: p.AttemptRef) -> bool:
    return live.job.claimed_by.get(ref.task) == runner and live.job.attempt[ref.task] == ref.attempt

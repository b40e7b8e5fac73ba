"""Signs of life: what extends the lease of a runner, and what becomes of its tasks when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import NamedTuple

from jobledger.core import commands as c
from jobledger.core.decisions import Refusal, is_suspect
from jobledger.core.errors import DamagedLog

from ... import protocol as p
from ...nats.names import speaker_of
from ...nats.wire import Message
from ..answers import Answer, answer_with
from ..ledger import Ledger
from ..live import LiveJob
from . import halts

log = logging.getLogger(__name__)

#: how often in the length of a lease it is looked whether one has run out
_LOOKS = 10


class _Lost(NamedTuple):
    """A runner that fell silent, and what it holds."""

    runner: str
    heard: bool  #: whether it ever said anything to this engine
    held: list[tuple[LiveJob, list[int]]]

    @property
    def tasks(self) -> int:
        return sum(len(tasks) for _, tasks in self.held)

    @property
    def innocent(self) -> bool:
        """Whether nothing that it holds is suspected."""
        return bool(self.held) and not any(
            is_suspect(live.job, task) for live, tasks in self.held for task in tasks
        )


class SignsOfLife:
    """Answers requests on the `heartbeat` subjects, and ends leases."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._others_lost_at = -math.inf  #: when a runner was last found lost of which nothing is suspected

    def heartbeat(self, message: Message, answer: Answer) -> None:
        """Extend the runner's lease, and tell it which of its attempts are over all the same. Errors: those of UNDECODABLE."""
        runner, request = speaker_of(message.subject).runner, p.decode_heartbeat(message.data)
        self._ledger.leases.extend(runner)
        self._ledger.background.run(answer_with(self._seen(runner, request), answer))

    async def _seen(self, runner: str, request: p.Heartbeat) -> p.Reply:
        ledger = self._ledger
        lost: list[p.AttemptRef] = []
        held: dict[str, tuple[LiveJob, list[p.AttemptRef]]] = {}
        own: set[p.AttemptRef] = set()
        for ref in request.holds:
            try:
                settled = ledger.jobs.settled_status(ref.job_id) is not None
                live = None if settled else await ledger.find(ref.job_id)
            except (DamagedLog, Refusal):
                live = None
            if live is not None and _holds(live, runner, ref):
                ledger.leases.claimed(runner, live)
                held.setdefault(ref.job_id, (live, []))[1].append(ref)
                own.add(ref)
            elif live is not None and live.parked is not None:
                # It is over once there is room in the log for that. Until then its runner is to begin nothing of it.
                return p.Unavailable(f"what is decided about job {ref.job_id} waits for room in the log")
            else:
                lost.append(ref)
                if live is not None:
                    await live.written()  # that it is over has to be in the log: its runner forgets it
        ledger.let_go({ref.job_id for ref in lost})
        for report in request.running:
            live = held[report.job_id][0] if report.job_id in held else None
            if live is None or live.parked is not None:  # where the log has no room, news are told again
                continue
            if (report.job_id, report.task, report.attempt) in own:  # nobody speaks for what another one runs
                with contextlib.suppress(Refusal):  # it ended meanwhile
                    ledger.apply(live, report)
        return p.HeartbeatSeen(lost, [h for live, refs in held.values() for h in halts.reminders(live, refs)])

    async def expire_leases(self) -> None:
        """Take their tasks from runners that fall silent, for ever."""
        while True:
            await asyncio.sleep(self._ledger.leases.length / _LOOKS)
            self._look()

    def _look(self) -> None:
        leases = self._ledger.leases
        lost = []
        for runner, heard in leases.expired():
            one = _Lost(runner, heard, list(leases.held(runner)))
            if any(live.parked is not None for live, _ in one.held):
                leases.extend(
                    runner
                )  # what it holds may not have been handed out: that waits for room in the log
            else:
                lost.append(one)
        if not lost:
            return
        silent = [*lost, *(_Lost(runner, True, list(leases.held(runner))) for runner in leases.overdue())]
        alone = [self._is_alone(one, silent) for one in lost]  # before what they held is anybody else's
        if any(one.innocent for one in lost):
            self._others_lost_at = leases.now
        for one, is_alone in zip(lost, alone, strict=True):
            try:
                self._expire(one, alone=is_alone)
            except (
                Exception
            ):  # in one job, which is read again; the leases of others have to end all the same
                log.exception("the lease of runner %s could not be ended; it is tried again", one.runner)
                leases.extend(one.runner)

    def _is_alone(self, lost: _Lost, silent: list[_Lost]) -> bool:
        """Whether nothing but the one task that a runner held explains that it is lost.

        It had said something to this engine since that was there. And no runner was lost about that time, nor is likely to be,
        of which nothing is suspected: where those die, too, it is not what they run. So no task is to blame for the server
        that was away, for machines that are switched off, or for somebody who ends processes at random.
        """
        others = self._ledger.leases.now - self._others_lost_at < self._ledger.leases.length
        return (
            lost.heard
            and lost.tasks == 1
            and not (others or any(o.innocent for o in silent if o is not lost))
        )

    def _expire(self, lost: _Lost, *, alone: bool) -> None:
        ledger, runner = self._ledger, lost.runner
        for live, tasks in lost.held:
            # An exchange it left open must not be answered with the very tasks it has just lost.
            ledger.dispatcher.supersede(runner)
            log.warning("runner %s is lost with %d tasks of job %s", runner, len(tasks), live.job.id)
            for task in tasks:
                ledger.apply(live, c.ExpireLease(live.job.id, task, live.job.attempt[task], alone))
            ledger.refresh(live)
            if suspects := sum(is_suspect(live.job, task) for task in tasks):
                log.warning(
                    "%d tasks of job %s were running, or about to, when runners were lost: they are handed out with few others now",
                    suspects,
                    live.job.id,
                )
        ledger.leases.forget(runner)
        ledger.suspects.forget(runner)


def _holds(live: LiveJob, runner: str, ref: p.AttemptRef) -> bool:
    return live.job.claimed_by.get(ref.task) == runner and live.job.attempt[ref.task] == ref.attempt

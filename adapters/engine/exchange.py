"""What runners say: what they finished, what they could take, and that they are alive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from nats.aio.msg import Msg

from jobledger.core import commands as c
from jobledger.core.decisions import Refusal
from jobledger.core.errors import DamagedLog
from jobledger.core.task import TaskIdentifier

from .. import protocol as p
from . import halts
from .dispatch import Capability, Waiter
from .ledger import Ledger
from .live import LiveJob

log = logging.getLogger(__name__)

#: what an answer costs beside the inputs, in bytes a task, rounded up
_TASK_OVERHEAD = 24
#: how often in the length of a lease it is looked whether one has run out
_LOOKS = 10

Touched = dict[
    str, LiveJob
]  #: jobs an exchange has decided about: it is answered once all of them are written


class Exchanges:
    """Answers requests on the `exchange` and `heartbeat` subjects. `room` is how many bytes of tasks an answer holds."""

    def __init__(self, ledger: Ledger, *, room: int) -> None:
        self._ledger = ledger
        self._room = room

    async def handle(self, message: Msg) -> p.Reply:
        """Errors: Refusal; NotWritten; ServerUnavailable; MsgspecError."""
        runner, request = speaker(message), p.decode_exchange(message.data)
        ledger = self._ledger
        ledger.leases.extend(runner)
        ledger.dispatcher.supersede(runner)
        touched: Touched = {}
        refused = await self._take_reports(runner, request, touched)
        ledger.meter.exchanged(refused)
        jobs = self._hand_out_again(runner, request, touched)
        capability = Capability(
            request.cluster, tuple(TaskIdentifier(*identifier) for identifier in request.identifiers)
        )
        jobs += self._claim(runner, capability, request.limit, touched)
        if not (jobs or touched or refused) and request.limit and request.wait > 0:
            waiter = Waiter(runner, capability, request.limit)
            began = time.perf_counter()
            found = await ledger.dispatcher.wait(waiter, request.wait)
            ledger.meter.waited(time.perf_counter() - began)
            if found:
                jobs = self._claim(runner, capability, request.limit, touched)
        waits = _waits(touched) if request.in_order else {}
        for live in touched.values():
            await live.written()
        if any(spec.asked.reuse for job in jobs for spec in job.specs):
            await ledger.aftermath.noted()
        ledger.leases.extend(runner)
        halted = [job_id for job_id, live in touched.items() if live.halted]
        return p.Exchanged(refused, jobs, ledger.leases.length, halted, waits)

    async def _take_reports(
        self, runner: str, request: p.Exchange, touched: Touched
    ) -> list[p.RefusedReport]:
        ledger = self._ledger
        refused = []
        for index, report in enumerate(request.reports):
            try:
                live = ledger.jobs.get(report.job_id) or await ledger.existing(report.job_id)
                ledger.apply(live, report)
                touched[report.job_id] = live
            except Refusal as refusal:
                refused.append(p.RefusedReport(index, refusal.code, refusal.message))
            except DamagedLog as error:
                refused.append(p.RefusedReport(index, "damaged", str(error)))
        if refused:
            log.warning("%d reports of runner %s refused: %s", len(refused), runner, refused[0].message)
        for live in touched.values():
            ledger.refresh(live)
        return refused

    def _hand_out_again(self, runner: str, request: p.Exchange, touched: Touched) -> list[p.ClaimedJob]:
        """After a lost answer: what the runner has claimed but does not know of."""
        if request.holds is None:
            return []
        known = set(request.holds)
        known.update(p.AttemptRef(r.job_id, r.task, r.attempt) for r in request.reports)
        jobs = []
        room = self._room
        for live, tasks in self._ledger.leases.held(runner, self._ledger.jobs.get):
            attempt = live.job.attempt
            missing = [t for t in tasks if p.AttemptRef(live.job.id, t, attempt[t]) not in known]
            if missing:
                touched[live.job.id] = live
                fitting = _fitting(live, missing, room)
                for task in missing[fitting:]:
                    release = c.ReleaseTask(live.job.id, task, attempt[task], "its hand-out was lost")
                    self._ledger.apply(live, release)
                jobs.append(hand_out(live, missing[:fitting]))
                room -= _weight(live, missing[:fitting])
        return jobs

    def _claim(self, runner: str, capability: Capability, limit: int, touched: Touched) -> list[p.ClaimedJob]:
        """Claim up to `limit` tasks for the runner. They may be handed out once all of `touched` is written."""
        ledger = self._ledger
        jobs: list[p.ClaimedJob] = []
        room = self._room
        if limit <= 0:
            return jobs
        for live, specs in ledger.dispatcher.jobs_for(capability):
            slots = ledger.slots.left(live)
            tasks = live.job.graph.next_ready(specs, limit, slots)
            fitting = _fitting(live, tasks, room)
            claim = c.ClaimTasks(live.job.id, runner, specs, fitting, slots)
            if fitting and ledger.apply(live, claim):
                claimed = tasks[:fitting]
                jobs.append(hand_out(live, claimed))
                limit -= len(claimed)
                room -= _weight(live, claimed)
                touched[live.job.id] = live
                ledger.leases.claimed(runner, live)
            ledger.refresh(live)
            if limit <= 0 or room <= 0:
                break  # before the next job is moved to the end of its queue
        return jobs

    def give_back(self, jobs: list[p.ClaimedJob]) -> None:
        """What was to be handed out reached nobody: others may have it at once."""
        for job in jobs:
            live = self._ledger.jobs.get(job.job_id)
            if live is None:
                continue
            for claimed in job.tasks:
                reason = "its runner was gone when it was handed out"
                with contextlib.suppress(Refusal):
                    self._ledger.apply(live, c.ReleaseTask(job.job_id, claimed.task, claimed.attempt, reason))
            self._ledger.refresh(live)

    # -- signs of life --------------------------------------------------------------------------------------------

    async def heartbeat(self, message: Msg) -> p.Reply:
        """Extend the runner's lease, and tell it which of its attempts are over all the same."""
        runner, request = speaker(message), p.decode_heartbeat(message.data)
        leases = self._ledger.leases
        leases.extend(runner)
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
                for live, tasks in list(ledger.leases.held(runner, ledger.jobs.get)):
                    # An exchange it left open must not be answered with the very tasks it has just lost.
                    ledger.dispatcher.supersede(runner)
                    log.warning("runner %s is lost with %d tasks of job %s", runner, len(tasks), live.job.id)
                    for task in tasks:
                        ledger.apply(live, c.ExpireLease(live.job.id, task, live.job.attempt[task]))
                    ledger.refresh(live)


def speaker(message: Msg) -> str:
    """Return the id of the runner that sent the message."""
    return message.subject.rpartition(".")[2]


def _holds(live: LiveJob, runner: str, ref: p.AttemptRef) -> bool:
    return live.job.claimed_by.get(ref.task) == runner and live.job.attempt[ref.task] == ref.attempt


def _waits(touched: Touched) -> dict[str, p.Order]:
    found = ((job_id, live.waits.first(live.job)) for job_id, live in touched.items())
    return {job_id: first for job_id, first in found if first is not None}


def _weight(live: LiveJob, tasks: list[int]) -> int:
    """Return about how many bytes it takes to hand these tasks out."""
    return sum(len(live.job.inputs[task]) + _TASK_OVERHEAD for task in tasks)


def _fitting(live: LiveJob, tasks: list[int], room: int) -> int:
    """Return how many of these tasks fit into `room` bytes; at least one."""
    for count, task in enumerate(tasks):
        room -= len(live.job.inputs[task]) + _TASK_OVERHEAD
        if room < 0 and count:
            return count
    return len(tasks)


def hand_out(live: LiveJob, tasks: list[int]) -> p.ClaimedJob:
    job = live.job
    kinds = sorted({job.graph.spec[task] for task in tasks})
    index = {kind: i for i, kind in enumerate(kinds)}
    graph = job.graph
    return p.ClaimedJob(
        job.id,
        job.name,
        [job.specs[kind] for kind in kinds],
        [
            p.ClaimedTask(
                task, job.attempt[task], index[graph.spec[task]], job.inputs[task], graph.depth[task]
            )
            for task in tasks
        ],
        [task for task in tasks if task in job.references] if job.references else [],
        job.options.trace,
        job.options.force,
        job.options.sealed,
        [graph.place(task) for task in tasks] if job.options.sealed else [],
    )

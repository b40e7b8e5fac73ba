"""What runners say: what they finished, and what they could take."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable
from typing import TypeAlias

from jobledger.core import commands as c
from jobledger.core.decisions import Refusal
from jobledger.core.decisions.refusal import check_holder
from jobledger.core.errors import DamagedLog

from ... import protocol as p
from ...nats.names import speaker_of
from ...nats.wire import Message
from ..answers import Answer, answer_to
from ..ledger import Ledger, micros
from ..live import LiveJob, NotWritten, TooLarge
from .dispatch import Capability, Waiter
from .suspects import LOOK_AGAIN, NOTHING

log = logging.getLogger(__name__)

#: how often the jobs that an exchange reports on are read before its runner is told to ask again
_READINGS = 3
#: so few tasks are not divided among the runners that wait for some: an exchange costs as much as they do
_FEW = 64
#: what an answer costs beside the inputs, in bytes a task, rounded up
_TASK_OVERHEAD = 24

#: jobs an exchange has decided about: it is answered once all of them are written
Touched: TypeAlias = dict[str, LiveJob]


class _Exchange:
    """One request, and what is known of it before it is decided."""

    def __init__(self, runner: str, request: p.Exchange, answer: Answer) -> None:
        self.runner = runner
        self.request = request
        self.answer = answer
        self.capability = Capability.of(request)
        self.unknown: dict[str, Refusal | DamagedLog] = {}  #: reported jobs that cannot be brought to memory
        self.held_back = False  #: something is ready that it is not to be handed out now

    @property
    def reported(self) -> Iterable[str]:
        """The jobs it reports on, in order."""
        return dict.fromkeys(report.job_id for report in self.request.reports)

    @property
    def waits(self) -> bool:
        """Whether the runner would wait for tasks."""
        return self.request.limit > 0 and self.request.wait > 0

    def why_unknown(self, job_id: str) -> Refusal | DamagedLog:
        return self.unknown.get(job_id) or Refusal("unknown_job", f"there is no job {job_id}")


class Exchanges:
    """Answers requests on the `exchange` and `heartbeat` subjects. `room` is how many bytes of tasks an answer holds."""

    def __init__(self, ledger: Ledger, *, room: int) -> None:
        self._ledger = ledger
        self._room = room

    def handle(self, message: Message, answer: Answer) -> None:
        """Take what a runner reports and hand out what it can take; `answer` once all of that is in the log.

        All of it within one call where the jobs are in memory: with a task for each request, a hop of a chain takes 390 and
        not 340 µs of the engine (Python 3.11).
        Errors: those of UNDECODABLE; Refusal of a runner that asks for the tasks of another cluster than its subject names.
        """
        speaker, request = speaker_of(message.subject), p.decode_exchange(message.data)
        if request.cluster != speaker.cluster:
            raise Refusal(
                "invalid", f"a runner of cluster {speaker.cluster} gets no tasks of cluster {request.cluster}"
            )
        exchange = _Exchange(speaker.runner, request, answer)
        ledger = self._ledger
        ledger.leases.extend(exchange.runner)
        ledger.dispatcher.supersede(exchange.runner)
        absent = [job_id for job_id in exchange.reported if ledger.jobs.get(job_id) is None]
        if absent:
            ledger.background.run(self._bring_back(absent, exchange))
        else:
            self._serve(exchange)

    async def _bring_back(self, absent: list[str], exchange: _Exchange) -> None:
        """Read jobs that are not in memory, and go on."""
        missing = absent
        for _ in range(_READINGS):
            for job_id in missing:
                try:
                    await self._ledger.existing(job_id)
                except (Refusal, DamagedLog) as error:
                    exchange.unknown[job_id] = error
                except Exception as error:  # noqa: BLE001  whoever asked is told
                    exchange.answer(answer_to(error))
                    return
            # Meanwhile others may have been thrown away, over a doubt about the log: they are not unknown.
            jobs, unknown = self._ledger.jobs, exchange.unknown
            missing = [one for one in exchange.reported if one not in unknown and jobs.get(one) is None]
            if not missing:
                break
        else:
            exchange.answer(p.Unavailable("a job that is reported on is just being read again"))
            return
        try:
            self._serve(exchange)
        except Exception as error:  # noqa: BLE001
            exchange.answer(answer_to(error))
        self._ledger.let_go(absent)

    def _serve(self, exchange: _Exchange) -> None:
        touched: Touched = {}
        refused = self._take_reports(exchange, touched)
        self._ledger.meter.exchanged(refused)
        jobs = self._hand_out_again(exchange, touched)
        parked = next((live.parked for live in touched.values() if live.parked is not None), None)
        if parked is not None:  # it asks again, and would be given more each time
            exchange.answer(p.Unavailable(str(parked)))
            return
        jobs += self._claim(exchange, touched)
        if jobs or touched or refused or not exchange.waits:
            self._conclude(exchange, refused, jobs, touched)
        else:
            self._hold(exchange)

    def _hold(self, exchange: _Exchange) -> None:
        """Keep the request until something is ready."""
        ledger = self._ledger
        began = time.perf_counter()

        def found(ready: bool) -> None:
            ledger.meter.waited(time.perf_counter() - began)
            touched: Touched = {}
            try:
                self._conclude(exchange, [], self._claim(exchange, touched) if ready else [], touched)
            except Exception as error:  # noqa: BLE001
                exchange.answer(answer_to(error))

        if exchange.held_back:  # or it would be told of it at once, and ask again
            capability, wait = NOTHING, min(exchange.request.wait, LOOK_AGAIN)
        else:
            capability, wait = exchange.capability, exchange.request.wait
        ledger.dispatcher.hold(Waiter(exchange.runner, capability, found), wait)

    def _conclude(
        self,
        exchange: _Exchange,
        refused: list[p.RefusedReport],
        jobs: list[p.ClaimedJob],
        touched: Touched,
    ) -> None:
        """Answer once all that was decided is in the log."""
        waits = _waits(touched) if exchange.request.in_order else {}
        missing = len(touched)

        def written(problem: NotWritten | None) -> None:
            nonlocal missing
            if not missing:
                return  # answered, by what went wrong with another one
            missing -= 1
            if problem is not None:
                missing = 0
                lasting = isinstance(problem, TooLarge)
                exchange.answer(answer_to(problem) if lasting else p.Unavailable(str(problem)))
            elif not missing:
                self._answer(exchange, refused, jobs, touched, waits)

        if not touched:
            self._answer(exchange, refused, jobs, touched, waits)
        for live in touched.values():
            live.when_written(written)

    def _answer(
        self,
        exchange: _Exchange,
        refused: list[p.RefusedReport],
        jobs: list[p.ClaimedJob],
        touched: Touched,
        waits: dict[str, p.Order],
    ) -> None:
        ledger = self._ledger
        ledger.leases.extend(exchange.runner)
        halted = [job_id for job_id, live in touched.items() if live.halted]
        reply = p.Exchanged(refused, jobs, ledger.leases.length, halted, waits)
        if any(spec.asked.reuse for job in jobs for spec in job.specs):
            ledger.background.run(self._answer_with_successes(exchange, reply))
        else:
            exchange.answer(reply)

    async def _answer_with_successes(self, exchange: _Exchange, reply: p.Exchanged) -> None:
        """These tasks may be spared by an earlier success, which may just be being noted."""
        await self._ledger.aftermath.noted()
        exchange.answer(reply)

    def _take_reports(self, exchange: _Exchange, touched: Touched) -> list[p.RefusedReport]:
        ledger, runner, now = self._ledger, exchange.runner, micros()
        refused = []
        for index, report in enumerate(exchange.request.reports):
            live = touched.get(report.job_id) or ledger.jobs.get(report.job_id)
            try:
                if live is None:
                    raise exchange.why_unknown(report.job_id)
                if live.job.claimed_by.get(report.task) != runner:  # a call for each report would cost 0.2 µs
                    check_holder(live.job, report, runner)
                ledger.apply(live, report, now)
            except Refusal as refusal:
                refused.append(p.RefusedReport(index, refusal.code, refusal.message))
                if live is not None:
                    touched[report.job_id] = live  # what it is refused for has to be in the log, too
            except DamagedLog as error:
                refused.append(p.RefusedReport(index, "damaged", str(error)))
            else:
                touched[report.job_id] = live
        if refused:
            log.warning(
                "%d reports of runner %s refused: %s", len(refused), exchange.runner, refused[0].message
            )
        for live in touched.values():
            ledger.refresh(live)
        return refused

    def _hand_out_again(self, exchange: _Exchange, touched: Touched) -> list[p.ClaimedJob]:
        """After a lost answer: what the runner has claimed but does not know of."""
        request = exchange.request
        if request.holds is None:
            return []
        known = set(request.holds)
        known.update(p.AttemptRef(r.job_id, r.task, r.attempt) for r in request.reports)
        jobs = []
        room = self._room
        for live, tasks in self._ledger.leases.held(exchange.runner):
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

    def _claim(self, exchange: _Exchange, touched: Touched) -> list[p.ClaimedJob]:
        """Claim for the runner as many tasks as it can take. They may be handed out once all of `touched` is written."""
        ledger = self._ledger
        runner, limit = exchange.runner, min(exchange.request.limit, self._room // _TASK_OVERHEAD + 1)
        jobs: list[p.ClaimedJob] = []
        room = self._room
        if limit <= 0:
            return jobs
        if ledger.suspects.blocks(runner):
            exchange.held_back = True
            return jobs
        others = ledger.dispatcher.waiting_alike(exchange.capability)
        for live, specs in ledger.suspects.turns(runner, exchange.capability):
            slots = ledger.slots.left(live)
            tasks = live.job.graph.next_ready(specs, limit, slots)
            over = False
            if live.job.expiries:
                over = ledger.suspects.cut(runner, live, tasks, first=not jobs)
                exchange.held_back |= not tasks
            del tasks[min(_fair(len(tasks), others), _fitting(live, tasks, room)) :]
            claim = c.ClaimTasks(live.job.id, runner, specs, len(tasks), slots, tasks)
            if tasks and ledger.apply(live, claim):
                jobs.append(hand_out(live, tasks))
                limit -= len(tasks)
                room -= _weight(live, tasks)
                touched[live.job.id] = live
                ledger.leases.claimed(runner, live)
            ledger.refresh(live)
            if limit <= 0 or room <= 0 or over:
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


def _fair(ready: int, others: int) -> int:
    """Return how many of the ready tasks a runner is handed while so many others wait for some.

    How many it asks for, it knows from the tasks it ran before: with 4,000 of 1 ms after some of 5 µs, it would have all of
    them, and the others nothing to do.
    """
    return ready if ready <= _FEW else max(_FEW, -(-ready // (others + 1)))


def _waits(touched: Touched) -> dict[str, p.Order]:
    found = ((job_id, live.waits.first(live.job)) for job_id, live in touched.items())
    return {job_id: first for job_id, first in found if first is not None}


def _weight(live: LiveJob, tasks: list[int]) -> int:
    """Return about how many bytes it takes to hand these tasks out."""
    return sum(map(len, map(live.job.inputs.__getitem__, tasks))) + _TASK_OVERHEAD * len(tasks)


def _fitting(live: LiveJob, tasks: list[int], room: int) -> int:
    """Return how many of these tasks fit into `room` bytes; at least one."""
    if _weight(live, tasks) <= room:
        return len(tasks)
    for count, task in enumerate(tasks):
        room -= len(live.job.inputs[task]) + _TASK_OVERHEAD
        if room < 0 and count:
            return count
    return len(tasks)


def hand_out(live: LiveJob, tasks: list[int]) -> p.ClaimedJob:
    job, graph = live.job, live.job.graph
    attempt, spec, inputs, depth = job.attempt, graph.spec, job.inputs, graph.depth
    kinds = sorted({spec[task] for task in tasks})
    index = {kind: i for i, kind in enumerate(kinds)}
    return p.ClaimedJob(
        job.id,
        job.name,
        [job.specs[kind] for kind in kinds],
        [p.ClaimedTask(task, attempt[task], index[spec[task]], inputs[task], depth[task]) for task in tasks],
        [task for task in tasks if task in job.references] if job.references else [],
        job.options.trace,
        job.options.force,
        job.options.sealed,
        [graph.place(task) for task in tasks] if job.options.sealed else [],
    )

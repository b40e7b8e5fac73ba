"""The engine without concurrency: one call, one decision, one commit."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.codec import Commit, digest
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job, evolve
from jobledger.core.submission import NO_DEPENDENCIES

from .. import protocol as p
from ..engine.live import LiveJob
from ..engine.runners.dispatch import Capability, Dispatcher
from ..engine.runners.exchange import hand_out
from ..engine.runners.slots import Slots
from ..nats.log import StoredCommit, encode_message
from ..portal import shared_portal
from ..sealing.keys import Keyring
from .clock import VirtualClock
from .log import Log

_WRITER = "inline"


class InlineEngine:
    """Decides and writes at once. May be called from several threads, which take turns."""

    def __init__(self, log: Log, clock: VirtualClock, keyring: Keyring) -> None:
        self.clock = clock
        self._keyring = keyring
        self._log = log
        self._jobs: dict[str, LiveJob] = {}
        self._slots = Slots()
        self._dispatcher = Dispatcher(self._slots)
        self._turn = threading.RLock()
        self._commits = 0

    # -- what clients ask -----------------------------------------------------------------------------------------

    def answer(self, request: p.CommandRequest | p.ReadResults) -> p.Answer:
        """Do what is asked, and answer as the engine of a server does."""
        with self._turn:
            try:
                return self._answer(request)
            except Refusal as refusal:
                return p.Refused(refusal.code, refusal.message)

    def _answer(self, request: p.CommandRequest | p.ReadResults) -> p.Answer:
        live = self._find(request.job_id)
        if isinstance(request, p.FollowJob):
            if not live.job.state:
                raise Refusal("unknown_job", f"there is no job {request.job_id}")
            return live.status
        if isinstance(request, p.ReadResults):
            return p.Results(self._results(live.job, request.task))
        self.apply(live, request)
        if live.job.erasing:
            shared_portal().run(self._keyring.destroy(live.job.id, live.job.options.sealed))
            self.apply(live, c.EraseJob(live.job.id))
        count = 0
        if not isinstance(request, c.SubmitJob | c.TakeOver | c.ForkJob):
            count = live.job.commands.get(request.command_id, 0)
        return p.Done(live.position, live.version, count)

    def _results(self, job: Job, task: int) -> list[tuple[int, e.Value | None]]:
        index = job.graph.dependencies[task]
        members = [] if index == NO_DEPENDENCIES else job.graph.members[index]
        return [(member, job.results.get(member)) for member in ranges.numbers(members)]

    def read(self, job_id: str, after: StoredCommit | None = None) -> list[StoredCommit]:
        """Return the commits of a job, or those behind one that was read before."""
        with self._turn:
            return self._log.read(job_id, after)

    def written_at(self, position: int) -> int:
        """Return when the commit at a position was decided, in µs. Errors: ArgumentError for one that is not there."""
        with self._turn:
            return self._log.written_at(position)

    @property
    def job_ids(self) -> list[str]:
        """The jobs it knows, in the order in which it got to know them."""
        with self._turn:
            return [job_id for job_id, live in self._jobs.items() if live.job.state]

    # -- what the runner asks -------------------------------------------------------------------------------------

    def claim(self, runner: str, capability: Capability) -> p.ClaimedJob | None:
        """Claim the task that is to run next, if any is ready."""
        with self._turn:
            for live in list(self._jobs.values()):
                self._refresh(live)
            for live, specs in self._dispatcher.jobs_for(capability):
                slots = self._slots.left(live)
                tasks = live.job.graph.next_ready(specs, 1, slots)
                if tasks and self.apply(live, c.ClaimTasks(live.job.id, runner, specs, 1, slots)):
                    return hand_out(live, tasks)
            return None

    def report(self, report: c.Report) -> None:
        """Take what the runner says. Errors: Refusal, such as for a task of a job that was deleted meanwhile."""
        with self._turn:
            self.apply(self._find(report.job_id), report)

    @property
    def next_wake(self) -> int | None:
        """When something is due that is not yet (µs): a task, or the deadline of a job; None if nothing is."""
        with self._turn:
            return min(self._wakes(), default=None)

    def _wakes(self) -> Iterator[int]:
        for live in self._jobs.values():
            if not live.halted:
                if live.job.graph.next_wake is not None:
                    yield live.job.graph.next_wake
                if live.job.deadline:
                    yield live.job.deadline

    # -- one decision ---------------------------------------------------------------------------------------------

    def apply(self, live: LiveJob, command: c.Command) -> list[e.Event]:
        """Decide, write, apply. Errors: Refusal; the job is then as it was."""
        now = self.clock.micros
        events = decide(live.job, command, now)
        if events:
            for event in events:
                evolve(live.job, event, now)
            self._commits += 1
            # Ids that repeat from run to run make histories of tests that can be compared byte by byte.
            commit_id = hashlib.sha256(f"{live.job.id}/{self._commits}".encode()).digest()[:16]
            commit = Commit(commit_id, live.digest, now, _WRITER, live.job.settled, list(events))
            payload = encode_message(live.version + 1, commit)
            live.position = self._log.append(live.job.id, payload, after=live.position)
            live.version += 1
            live.digest = digest(payload)
        self._refresh(live)
        return events

    def _refresh(self, live: LiveJob) -> None:
        if live.job.state:
            if live.job.deadline and not live.halted and live.job.deadline <= self.clock.micros:
                self.apply(live, c.ExpireJob(live.job.id))
                return
            live.job.graph.wake(self.clock.micros)
        self._slots.refresh(live)
        self._dispatcher.refresh(live)

    def _find(self, job_id: str) -> LiveJob:
        live = self._jobs.get(job_id)
        if live is None:
            commits = self._log.read(job_id)
            job = Job(job_id)
            for stored in commits:
                for event in stored.commit.events:
                    evolve(job, event, stored.commit.at)
            live = self._jobs[job_id] = LiveJob(job, commits[-1] if commits else None)
        return live

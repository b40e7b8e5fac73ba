"""What must be true of every log, whatever died while it was written: checked commit by commit, by nothing but its bytes.

It keeps books of its own of claims and outcomes beside the fold of the product, so that a mistake that engine and fold
share is found as well.

    checks = LogChecks()
    async for position, subject, payload in stored_messages(client, names.log_stream, names.log_subjects):
        checks.read(subject.rpartition(".")[2], position, payload)
    assert not checks.finish()
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from jobledger.adapters.nats.log import StoredCommit
from jobledger.adapters.nats.partitions import partition_of
from jobledger.adapters.nats.records import RecordError, decode_record
from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.codec import NO_PREVIOUS, CodecError, decode_commit, digest
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import JobState, LifecycleError, TaskState

_COMPUTED = TaskState.COMPUTED.value
_DELETED = JobState.DELETED.value
_OF_AN_ATTEMPT = (
    e.TaskComputed,
    e.TaskReused,
    e.AttemptFailed,
    e.TaskFailed,
    e.OptionalTaskFailed,
    e.TaskCanceled,
    e.TaskReleased,
    e.LeaseExpired,
)
#: what may be the next thing to happen to a job that is settled
_AFTER_SETTLED = (e.JobRetried, e.JobDeleted, e.JobErased)


#: how an attempt may have ended of which its runner was told that this report is in the log
OUTCOMES: dict[str, tuple[type[e.Event], ...]] = {
    "ReportComputed": (e.TaskComputed,),
    "ReportReused": (e.TaskReused,),
    "ReportFailed": (e.AttemptFailed, e.TaskFailed, e.OptionalTaskFailed, e.TaskCanceled),
}


class Finding(NamedTuple):
    """Something in the log that must not be there."""

    invariant: str
    job_id: str
    position: int
    problem: str

    def __str__(self) -> str:
        return f"{self.invariant}: job {self.job_id}, position {self.position}: {self.problem}"


class Broken(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, problem: str) -> None:
        super().__init__(f"{invariant}: {problem}")
        self.invariant = invariant
        self.problem = problem


class JobBook:
    """One job, as its commits tell it."""

    def __init__(self, job_id: str) -> None:
        self.job = Job(job_id)  #: the product's fold
        self.last: StoredCommit | None = None
        self.claimed: dict[
            tuple[int, int], str
        ] = {}  #: the runner of each (task, attempt) that was ever claimed
        self.ended: dict[tuple[int, int], e.Event] = {}  #: how each of them ended
        self.running: dict[int, int] = {}  #: the attempt of each task that is claimed and has not ended
        self.computed: set[int] = set()
        self.commands: set[str] = set()  #: of users, by their ids

    def add(self, stored: StoredCommit) -> None:
        """Take the next commit. Errors: Broken."""
        self._follow(stored)
        before, self.last = self.last, stored
        commit = stored.commit
        if not commit.events:
            raise Broken("commits say something", "a commit without events")
        if before is not None and before.commit.settled and not isinstance(commit.events[0], _AFTER_SETTLED):
            raise Broken("settled stays settled", f"{commit.events[0]} comes after it was settled")
        for event in commit.events:
            self._note(event)
            try:
                evolve(self.job, event, commit.at)
            except LifecycleError as error:
                raise Broken("the log can be folded", str(error)) from error
        if commit.settled and not self.job.settled:
            raise Broken("settled is settled", "its commit says so, its events do not")

    def _follow(self, stored: StoredCommit) -> None:
        last = self.last
        version, previous = (1, NO_PREVIOUS) if last is None else (last.version + 1, last.digest)
        if stored.version != version:
            raise Broken("versions have no gap", f"version {stored.version} where {version} is expected")
        if stored.commit.previous != previous:
            raise Broken(
                "the chain of hashes holds", "its hash of the commit before does not fit that commit"
            )

    def _note(self, event: e.Event | e.UnknownEvent) -> None:
        match event:
            case e.TasksClaimed():
                for task in ranges.numbers(event.tasks):
                    self._claim(task, event.attempt, event.runner)
            case e.TaskProgressed() | e.SubtasksStaged():
                if self.running.get(event.task) != event.attempt:
                    raise Broken("attempt is the fence", f"{event} of an attempt that does not run")
            case e.JobSubmitted():
                taken = [one for part in self.job.taken_over for one in part.tasks]
                self.computed.update(one.task for one in taken if one.state == _COMPUTED)
            case e.JobCanceled() | e.JobRetried() | e.CancelRequested() | e.JobDeleted():
                if event.command_id in self.commands:
                    raise Broken("a command takes effect once", f"{event} comes again")
                self.commands.update(filter(None, [event.command_id]))
                if isinstance(event, e.JobDeleted):
                    self.running.clear()
            case _ if isinstance(event, _OF_AN_ATTEMPT):
                self._end(event)

    def _claim(self, task: int, attempt: int, runner: str) -> None:
        if task in self.running:
            raise Broken(
                "an attempt has one holder", f"task {task} is claimed by {runner} while another runs it"
            )
        if task in self.computed:
            raise Broken("computed once", f"task {task} is claimed by {runner} after it was computed")
        if (task, attempt) in self.claimed or (attempt > 1 and (task, attempt - 1) not in self.claimed):
            raise Broken("attempts count", f"attempt {attempt} of task {task} does not follow the one before")
        self.claimed[task, attempt] = runner
        self.running[task] = attempt

    def _end(self, event: e.Event) -> None:
        assert isinstance(event, _OF_AN_ATTEMPT)
        task, attempt = event.task, event.attempt
        if self.running.get(task) != attempt:
            raise Broken("attempt is the fence", f"{event} of an attempt that does not run")
        if isinstance(event, e.LeaseExpired) and event.runner != self.claimed[task, attempt]:
            raise Broken("an attempt has one holder", f"{event}, which {self.claimed[task, attempt]} claimed")
        if isinstance(event, e.TaskComputed | e.TaskReused):
            if task in self.computed:
                raise Broken("computed once", f"{event} after it was computed")
            self.computed.add(task)
        del self.running[task]
        self.ended[task, attempt] = event

    def recount(self) -> None:
        """Hold what the fold has counted against what it says of each task. Errors: Broken."""
        job = self.job
        counted = Counter(job.graph.status)
        if [counted[state] for state in range(len(job.counts))] != job.counts:
            raise Broken("counts agree", f"{job.counts} was counted, the tasks say {dict(counted)}")
        if job.state == _DELETED:
            return
        claims = {task: self.claimed[task, attempt] for task, attempt in self.running.items()}
        if claims != job.claimed_by:
            raise Broken("counts agree", f"{job.claimed_by} hold its tasks, the claims say {claims}")
        slots = Counter(job.spec_of(task).asked.key for task in self.running)
        if any(job.slots[key] != slots[key] for key in job.slots):
            raise Broken("counts agree", f"{job.slots} run by concurrency key, the claims say {dict(slots)}")
        computed = {task for task, state in enumerate(job.graph.status) if state == _COMPUTED}
        if computed != self.computed:
            raise Broken(
                "computed once", f"{sorted(computed ^ self.computed)} are computed for one side only"
            )

    def finish(self) -> None:
        """Nothing more is to come. Errors: Broken."""
        self.recount()
        if self.running:
            raise Broken(
                "every claim ends", f"attempts by task with neither outcome nor expiry: {self.running}"
            )
        if not self.job.settled:
            raise Broken(
                "every job settles",
                f"it is {JobState(self.job.state).name if self.job.state else 'nothing yet'}, with {self.job.counts}",
            )
        assert self.last is not None
        if not self.last.commit.settled:
            raise Broken("settled is settled", "the job is settled, its last commit does not say so")


class LogChecks:
    """All jobs of a log. Of one that is broken nothing more is said; others are not concerned."""

    def __init__(self, *, partitions: int = 1) -> None:
        self.books: dict[str, JobBook] = {}
        self.findings: list[Finding] = []
        self.position = 0
        self._partitions = partitions
        self._ids: set[bytes] = set()
        self._broken: set[str] = set()
        #: by partition and concurrency key: how many tasks run of each job
        self._slots: dict[tuple[int, str], dict[str, int]] = {}

    def read(self, job_id: str, position: int, payload: bytes) -> None:
        """Take the message at this position, of this job."""
        try:
            record = decode_record(payload)
            stored = StoredCommit(position, record.version, decode_commit(record.state), digest(payload))
        except (RecordError, CodecError) as error:
            self._found(job_id, position, Broken("the log can be read", str(error)))
        else:
            self.add(job_id, stored)

    def add(self, job_id: str, stored: StoredCommit) -> None:
        """Take the next commit of the log."""
        position = stored.position
        if position != self.position + 1:
            problem = f"position {position} comes after {self.position}"
            self.findings.append(Finding("positions have no gap", job_id, position, problem))
        self.position = position
        if stored.commit.id in self._ids:
            self.findings.append(Finding("a commit is there once", job_id, position, "its id is not new"))
        self._ids.add(stored.commit.id)
        if job_id in self._broken:
            return
        book = self.books.get(job_id)
        if book is None:
            book = self.books[job_id] = JobBook(job_id)
        try:
            book.add(stored)
            if book.job.slots:
                self._count_slots(book, stored)
        except Broken as error:
            self._found(job_id, position, error)

    def _count_slots(self, book: JobBook, stored: StoredCommit) -> None:
        job = book.job
        partition = partition_of(job.id, self._partitions)
        claims = any(isinstance(event, e.TasksClaimed) for event in stored.commit.events)
        for key, running in job.slots.items():
            slots = self._slots.setdefault((partition, key), {})
            more = running > slots.get(job.id, 0)
            slots[job.id] = running
            limit = min(spec.asked.limit for spec in job.specs if spec.asked.key == key)
            if claims and more and sum(slots.values()) > limit:
                raise Broken("concurrency limits hold", f"{slots} run under {key!r}, whose limit is {limit}")

    def recount(self, job_id: str) -> None:
        """Hold what was counted of a job against what is there."""
        if job_id not in self._broken:
            try:
                self.books[job_id].recount()
            except Broken as error:
                self._found(job_id, self.position, error)

    def finish(self) -> list[Finding]:
        """Nothing more is to come: every job is to be settled. Return all findings."""
        for job_id, book in self.books.items():
            if job_id not in self._broken:
                try:
                    book.finish()
                except Broken as error:
                    self._found(job_id, self.position, error)
        return self.findings

    def _found(self, job_id: str, position: int, error: Broken) -> None:
        self._broken.add(job_id)
        self.findings.append(Finding(error.invariant, job_id, position, error.problem))

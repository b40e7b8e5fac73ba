"""The whole log, held against what clients, runners and tasks noted themselves, and against the view of all jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from chaos import notes
from chaos.notes import Notes
from jobledger.adapters.nats.log import StoredCommit
from jobledger.core import events as e
from jobledger.core.codec import encode_commit
from jobledger.core.lifecycle import JobState
from jobledger.projections.jobs import JobRow
from jobledger.projections.jobs.row_fold import RowFold, Step
from support.log_checks import OUTCOMES, LogChecks

#: what a client may be told about a job, with a number: 1, 1, and how many tasks were rescheduled
SUBMITTED, CANCELED, RETRIED = "submitted", "canceled", "retried"
_SHOWN = 20


class Expected(NamedTuple):
    """What a job that was submitted has to come to."""

    tasks: int
    state: JobState = JobState.COMPLETED


class Figures(NamedTuple):
    """What happened in the log."""

    jobs: int
    tasks: int
    commits: int
    attempts: int
    expiries: int
    releases: int
    #: seconds of the longest time without any commit between the first and the last one
    standstill: float
    #: µs since 1970 UTC: when the last job settled
    settled_at: int


class Reckoning:
    """The log of one namespace, commit by commit. `finish` says all that is wrong."""

    def __init__(self, *, partitions: int = 1) -> None:
        self._checks = LogChecks(partitions=partitions)
        self._rows: dict[str, RowFold] = {}
        self._interventions: dict[str, Counter[tuple[str, int]]] = {}
        self._broken: set[str] = set()  #: of these nothing more is said than what is wrong with their commits
        self._times: list[int] = []
        self._settled_at = 0

    def read(self, job_id: str, position: int, payload: bytes) -> None:
        """Take the message at this position."""
        found = len(self._checks.findings)
        self._checks.read(job_id, position, payload)
        if len(self._checks.findings) > found:
            self._broken.add(job_id)
        if job_id in self._broken:
            return
        stored = self._checks.books[job_id].last
        assert stored is not None
        self._times.append(stored.commit.at)
        if stored.commit.settled:
            self._settled_at = max(self._settled_at, stored.commit.at)
        for event in stored.commit.events:
            if isinstance(event, e.JobCanceled | e.JobRetried):
                done = (CANCELED, 1) if isinstance(event, e.JobCanceled) else (RETRIED, event.rescheduled)
                self._interventions.setdefault(job_id, Counter())[done] += 1
        self._fold_row(job_id, stored)

    def _fold_row(self, job_id: str, stored: StoredCommit) -> None:
        row = self._rows.setdefault(job_id, RowFold(job_id))
        row.apply(Step(stored.position, stored.version, encode_commit(stored.commit)))

    def finish(self, own: Notes, expected: Mapping[str, Expected], view: Iterable[JobRow]) -> list[str]:
        """Return what is wrong, [] if nothing is: of the log itself, of what was acknowledged, and of the view."""
        found = [str(finding) for finding in self._checks.finish()]
        found += self._ends(expected)
        found += self._acknowledged(own)
        found += self._runners(own)
        found += self._view(view)
        return found if len(found) <= _SHOWN else [*found[:_SHOWN], f"… and {len(found) - _SHOWN} more"]

    @property
    def figures(self) -> Figures:
        books = self._checks.books.values()
        ended = Counter(type(event) for book in books for event in book.ended.values())
        times = sorted(self._times)
        return Figures(
            jobs=len(books),
            tasks=sum(len(book.job.graph) for book in books),
            commits=len(times),
            attempts=sum(len(book.claimed) for book in books),
            expiries=ended[e.LeaseExpired],
            releases=ended[e.TaskReleased],
            standstill=max((after - before for before, after in pairwise(times)), default=0) / 1e6,
            settled_at=self._settled_at,
        )

    # -- what has to be there -------------------------------------------------------------------------------------

    def _ends(self, expected: Mapping[str, Expected]) -> list[str]:
        strangers = self._checks.books.keys() - expected.keys()
        found = [f"what is refused is not there: nobody was told of job {job_id}" for job_id in strangers]
        for job_id, wanted in expected.items():
            book = self._checks.books.get(job_id)
            if book is None:
                continue  # told as not kept
            state, tasks = JobState(book.job.state), len(book.job.graph)
            if (tasks, state) != wanted:
                last = [event for event in book.ended.values() if isinstance(event, e.TaskFailed)]
                found.append(
                    f"jobs end well: job {job_id} is {state.name} with {tasks} tasks instead of {wanted.state.name} with "
                    f"{wanted.tasks}{f': {last[-1].error.message}' if last else ''}"
                )
        return found

    def _acknowledged(self, own: Notes) -> list[str]:
        """What a client was told is there, and nothing more than once."""
        told: dict[str, Counter[tuple[str, int]]] = {}
        for what, job_id, number in own.read(notes.ACKNOWLEDGED):
            told.setdefault(job_id, Counter())[what, int(number)] += 1
        found = []
        for job_id, facts in told.items():
            if job_id not in self._checks.books:
                found.append(f"acknowledged is kept: job {job_id} was submitted and is not in the log")
                continue
            del facts[SUBMITTED, 1]
            logged = self._interventions.get(job_id, Counter())
            if facts != logged:
                found.append(
                    f"acknowledged is kept: job {job_id} has {dict(logged)}, its client was told {dict(facts)}"
                )
        return found

    def _runners(self, own: Notes) -> list[str]:
        """What runners were handed and told, and what tasks did, fits the log."""
        found = []
        processes: dict[str, str] = {}  # by runner id
        for task, attempt, owner in own.read(notes.HANDED):
            runner = self._claim(task, attempt)
            if runner is None:
                found.append(f"handed out is claimed: {task} attempt {attempt} was never claimed")
            elif processes.setdefault(runner, owner) != owner:
                found.append(
                    f"an attempt has one holder: {task} attempt {attempt} was claimed by runner {runner} of process "
                    f"{processes[runner]}, and handed to process {owner}"
                )
        for task, attempt, kind in own.read(notes.ACCEPTED):
            outcomes = OUTCOMES.get(kind)
            ended = self._end(task, attempt)
            if outcomes is not None and not isinstance(ended, outcomes):
                found.append(
                    f"acknowledged is kept: {kind} of {task} attempt {attempt} was accepted, the log has {ended}"
                )
        begun: set[tuple[str, str]] = set()
        for task, attempt, _ in own.read(notes.BEGUN):
            if (task, attempt) in begun:
                found.append(f"an attempt has one holder: {task} attempt {attempt} was run twice")
            begun.add((task, attempt))
            if self._claim(task, attempt) is None:
                found.append(f"handed out is claimed: {task} attempt {attempt} ran and was never claimed")
        for job_id, book in self._checks.books.items():
            for (number, attempt_number), event in book.ended.items():
                ran = (f"{job_id}/{number}", str(attempt_number)) in begun
                if isinstance(event, e.TaskComputed) and not ran:
                    found.append(f"computed was run: {job_id}/{number} attempt {attempt_number} was not")
        return found

    def _claim(self, task: str, attempt: str) -> str | None:
        job_id, _, number = task.rpartition("/")
        book = self._checks.books.get(job_id)
        return None if book is None else book.claimed.get((int(number), int(attempt)))

    def _end(self, task: str, attempt: str) -> e.Event | None:
        job_id, _, number = task.rpartition("/")
        book = self._checks.books.get(job_id)
        return None if book is None else book.ended.get((int(number), int(attempt)))

    def _view(self, view: Iterable[JobRow]) -> list[str]:
        shown = {row.id: row for row in view}
        fresh = {job_id: fold.row() for job_id, fold in self._rows.items() if job_id not in self._broken}
        found = [
            f"views equal a fresh fold: job {job_id} is shown as {shown.get(job_id)} instead of {row}"
            for job_id, row in fresh.items()
            if shown.get(job_id) != row
        ]
        return found + [
            f"views equal a fresh fold: there is no job {job_id}"
            for job_id in shown.keys() - fresh.keys() - self._broken
        ]

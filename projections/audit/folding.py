"""Folding histories to see whether an engine could have written them: an event that the lifecycle forbids is a finding.

Jobs are folded side by side, as they lie in the log. What that takes is bounded: settled jobs are let go first, and
whoever begins, or comes back, when there is no room is left for another pass over the log.
"""

from __future__ import annotations

from typing import Any

from jobledger.core.codec import Commit
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import HALTED, JobState, LifecycleError

from .findings import Finding, FindingKind, Findings

#: how many tasks may be in memory at once; a job counts as some even if it has one
ROOM = 1_000_000
_JOB = 40

#: what impossible contents of a known event lead to, beside the lifecycle's own refusal
_IMPOSSIBLE = (LifecycleError, ValueError, LookupError, OverflowError, TypeError, AttributeError)


class Folding:
    """The jobs of one pass."""

    def __init__(self, findings: Findings, *, room: int = ROOM) -> None:
        self._findings = findings
        self._room = room
        self._left = room
        self._jobs: dict[str, Job] = {}
        self._takes: dict[str, int] = {}
        self._settled: dict[str, None] = {}
        self._unclear: set[str] = set()  # jobs with events of later versions, whose meaning is not known
        self._given_up: set[str] = set()
        self._evicts = True
        self.deferred: set[str] = set()  #: jobs that wait for another pass

    def another_pass(self) -> set[str]:
        """Begin another pass over the log; return the jobs that it is for. Nothing of it is let go then."""
        jobs, self.deferred = self.deferred, set()
        self._jobs.clear()
        self._takes.clear()
        self._settled.clear()
        self._left = self._room
        self._evicts = False
        return jobs

    def give_up(self, job_id: str) -> None:
        """Its history is broken: what follows cannot be judged."""
        self._given_up.add(job_id)
        self.deferred.discard(job_id)
        self._forget(job_id)

    def add(self, position: int, job_id: str, version: int, commit: Commit) -> None:
        """Apply the next commit of a job whose chain holds."""
        job = self._jobs.get(job_id)
        if job is None:
            if job_id in self._given_up or job_id in self.deferred:
                return
            if version != 1 or not self._make_room():
                self.deferred.add(job_id)
                return
            job = self._jobs[job_id] = Job(job_id)
        problem = self._applied(job, commit)
        if problem:
            self._findings.add(Finding(FindingKind.FORBIDDEN, problem, job_id, version, position))
            self.give_up(job_id)
            return
        takes = _JOB + len(job.graph)
        self._left -= takes - self._takes.get(job_id, 0)
        self._takes[job_id] = takes
        self._settled.pop(job_id, None)
        if job.settled:
            self._settled[job_id] = None

    def _applied(self, job: Job, commit: Commit) -> str:
        """Apply a commit, and return what is wrong with it."""
        at = commit.at
        event: Any = None
        try:
            for event in commit.events:
                evolve(job, event, at)
        except _IMPOSSIBLE as error:
            index = next(index for index, one in enumerate(commit.events) if one is event)
            return f"event {index} ({type(event).__name__}): {error}"
        return "" if job.id in self._unclear else _mismatch(job, commit)

    def unclear(self, job_id: str) -> None:
        """It has events whose meaning is not known: what follows from them is not judged."""
        self._unclear.add(job_id)

    def _make_room(self) -> bool:
        while self._left < _JOB and self._settled and self._evicts:
            self._forget(next(iter(self._settled)))
        return self._left >= _JOB or not self._jobs

    def _forget(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
        self._settled.pop(job_id, None)
        self._left += self._takes.pop(job_id, 0)


def _mismatch(job: Job, commit: Commit) -> str:
    """Return what a commit leaves behind that no decision leaves behind; decisions are never divided."""
    if commit.settled and not job.settled:
        # Not the other way round: an engine that has decided more already does not call the job settled.
        return "it says that the job is settled, and the job is not"
    if not job.left and job.state and job.state not in HALTED:
        return f"nothing of the job is left to run, and it is {JobState(job.state).name}"
    return ""

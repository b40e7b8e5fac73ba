"""What a view across jobs knows of one of them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from jobledger.core.lifecycle import JobState, TaskState

from ..job_view import JobError
from ..progress import ProgressIndicator
from ..utc import utc, utc_or_none

_POSITION_BITS = 30
_POSITIONS = 1 << _POSITION_BITS
_LATEST = 2**33 - 1  # s: the year 2242


def place_of(submitted: int, position: int) -> int:
    """Return the place of a job among all: one integer, unique, and larger for what was submitted later.

    It is the second of the submission, and after it the place in the log. A view sorts by it, cuts its pages by it,
    and finds the jobs of a time by it.

    Units:  `submitted` is µs since 1970 UTC.

    >>> place_of(1_000_000, 7) < place_of(1_000_000, 8) < place_of(2_000_000, 3)
    True
    """
    second = min(max(0, submitted // 1_000_000), _LATEST)
    return second * _POSITIONS + position % _POSITIONS


def first_place(moment: int) -> int:
    """Return the first place of the second that `moment` is in."""
    return place_of(moment, 0)


#: where the second is in which all are that were submitted after it
LAST_SECOND = first_place(_LATEST * 1_000_000)


class JobRow(msgspec.Struct, array_like=True, frozen=True):
    """One job in short, as of one commit. Times are µs since 1970 UTC, 0 where not known; properties have them readable.

    >>> row = client.jobs().rows(limit=1)[0]
    >>> row.name, row.state, row.submitted_at == job.submitted_at
    ('greetings', <JobState.COMPLETED: 4>, True)
    >>> row
    JobRow(place=..., id='...', name='greetings', state=<JobState.COMPLETED: 4>, settled=True, counts=[0, 0, 0, 1, ...],
    submitted=..., started=..., finished=..., updated=..., position=..., version=..., percent=100.0, indicators=[],
    clusters=['default'], labels={}, root_tasks=['Greet'], task_names=['Greet'], reason='', message='',
    on_failure='halt', by='...', key='', failed_task=-1)
    """

    place: int  #: among all jobs, see `place_of`
    id: str
    name: str
    state: JobState
    settled: bool = False
    counts: list[int] = []  #: tasks by TaskState value
    submitted: int = 0
    started: int = 0  #: when the first task began, by its runner's clock
    finished: int = 0  #: when it settled; 0 again once it is retried
    updated: int = 0  #: when the last commit was decided
    position: int = 0  #: of the last commit in the log
    version: int = 0
    percent: float = 0.0
    indicators: list[tuple[str, int, int]] = []  #: label, total and done of what its tasks count
    clusters: list[str] = []
    labels: dict[str, str] = {}
    root_tasks: list[str] = []  #: names of the tasks it began with, each once
    task_names: list[str] = []  #: of all its tasks, each once
    reason: str = ""  #: of the error that failed it: the name of the exception's type
    message: str = ""
    on_failure: str = "halt"
    by: str = ""  #: who submitted it, as user@host
    key: str = ""  #: the idempotency key it was submitted with
    failed_task: int = -1  #: number of the task that failed it

    @property
    def tasks_by_state(self) -> dict[TaskState, int]:
        """How many tasks are in each state; every state is a key.

        >>> client.jobs().rows(limit=1)[0].tasks_by_state[TaskState.COMPUTED]
        1
        """
        counts = self.counts
        return {state: counts[state.value] if state.value < len(counts) else 0 for state in TaskState}

    @property
    def progress(self) -> list[ProgressIndicator]:
        """What the tasks count, added up by label.

        >>> client.jobs().rows(limit=1)[0].progress
        []
        """
        return [ProgressIndicator(label or None, total, done) for label, total, done in self.indicators]

    @property
    def error(self) -> JobError | None:
        """Why it failed, without the traceback; None unless it did.

        >>> client.jobs().rows(limit=1)[0].error is None
        True
        """
        if self.state is not JobState.FAILED:
            return None
        task = f"{self.id}/{self.failed_task}" if self.failed_task >= 0 else ""
        return JobError(task, self.reason, self.message, "")

    @property
    def submitted_at(self) -> datetime:
        """When the engine accepted it (aware UTC).

        >>> client.jobs().rows(limit=1)[0].submitted_at == job.submitted_at
        True
        """
        return utc(self.submitted)

    @property
    def started_at(self) -> datetime | None:
        """When its first task was started (aware UTC); None while none was.

        >>> client.jobs().rows(limit=1)[0].started_at == job.started_at
        True
        """
        return utc_or_none(self.started)

    @property
    def finished_at(self) -> datetime | None:
        """When it was settled (aware UTC); None while it is not, and again once it is retried.

        >>> client.jobs().rows(limit=1)[0].finished_at == job.finished_at
        True
        """
        return utc_or_none(self.finished)

    @property
    def updated_at(self) -> datetime:
        """When something last happened to it (aware UTC).

        >>> client.jobs().rows(limit=1)[0].updated_at == job.history[-1].at
        True
        """
        return utc(self.updated)

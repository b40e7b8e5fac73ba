"""A job as users hold it: every property reads what is new in the log first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NoReturn, Self, TypeVar
from uuid import UUID

from jobledger.core.errors import JobCanceled, JobFailed, JobLedgerError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.history import History
from jobledger.projections.job_view import JobError, JobView
from jobledger.projections.progress import ProgressIndicator
from jobledger.projections.tasks import Tasks

from ..portal import shared_portal
from . import arguments
from .reading import Reading

T = TypeVar("T")


class Job:
    """A submitted job, live: reading a property fetches what was committed since the last reading, and no more.

    Jobs come from `client.jobs().submit(…)` and `client.jobs().find(id)`. Two are equal if their ids are.
    Errors of every property and method: NotFoundError if the log does not know the job, DamagedLog if its history
    cannot be read, ServerUnavailable if the server stays away.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.runner(tasks=[Greet]).run_all()
    >>> job.wait().state
    <JobState.COMPLETED: 4>
    >>> [task.state.name for task in job.tasks]
    ['COMPUTED']
    >>> job.history[-1].text
    'job completed'
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def id(self) -> UUID:
        """Names the job for ever. Known without asking the server."""
        return UUID(self._reading.job_id)

    @property
    def name(self) -> str:
        """The name it was submitted under."""
        known = self._reading.name
        return self._look(lambda view: view.job.name) if known is None else known

    @property
    def submitted_at(self) -> datetime:
        """When the engine accepted it (aware UTC)."""
        return self._look(lambda view: view.submitted_at)

    @property
    def settled_at(self) -> datetime | None:
        """When it settled (aware UTC); None while it has not, and again once it is retried."""
        return self._look(lambda view: view.settled_at)

    @property
    def state(self) -> JobState:
        """Where it stands now."""
        return self._look(_state)

    @property
    def settled(self) -> bool:
        """Whether it is completed, failed or canceled, and no task of it is running any more."""
        return self._look(lambda view: view.settled)

    @property
    def canceled(self) -> bool:
        """Whether it is CANCELED: by a user, and not retried since."""
        return self.state is JobState.CANCELED

    @property
    def error(self) -> JobError | None:
        """Why it failed: `task_id`, `reason` (type of the exception), `message`, `traceback`. None unless it did."""
        return self._look(lambda view: view.error)

    @property
    def tasks(self) -> Tasks:
        """Its tasks, in order of submission: a sequence that can be filtered by state and name.

        They show the job as of its latest reading: `refresh` it, or read any property, to see them move on.

        >>> [task.display for task in job.tasks.filter(state=TaskState.COMPUTED)]
        ['Hello, world']
        """
        return self._look(lambda view: view.tasks)

    @property
    def tasks_by_state(self) -> dict[TaskState, int]:
        """How many tasks are in each state; every state is a key."""
        return self._look(lambda view: view.tasks_by_state)

    @property
    def progress(self) -> list[ProgressIndicator]:
        """How far its tasks have come, by the labels they count under with `context.progress(label)`.

        A task adds its counts when it ends, and a task that is tried again counts as it did last.

        >>> job.progress
        []
        """
        return self._look(lambda view: view.progress)

    @property
    def history(self) -> History:
        """Everything that happened to it, in order; `str(job.history)` is the timeline, one line per event (of
        more than a thousand: the first and the last).

        Read from the log as a whole each time: keep it in a variable while looking at it.

        >>> for entry in job.history:
        ...     print(entry.at.year, entry.text)  # doctest: +ELLIPSIS
        2... job 'greetings' submitted by ... with 1 root task
        2... task 0 (Greet) claimed by runner ..., attempt 1
        2... task 0 (Greet) computed by attempt 1 in ...
        2... job completed
        """
        return shared_portal().run(self._reading.history())

    def refresh(self) -> Self:
        """Read what is new, and return the job."""
        shared_portal().run(self._reading.refresh())
        return self

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = True) -> Self:
        """Return once the job is settled: told by the engine, across restarts of it and of the server.

        Units:  `timeout` is seconds; None waits without limit.
        Shape:  `raise_on_failure=False` also returns when the job has failed or was canceled.
        Errors: JobFailed, saying which task failed and why, or JobCanceled; TimeoutError (the builtin one) with the
                state so far; ServerUnavailable when nobody answers for five minutes; ArgumentError for `timeout`.

        >>> job.wait(timeout=60).state
        <JobState.COMPLETED: 4>
        """
        view = shared_portal().run(self._reading.wait_settled(arguments.seconds("timeout", timeout)))
        if raise_on_failure and view.state is JobState.FAILED:
            _raise_failed(view)
        if raise_on_failure and view.state is JobState.CANCELED:
            _raise_canceled(view)
        return self

    def _look(self, at: Callable[[JobView], T]) -> T:
        return shared_portal().run(self._reading.look(at))

    def __eq__(self, other: object) -> bool:
        return self._reading.job_id == other._reading.job_id if isinstance(other, Job) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._reading.job_id)

    def __repr__(self) -> str:
        state = self._reading.view.state
        seen = f" {state.name}" if state else ""
        return f"<Job {self._reading.name!r} {self._reading.job_id}{seen}>"

    def __str__(self) -> str:
        try:
            return self._look(_summary)
        except (JobLedgerError, RuntimeError):  # away, or asked on the loop that would have to answer
            return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Job belongs to its Client and cannot be copied elsewhere: pass job.id, and find it there"
        )


def _state(view: JobView) -> JobState:
    assert view.state is not None  # a reading that returned has at least one commit
    return view.state


def _summary(view: JobView) -> str:
    states = ", ".join(f"{count} {state.name}" for state, count in view.tasks_by_state.items() if count)
    return f"job {view.job.name!r} ({view.job.id}): {_state(view).name}, tasks: {states}"


def _raise_failed(view: JobView) -> NoReturn:
    job, error = view.job, view.error
    assert error is not None
    assert job.failed_task is not None
    task = view.tasks[job.failed_task]
    raise JobFailed(
        f"job {job.name!r} ({job.id}) failed: task {task.id} ({task.name}) failed at attempt {task.attempt} "
        f"with {error}. Mend the cause, then go on from there, keeping what is computed: "
        f"client.jobs().retry('{job.id}')",
        job_id=job.id,
        task_id=task.id,
        reason=error.reason,
        detail=error.message,
    )


def _raise_canceled(view: JobView) -> NoReturn:
    job, cancel = view.job, view.canceled
    by, reason = (cancel.by, cancel.reason) if cancel is not None else ("", "")
    raise JobCanceled(
        f"job {job.name!r} ({job.id}) was canceled{f' by {by}' if by else ''}{f': {reason}' if reason else ''}. "
        f"To go on with it: client.jobs().retry('{job.id}')",
        job_id=job.id,
        by=by,
        reason=reason,
    )

"""What can be read of a job: the properties that `Job` and `AsyncJob` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import UUID

from jobledger.core.errors import JobLedgerError
from jobledger.core.events import Origin
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.options import OnFailure
from jobledger.projections.job_view import JobError, JobView
from jobledger.projections.progress import ProgressIndicator
from jobledger.projections.statistics import ExecutionStats
from jobledger.projections.tasks import Tasks
from jobledger.projections.vocabulary import JobStatus, SubmissionStatus

from .reading import Reading
from .reasons import Reasons, against_deletion

if TYPE_CHECKING:
    from jobledger.projections.cards import Bundle

T = TypeVar("T")


class JobFacts(ABC):
    """A job by its id, and what is known of it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    @abstractmethod
    def _look(self, at: Callable[[JobView], T]) -> T:
        """Return something of the view of the job."""

    # -- what it is -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> UUID:
        """Names the job for ever. Known without asking the server.

        >>> client.jobs().find(job.id) == job
        True
        """
        return UUID(self._reading.job_id)

    @property
    def name(self) -> str:
        """The name it was submitted under.

        >>> job.name
        'greetings'
        """
        known = self._reading.name
        return self._look(lambda view: view.job.name) if known is None else known

    @property
    def labels(self) -> dict[str, str]:
        """The labels it was submitted with.

        >>> job.labels
        {}
        """
        return self._look(lambda view: view.labels)

    @property
    def info(self) -> dict[str, Any]:
        """What it is, for showing: its name, clusters, root task, labels, who submitted it, and so on.

        >>> job.info["name"], job.info["root_task"]
        ('greetings', 'Greet')
        """
        return self._look(lambda view: view.info)

    @property
    def origin(self) -> Origin | None:
        """The point of another job's history it was forked from: `job`, `position`, `version` and the `digest` of the
        commit there. None for a job that begins at its beginning.

        >>> fork = client.jobs().fork(job)
        >>> fork.origin.job == str(job.id), job.origin is None
        (True, True)
        """
        return self._look(lambda view: view.origin)

    @property
    def deadline(self) -> datetime | None:
        """When it fails if it is not over by then (aware UTC); None for never.

        >>> job = client.jobs().submit("greetings", Greet("world"), deadline=datetime(2100, 1, 1, tzinfo=UTC))
        >>> print(job.deadline)
        2100-01-01 00:00:00+00:00
        """
        return self._look(lambda view: view.deadline)

    @property
    def on_failure(self) -> OnFailure:
        """What the failure of a task does to it, unless the task says otherwise: "halt" or "continue".

        >>> job.on_failure
        'halt'
        """
        return self._look(lambda view: view.on_failure)

    @property
    def force(self) -> bool:
        """Whether its tasks run although the result of an earlier success could be taken.

        >>> job.force
        False
        """
        return self._look(lambda view: view.force)

    @property
    def sealed(self) -> bool:
        """Whether its inputs, results and errors are encrypted, with a key that is destroyed when it is deleted.

        >>> job.sealed, client.jobs().submit("greetings", Greet("world"), encrypt=True).sealed
        (False, True)
        """
        return self._look(lambda view: view.sealed)

    # -- where it stands --------------------------------------------------------------------------------------------

    @property
    def state(self) -> JobState:
        """Where it stands now.

        >>> job.state
        <JobState.COMPLETED: 4>
        """
        return self._look(_state)

    @property
    def submission_status(self) -> SubmissionStatus:
        """Where it stands, in Taipy's words.

        >>> job.submission_status
        <SubmissionStatus.COMPLETED: 7>
        """
        return self._look(lambda view: view.submission_status)

    @property
    def job_status(self) -> JobStatus:
        """Where it stands, in Fiddler's words.

        >>> job.job_status
        <JobStatus.SUCCESS: 'SUCCESS'>
        """
        return self._look(lambda view: view.job_status)

    @property
    def settled(self) -> bool:
        """Whether it is completed, failed or canceled, and no task of it is running any more.

        >>> job.settled, client.jobs().submit("greetings", Greet("world")).settled
        (True, False)
        """
        return self._look(lambda view: view.settled)

    @property
    def canceled(self) -> bool:
        """Whether it is CANCELED, and not retried since.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.jobs().cancel(job)
        True
        >>> job.canceled
        True
        """
        return self.state is JobState.CANCELED

    @property
    def error(self) -> JobError | None:
        """Why it failed: `task_id`, `reason` (type of the exception), `message`, `traceback`. None unless it did.

        >>> class Copy(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         raise OSError("the disk is full")
        >>> job = client.jobs().submit("copying", Copy())
        >>> client.runner(tasks=[Copy]).run_all()
        ERROR: Task Copy failed with exception: OSError('the disk is full') ...
        >>> job.error.reason, job.error.message
        ('OSError', 'the disk is full')
        """
        return self._look(lambda view: view.error)

    @property
    def deletable(self) -> Reasons:
        """Whether it can be deleted now, and what is against it: true, or false with `reasons`.

        >>> bool(job.deletable)
        True
        """
        return self._look(against_deletion)

    # -- when -------------------------------------------------------------------------------------------------------

    @property
    def submitted_at(self) -> datetime:
        """When the engine accepted it (aware UTC).

        >>> print(InlineClient().run(Greet("world")).submitted_at)
        2026-01-01 00:00:00+00:00
        """
        return self._look(lambda view: view.submitted_at)

    @property
    def started_at(self) -> datetime | None:
        """When its first task was started (aware UTC); None while none was.

        >>> print(InlineClient().run(Greet("world")).started_at)
        2026-01-01 00:00:00+00:00
        """
        return self._look(lambda view: view.started_at)

    @property
    def finished_at(self) -> datetime | None:
        """When it was settled (aware UTC); None while it is not, and again once it is retried.

        >>> class Slow(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         clock.advance(90)
        >>> clock = VirtualClock()
        >>> print(InlineClient(clock=clock).run(Slow()).finished_at)
        2026-01-01 00:01:30+00:00
        """
        return self._look(lambda view: view.finished_at)

    @property
    def settled_at(self) -> datetime | None:
        """When it settled (aware UTC); None while it has not, and again once it is retried.

        >>> job.settled_at == job.finished_at
        True
        """
        return self._look(lambda view: view.settled_at)

    # -- its tasks --------------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> Tasks:
        """Its tasks, in order of submission: a sequence that can be filtered by state and name.

        They show the job as of its latest reading: `refresh` it to see them move on.

        >>> [task.display for task in job.tasks.filter(state=TaskState.COMPUTED)]
        ['Hello, world']
        """
        return self._look(lambda view: view.tasks)

    @property
    def tasks_by_state(self) -> dict[TaskState, int]:
        """How many tasks are in each state; every state is a key.

        >>> {state.name: count for state, count in job.tasks_by_state.items() if count}
        {'COMPUTED': 1}
        """
        return self._look(lambda view: view.tasks_by_state)

    @property
    def progress(self) -> list[ProgressIndicator]:
        """How far its tasks have come, by the labels they count under with `context.progress(label)`.

        A task that is tried again counts as it did last.

        >>> job.progress
        []
        """
        return self._look(lambda view: view.progress)

    @property
    def percent(self) -> float:
        """How far it has come, from 0 to 100: by what its tasks count, or else by how many of them are done.

        >>> job.percent
        100.0
        """
        return self._look(lambda view: view.percent)

    @property
    def execution_stats(self) -> ExecutionStats:
        """When its tasks ran, for how long, and how many at a time.

        >>> job.execution_stats.total_tasks
        1
        """
        return self._look(lambda view: view.execution_stats)

    # -- as an object -----------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return self._identity == other._identity if isinstance(other, JobFacts) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> object:
        """What is the same of two that are equal."""
        return self._reading.job_id

    def __repr__(self) -> str:
        state = self._reading.state
        seen = f" {state.name}" if state else ""
        return f"<{type(self).__name__} {self._reading.name!r} {self._reading.job_id}{seen}>"

    def __str__(self) -> str:
        try:
            return self._look(_summary)
        except (JobLedgerError, RuntimeError):  # away, or asked on the loop that would have to answer
            return repr(self)

    def _ipython_display_(self) -> None:
        """Have a notebook show it as a card that keeps itself up to date until it is settled.

        Errors: NotImplementedError, by which IPython asks for `_repr_mimebundle_`: elsewhere than in a notebook.
        """
        from ..show import live

        screen = live.notebook()
        try:
            self._look(lambda view: view.show_live())
        except JobLedgerError as error:
            live.show_known(screen, self._reading.view, str(error))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        """What is shown of it where that cannot be kept up to date."""
        from jobledger.projections.cards import job_bundle, with_note

        try:
            return self._look(job_bundle)
        except (JobLedgerError, RuntimeError) as error:
            return with_note(job_bundle(self._reading.view), f"As of its latest reading: {error}")

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

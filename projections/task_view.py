"""One task for reading: made when asked for, over the arrays of its job's view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jobledger.core import ranges
from jobledger.core.events import Error, Value
from jobledger.core.graph import HELD, READY, ROOT
from jobledger.core.lifecycle import HALTED, TaskState
from jobledger.core.submission import NO_DEPENDENCIES, TaskSpec
from jobledger.core.task import TaskIdentifier
from jobledger.core.undecodable import UNDECODABLE

from .attempts import Attempt, AttemptOutcome, Ended, Source
from .dismissals import Cause, cause_of
from .policies import TaskPolicies
from .sealed import OBJECT, of_result
from .times import TaskTimes
from .utc import utc, utc_or_none
from .vocabulary import JobStatus, Status, status_of, task_job_status
from .waiting import why_waiting

if TYPE_CHECKING:
    from .job_view import JobView, StopRequest
    from .tasks import Tasks


class TaskView(TaskTimes, TaskPolicies):
    """One task, as its job's view stands at the moment of each reading. Equal to every view of the same task.

    >>> task = job.tasks[0]
    >>> task
    <Task 0 Greet v0.0 COMPUTED>
    >>> print(task)
    Hello, world (COMPUTED)
    >>> task.number
    0
    """

    __slots__ = ("_view", "number")

    def __init__(self, view: JobView, number: int) -> None:
        self._view = view
        self.number = number  #: place in the job, from 0 in order of submission

    @property
    def id(self) -> str:
        """The job's id and the task's number, with a slash between them.

        >>> task.id == f"{job.id}/0"
        True
        """
        return f"{self._view.job.id}/{self.number}"

    @property
    def _spec(self) -> TaskSpec:
        return self._view.job.spec_of(self.number)

    @property
    def identifier(self) -> TaskIdentifier:
        """The code it needs, as submitted.

        >>> print(task.identifier)
        Greet v0.0
        """
        return self._spec.identifier

    @property
    def name(self) -> str:
        """Name of its identifier; the name of its class unless that says otherwise.

        >>> task.name
        'Greet'
        """
        return self._spec.name

    @property
    def version(self) -> str:
        """Version of its identifier as submitted, such as "v1.2".

        >>> task.version
        'v0.0'
        """
        return self.identifier.version

    def at(self, now: int) -> TaskView:
        """Return this task as it reads at that time, in µs: the same facts, another clock.

        >>> task.at(0).state is task.state
        True
        """
        return TaskView(self._view.at(now), self.number)

    # -- where it stands ----------------------------------------------------------------------------------------

    @property
    def state(self) -> TaskState:
        """Where it stands.

        >>> task.state
        <TaskState.COMPUTED: 3>
        """
        return self._view.job.state_of(self.number)

    @property
    def status(self) -> Status:
        """Its state in Taipy's words.

        >>> task.status
        <Status.COMPLETED: 7>
        """
        return status_of(self._view, self.number)

    @property
    def job_status(self) -> JobStatus:
        """Its state in Fiddler's words.

        >>> task.job_status
        <JobStatus.SUCCESS: 'SUCCESS'>
        """
        return task_job_status(self._view, self.number)

    @property
    def complete(self) -> bool:
        """Whether it and its whole subtree are finished: what tasks that depend on it wait for.

        >>> task.complete
        True
        """
        return self._view.job.graph.is_complete(self.number)

    @property
    def ready(self) -> bool:
        """Whether a runner could take it now.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> job.tasks[0].ready
        True
        """
        view, number = self._view, self.number
        readiness = view.job.graph.ready[number]
        due = readiness == READY or (readiness == HELD and not view.held(number))
        return due and view.job.state not in HALTED

    @property
    def waiting(self) -> str | None:
        """Why it does not run, in words; None while it does, and once it is computed or failed.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> job.tasks[0].waiting
        "ready: waits for a runner of cluster 'default' with task Greet v0.0"
        """
        return why_waiting(self._view, self.number)

    @property
    def cause(self) -> Cause | None:
        """Why it was skipped, canceled or abandoned: `task`, the number of the one that failed or was canceled, and
        `text`. None unless it is in such a state.

        >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
        >>> client.jobs().cancel(job.tasks[1], reason="not in the mood")
        1
        >>> print(job.refresh().tasks[1].cause)
        canceled by ...: not in the mood
        """
        return cause_of(self._view, self.number)

    @property
    def cancel_requested(self) -> StopRequest | None:
        """By whom, and why, it is asked to stop; None unless it is running and is.

        >>> class Export(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         job = client.jobs().find(context.current_task.job.id)
        ...         client.jobs().cancel(job, reason="wrong input")
        ...         print(job.tasks[0].cancel_requested)
        >>> client = InlineClient()
        >>> job = client.run(Export())
        StopRequest(by='...', reason='wrong input')
        """
        return self._view.stop_request(self.number)

    # -- the graph ----------------------------------------------------------------------------------------------

    @property
    def parent(self) -> TaskView | None:
        """The task that submitted it; None for a root task.

        >>> class Morning(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.submit_subtask(Greet("world"))
        >>> job = InlineClient().run(Morning(), Greet)
        >>> job.tasks[0].parent, job.tasks[1].parent
        (None, <Task 0 Morning v0.0 COMPUTED>)
        """
        parent = self._view.job.graph.parent[self.number]
        return None if parent == ROOT else TaskView(self._view, parent)

    @property
    def children(self) -> Tasks:
        """The tasks it submitted.

        >>> class Morning(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.submit_subtasks([Greet("you"), Greet("me")])
        >>> job = InlineClient().run(Morning(), Greet)
        >>> [task.number for task in job.tasks[0].children]
        [1, 2]
        """
        return self._view.select(self._view.job.graph.children(self.number))

    @property
    def depends_on(self) -> Tasks:
        """The tasks that must be complete before it starts.

        >>> class Morning(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         first = context.submit_subtask(Greet("you"))
        ...         context.submit_subtask(Greet("me"), depends_on=first)
        >>> job = InlineClient().run(Morning(), Greet)
        >>> [task.display for task in job.tasks[2].depends_on]
        ['Hello, you']
        """
        graph = self._view.job.graph
        index = graph.dependencies[self.number]
        members = [] if index == NO_DEPENDENCIES else list(ranges.numbers(graph.members[index]))
        return self._view.select(members)

    # -- what goes in and comes out -----------------------------------------------------------------------------

    @property
    def input(self) -> bytes:
        """Its input as it travels: JSON, or nothing for a task without fields.

        Errors: JobLedgerError if it lies in the object store and this view has no way to it; `input_object` names it.

        >>> task.input
        b'"world"'
        """
        view = self._view
        name = self.input_object
        return view.opener.opened(view.fetched(name), OBJECT) if name else view.input_of(self.number)

    @property
    def input_object(self) -> str | None:
        """Name of the object that holds its input; None where the log itself does.

        >>> task.input_object is None
        True
        """
        if self.number not in self._view.job.references:
            return None
        return self._view.input_of(self.number).decode("utf-8", "replace")

    @property
    def input_json(self) -> Any:
        """Its input as JSON data: None without fields, the bare value of one field, a dict of several.

        Bytes that are no JSON, which a client in another language may have sent, are shown as text.
        Errors: as `input`.

        >>> task.input_json
        'world'
        """
        return _decoded(self.input)

    @property
    def result(self) -> Any:
        """What it returned, as JSON data; None as well where it returned nothing, or has not yet.

        Errors: JobLedgerError if it lies in the object store and this view has no way to it; `value` names it.

        >>> class Add(Task):
        ...     left: int
        ...     right: int
        ...
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         return self.left + self.right
        >>> InlineClient().run(Add(1, 2)).tasks[0].result
        3
        """
        value = self.value
        if value is None:
            return None
        return _decoded(self.opened(self._view.fetched(value.object)) if value.object else value.data)

    def opened(self, result: bytes) -> bytes:
        """Return what it returned, given the bytes of the object that has it: the same, unless the job is sealed.

        Errors: as `Opener.opened`.

        >>> task.opened(b"the bytes of the object")
        b'the bytes of the object'
        """
        return self._view.opener.opened(result, of_result(self.number))

    @property
    def value(self) -> Value | None:
        """What it returned, as the log holds it: JSON in `data`, or else the name of the `object` that has it.

        >>> class Add(Task):
        ...     left: int
        ...     right: int
        ...
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         return self.left + self.right
        >>> InlineClient().run(Add(1, 2)).tasks[0].value.data
        b'3'
        """
        value = self._view.job.results.get(self.number)
        if value is None or value.object:
            return value
        return Value(self.opened(value.data))

    @property
    def reused(self) -> bool:
        """Whether it did not run, because the result of an earlier success was taken.

        >>> class Double(Task, reuse=True):
        ...     number: int
        ...
        ...     def execute(self, context: ExecutionContext) -> int:
        ...         return 2 * self.number
        >>> for _ in range(2):
        ...     job = client.jobs().submit("doubling", Double(7))
        ...     client.runner(tasks=[Double]).run_all()
        ...     print(job.tasks[0].reused, job.result)
        False 14
        True 14
        """
        return self.number in self._view.reused

    @property
    def source(self) -> Source | None:
        """The task whose result it took; None unless it is `reused`.

        >>> class Half(Task, reuse=True):
        ...     number: int
        ...
        ...     def execute(self, context: ExecutionContext) -> float:
        ...         return self.number / 2
        >>> first = client.jobs().submit("halving", Half(7))
        >>> client.runner(tasks=[Half]).run_all()
        >>> second = client.jobs().submit("halving", Half(7))
        >>> client.runner(tasks=[Half]).run_all()
        >>> str(second.tasks[0].source) == first.tasks[0].id
        True
        """
        return self._view.reused.get(self.number)

    @property
    def origin(self) -> Source | None:
        """The task it was taken over from when its job was forked; None if it ran, or is to run, in this job.

        >>> fork = client.jobs().fork(job)
        >>> str(fork.tasks[0].origin) == job.tasks[0].id
        True
        """
        view, number = self._view, self.number
        origin = view.job.options.origin
        return Source(origin.job, view.sources[number]) if origin and view.taken(number) else None

    @property
    def display(self) -> str:
        """What it set as its display text; its name before that.

        >>> task.display
        'Hello, world'
        """
        return self._view.displays.get(self.number) or self.name

    # -- its runs -----------------------------------------------------------------------------------------------

    @property
    def attempt(self) -> int:
        """Number of its current or last attempt; 0 before the first.

        >>> task.attempt
        1
        """
        return self._view.job.attempt[self.number]

    @property
    def attempts(self) -> list[Attempt]:
        """Every run of it, oldest first.

        >>> [str(attempt) for attempt in task.attempts]
        ['attempt 1 computed']
        """
        view, number = self._view, self.number
        attempts = [_attempt(view, ended) for ended in view.ended.get(number, ())]
        outcome = _OUTCOMES.get(self.state)
        if outcome is not None:
            outcome = AttemptOutcome.REUSED if self.reused else outcome
            times = view.claimed[number], view.started[number], view.stopped[number]
            attempts.append(_attempt(view, Ended(self.attempt, outcome, view.runs[number], *times, None, "")))
        return attempts

    @property
    def runner(self) -> str:
        """Who has, or had, its current or last attempt; empty before the first.

        >>> InlineClient().run(Greet("world")).tasks[0].runner
        'inline'
        """
        return self._view.runners[self._view.runs[self.number]]

    @property
    def error(self) -> Error | None:
        """Why its last attempt failed; None while one runs, and once it is computed.

        >>> class Copy(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         raise OSError("the disk is full")
        >>> job = InlineClient().run(Copy())
        ERROR: Task Copy failed with exception: OSError('the disk is full') ...
        >>> job.tasks[0].error.reason, job.tasks[0].error.message
        ('OSError', 'the disk is full')
        """
        ended = self._view.ended.get(self.number)
        return ended[-1].error if ended and ended[-1].number == self.attempt else None

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, TaskView) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Task {self.number} {self.name} {self.version} {self.state.name}>"

    def __str__(self) -> str:
        return f"{self.display} ({self.state.name})"

    def _ipython_display_(self) -> None:
        """Have a notebook show it as a card that keeps itself up to date until it is over."""
        self._view.show_live(self.number)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What is shown of it where that cannot be kept up to date."""
        from .cards import task_bundle

        return task_bundle(self)


#: how the attempt stands that is not among those that ended otherwise, by the state of the task
_OUTCOMES = {TaskState.RUNNING: AttemptOutcome.RUNNING, TaskState.COMPUTED: AttemptOutcome.COMPUTED}


def _attempt(view: JobView, ended: Ended) -> Attempt:
    return Attempt(
        ended.number,
        ended.outcome,
        view.runners[ended.runner],
        utc(ended.claimed),
        utc_or_none(ended.started),
        utc_or_none(ended.stopped),
        ended.error,
        ended.reason,
    )


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data) if data else None
    except UNDECODABLE:
        return data.decode("utf-8", "replace")

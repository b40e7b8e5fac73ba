"""The state of a job."""

from __future__ import annotations

from array import array

from .. import events as e
from ..graph import ROOT, TaskGraph
from ..lifecycle import HALTED, JobState, TaskState
from ..submission import Submission, TaskSpec

_QUEUED, _RUNNING = TaskState.QUEUED.value, TaskState.RUNNING.value
_LOST = (TaskState.FAILED.value, TaskState.CANCELED.value, TaskState.ABANDONED.value)
_DELETED = JobState.DELETED.value

NO_OPTIONS = e.JobOptions()


class Job:
    """One job, in arrays indexed by task number. About 150 bytes a task beyond the inputs."""

    __slots__ = (
        "attempt",
        "by",
        "cancel",
        "cancel_requests",
        "claimed_by",
        "commands",
        "counts",
        "deadline",
        "erased",
        "expiries",
        "failed_task",
        "failures",
        "graph",
        "halt",
        "id",
        "inputs",
        "let_go",
        "lost_alone",
        "name",
        "options",
        "plan",
        "references",
        "results",
        "reuse_keys",
        "slots",
        "spec_index",
        "specs",
        "staged",
        "state",
        "submitted_at",
        "taken_over",
        "unwanted",
    )

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.name = ""
        self.by = ""
        self.submitted_at = 0
        self.options = NO_OPTIONS
        self.deadline = 0  #: µs since 1970 UTC; 0 for none
        self.plan = b""  #: of a fork: names what it takes over
        self.taken_over: list[e.TasksTakenOver] = []  #: the parts of it that are known, before JobSubmitted
        self.state = 0  #: a JobState value; 0 before JobSubmitted
        self.erased = False  #: its key is destroyed
        self.graph = TaskGraph()
        self.specs: list[TaskSpec] = []  #: the kinds of task seen so far
        self.spec_index: dict[TaskSpec, int] = {}
        self.inputs: list[bytes] = []
        self.references: set[int] = set()  #: tasks whose input is the name of an object
        self.results: dict[int, e.Value] = {}  #: of the tasks that returned something
        self.reuse_keys: dict[int, bytes] = {}  #: by which later tasks find a success, once it is complete
        self.attempt = array("I")  #: number of the current or last attempt, 0 before the first
        self.counts = [0] * (len(TaskState) + 1)  #: how many tasks are in each TaskState
        self.failures: dict[int, int] = {}  #: failed attempts since the task was last retried, where not 0
        self.expiries: dict[int, int] = {}  #: expired leases since the task was last retried, where not 0
        self.lost_alone: dict[
            int, int
        ] = {}  #: those among them that nothing but the task explains, where not 0
        #: by task, the last attempt that ended without its runner's word on it: given back, or its lease expired
        self.let_go: dict[int, int] = {}
        self.claimed_by: dict[int, str] = {}  #: runner of each running task
        self.slots: dict[str, int] = {}  #: how many tasks run, by concurrency key; a key that was seen stays
        self.staged: dict[int, list[Submission]] = {}  #: subtasks of attempts that have not reported yet
        self.cancel_requests: dict[int, e.CancelRequested] = {}  #: what running tasks were asked to stop by
        self.cancel: e.CancelRequested | e.JobCanceled | None = None  #: the last cancel of the job or a task
        self.halt: e.JobCanceled | None = None  #: the last cancel of the job, until it is retried
        #: tasks that were canceled or asked to stop, whatever became of them, until they are retried: what depends on
        #: them is not to run
        self.unwanted: set[int] = set()
        self.failed_task: int | None = None  #: the task that failed the job
        #: how many tasks (1 for the job) each command of a user had an effect on, by its id
        self.commands: dict[str, int] = {}

    @property
    def unfinished(self) -> int:
        """How many tasks keep the job from being completed."""
        counts = self.counts
        return counts[_QUEUED] + counts[_RUNNING] + sum([counts[state] for state in _LOST])

    @property
    def left(self) -> int:
        """How many tasks may still do something if nobody interferes."""
        return self.counts[_QUEUED] + self.counts[_RUNNING]

    @property
    def settled(self) -> bool:
        """Whether the job is in a terminal state with no task running; those of a deleted one count no more, but the
        key of one that is sealed does as long as it is there."""
        if self.state == _DELETED:
            return not self.erasing
        return self.state in HALTED and not self.counts[_RUNNING]

    @property
    def erasing(self) -> bool:
        """Whether it is deleted, and the key that it is sealed with is still to be destroyed."""
        return self.state == _DELETED and self.options.sealed != "" and not self.erased

    def state_of(self, task: int) -> TaskState:
        return TaskState(self.graph.status[task])

    def spec_of(self, task: int) -> TaskSpec:
        return self.specs[self.graph.spec[task]]

    def staged_count(self, task: int) -> int:
        """How many subtasks the running attempt has staged so far."""
        return sum(len(chunk) for chunk in self.staged.get(task, ()))

    def optional_boundary(self, task: int) -> int | None:
        """Return the nearest task, this one or above it, that was submitted as optional."""
        while task != ROOT:
            if self.spec_of(task).optional:
                return task
            task = self.graph.parent[task]
        return None

"""How a task looks in a picture: its state, and what sets tasks of the same state apart for whoever looks at them."""

from __future__ import annotations

from enum import Enum

from jobledger.core.lifecycle import TaskState


class Look(Enum):
    """What is shown of a task, in the order of a legend. The values of states are those of `TaskState`."""

    QUEUED = TaskState.QUEUED.value
    DELAYED = 9  #: queued, and waiting for its start or for the end of a delay between attempts
    RUNNING = TaskState.RUNNING.value
    COMPUTED = TaskState.COMPUTED.value
    REUSED = 10  #: computed, by taking the result of an earlier success
    FAILED = TaskState.FAILED.value
    SKIPPED = TaskState.SKIPPED.value
    FAILED_OPTIONAL = TaskState.FAILED_OPTIONAL.value
    CANCELED = TaskState.CANCELED.value
    ABANDONED = TaskState.ABANDONED.value

    @property
    def state(self) -> TaskState:
        return _STATES.get(self) or TaskState(self.value)

    @property
    def words(self) -> str:
        """The look in small letters: "failed optional"."""
        return self.name.lower().replace("_", " ")


_STATES = {Look.DELAYED: TaskState.QUEUED, Look.REUSED: TaskState.COMPUTED}
#: one more than the largest value
LOOKS = max(look.value for look in Look) + 1

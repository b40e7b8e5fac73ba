"""Why something cannot be done: an answer that is also a yes or a no."""

from __future__ import annotations

from dataclasses import dataclass

from jobledger.core.lifecycle import HALTED, TaskState
from jobledger.projections.job_view import JobView


@dataclass(frozen=True, slots=True)
class Reasons:
    """What is against it, in words. True if nothing is.

    >>> bool(Reasons()), bool(Reasons(("it is RUNNING",)))
    (True, False)
    >>> print(Reasons(("it is RUNNING", "2 of its tasks run")))
    it is RUNNING; 2 of its tasks run
    >>> client.jobs().submit("greetings", Greet("world")).deletable.reasons
    ('it is SUBMITTED: cancel it first, or delete it with force=True',)
    """

    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        return "; ".join(self.reasons)


def against_deletion(view: JobView) -> Reasons:
    """Return why the job cannot be deleted as it stands."""
    if view.settled:
        return Reasons()
    state = view.state.name if view.state is not None else "unknown"
    running = view.job.counts[TaskState.RUNNING.value]
    if view.job.state in HALTED:
        why = f"it is {state}, but {running} of its tasks still run: wait for them"
    else:
        why = f"it is {state}: cancel it first"
    return Reasons((f"{why}, or delete it with force=True",))

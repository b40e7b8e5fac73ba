"""The runs of one task, as the log tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from jobledger.core.events import Error


class AttemptOutcome(Enum):
    """What became of one attempt.

    >>> [outcome.name for outcome in AttemptOutcome]
    ['RUNNING', 'COMPUTED', 'FAILED', 'RELEASED', 'EXPIRED', 'CANCELED', 'REUSED']
    >>> task.attempts[0].outcome
    <AttemptOutcome.COMPUTED: 'computed'>
    """

    RUNNING = "running"  #: claimed, and nothing heard of its end
    COMPUTED = "computed"
    FAILED = "failed"
    RELEASED = "released"  #: the runner gave it back; counts neither as failed nor as lost
    EXPIRED = "expired"  #: the runner gave no sign of life for the length of its lease
    CANCELED = "canceled"  #: its task was canceled while it ran, and it stopped
    REUSED = "reused"  #: nothing ran: the result of an earlier success was taken


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a task. Times are aware UTC, by the clock of whoever saw the thing happen.

    >>> class Copy(Task, retry=Retry(1)):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         if context.current_task.attempt == 1:
    ...             raise OSError("the disk is full")
    >>> task = InlineClient().run(Copy()).tasks[0]
    ERROR: Task Copy failed with exception: OSError('the disk is full') ...
    >>> for attempt in task.attempts:
    ...     print(attempt)
    attempt 1 failed: OSError: the disk is full
    attempt 2 computed
    >>> task.attempts[1]
    Attempt(number=2, outcome=<AttemptOutcome.COMPUTED: 'computed'>, runner='inline', claimed_at=datetime.datetime(...),
    started_at=datetime.datetime(...), stopped_at=datetime.datetime(...), error=None, reason='')
    """

    number: int  #: counts from 1
    outcome: AttemptOutcome
    runner: str
    claimed_at: datetime  #: when the runner was given it, by the engine's clock
    started_at: datetime | None  #: when the runner began it; None until it says so, and where it never did
    stopped_at: datetime | None  #: when it ended; where nobody reported that, when the engine gave it up
    error: Error | None = (
        None  #: of a failed attempt: `reason` (type of the exception), `message`, `traceback`
    )
    reason: str = ""  #: why it was released, held to be lost, or canceled

    def __str__(self) -> str:
        said = f"{self.error.reason}: {self.error.message}" if self.error else self.reason
        return f"attempt {self.number} {self.outcome.value}{': ' if said else ''}{said}"


class Ended(NamedTuple):
    """An attempt that ended without being computed, as a view stores it: times in µs, 0 where not known."""

    number: int
    outcome: AttemptOutcome
    runner: int
    claimed: int
    started: int
    stopped: int
    error: Error | None
    reason: str


class Source(NamedTuple):
    """The task whose result was reused. `str(source)` is its id.

    >>> class Square(Task, reuse=True):
    ...     number: int
    ...
    ...     def execute(self, context: ExecutionContext) -> int:
    ...         return self.number**2
    >>> for _ in range(2):
    ...     job = client.jobs().submit("squaring", Square(7))
    ...     client.runner(tasks=[Square]).run_all()
    >>> job.tasks[0].source
    Source(job_id='...', number=0)
    """

    job_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"

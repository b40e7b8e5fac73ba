"""The runs of one task, as the log tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from jobledger.core.events import Error


class AttemptOutcome(Enum):
    """What became of one attempt."""

    RUNNING = "running"  #: claimed, and nothing heard of its end
    COMPUTED = "computed"
    FAILED = "failed"
    RELEASED = "released"  #: the runner gave it back; counts neither as failed nor as lost
    EXPIRED = "expired"  #: the runner gave no sign of life for the length of its lease


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a task. Times are aware UTC, by the clock of whoever saw the thing happen."""

    number: int  #: counts from 1
    outcome: AttemptOutcome
    runner: str
    claimed_at: datetime  #: when the runner was given it, by the engine's clock
    started_at: datetime | None  #: when the runner began it; None until it reports, and where it never did
    stopped_at: (
        datetime | None
    )  #: when the runner ended it; where it never reported, when the engine gave it up
    error: Error | None = (
        None  #: of a failed attempt: `reason` (type of the exception), `message`, `traceback`
    )
    reason: str = ""  #: why it was released, or held to be lost

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

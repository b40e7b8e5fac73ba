"""What would be different, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..wording import counted
from .states import JobStates


class DivergenceKind(Enum):
    """What a divergence is about.

    >>> [kind.name for kind in DivergenceKind]
    ['FOLD', 'OUTCOME', 'STATE', 'DECISION', 'UNKNOWN_EVENT', 'NO_CODE', 'INPUT', 'POLICY']
    """

    FOLD = "fold"  #: an event cannot follow what came before
    OUTCOME = "outcome"  #: the state after a commit is not the one that was recorded with it
    STATE = "state"  #: the state at the end is not the one that was saved
    DECISION = "decision"  #: other events would be written
    UNKNOWN_EVENT = "unknown event"  #: a kind of event that this version does not know
    NO_CODE = "no code"  #: none of the task classes runs the task
    INPUT = "input"  #: the task class does not take the recorded input
    POLICY = "policy"  #: the policy that the task class declares would have led elsewhere


@dataclass(frozen=True, slots=True)
class Divergence:
    """One thing that is not as it was recorded.

    >>> class Greet(Task):
    ...     number: int
    >>> divergence = client.jobs().what_if(job, tasks=[Greet]).divergences[0]
    >>> divergence.kind.value, divergence.job == str(job.id), divergence.task, divergence.count
    ('input', True, 0, 1)
    >>> print(divergence.name, divergence.version, divergence.position, divergence.text)
    greetings 3 ... task 0 (Greet): Greet v0.0 does not take the recorded input: Expected `int`, got `str`
    >>> print(divergence)
    job ... 'greetings': input: task 0 (Greet): Greet v0.0 does not take the recorded input: ...
    """

    kind: DivergenceKind
    job: str  #: its id
    name: str  #: of the job
    version: int  #: of the commit in its job; of the last one where it is about the end
    position: int  #: of that commit in the log
    text: str
    task: int | None = None  #: the first task it is about
    count: int = 1  #: how many tasks it is about

    def __str__(self) -> str:
        where = (
            ""
            if self.task is not None or not self.position
            else f" at version {self.version} (position {self.position})"
        )
        return f"job {self.job} {self.name!r}{where}: {self.kind.value}: {self.text}"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What one recorded history comes to with the code that is installed now: true if anything is different.

    >>> outcome = client.jobs().what_if(job, tasks=[Greet])
    >>> bool(outcome), outcome.name, outcome.job == str(job.id), outcome.version, outcome.divergences
    (False, 'greetings', True, 3, [])
    >>> outcome.states.state
    'COMPLETED'
    >>> print(outcome)
    job ... 'greetings': as recorded
    """

    job: str
    name: str
    version: int  #: how many commits were looked at
    divergences: list[Divergence]
    states: JobStates | None  #: where it stands, to be compared later; None where it cannot be folded

    def __bool__(self) -> bool:
        return bool(self.divergences)

    def __str__(self) -> str:
        found = counted(len(self.divergences), "divergence") if self.divergences else "as recorded"
        return "\n".join([f"job {self.job} {self.name!r}: {found}", *map(str, self.divergences)])

"""Which jobs are meant: conditions as data, and what they mean.

Conditions are of two kinds. Ranges (of time, of ids) and the search in names compare; everything else asks whether a
job has one of some *facets*. A facet is a short text that says one thing about a job: "s5" that it has FAILED,
"c:gpu" that it has a task of cluster gpu. So a store needs one index for all of them, whatever is asked for, and a
new condition is a new facet.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from jobledger.core.codec import Int64
from jobledger.core.limits import MAX_LABELS, MOST_VALUES

from .row import LAST_SECOND, JobRow, first_place

T = TypeVar("T")
#: of one condition
Values: TypeAlias = Annotated[list[T], Meta(max_length=MOST_VALUES)]


class JobFilter(msgspec.Struct, array_like=True, frozen=True):
    """All conditions must hold; of the several values of one condition, any will do. Empty ones hold for all jobs."""

    since: Int64 | None = None  #: submitted at or after; µs since 1970 UTC
    before: Int64 | None = None  #: submitted before
    first_id: str | None = None
    last_id: str | None = None  #: both ends included
    name: str = ""  #: a part of the name, in any case
    states: Values[int] = []  #: JobState values
    task_states: Values[int] = []  #: TaskState values: at least one task is in one of them
    clusters: Values[str] = []  #: at least one task is for one of them
    labels: Annotated[
        dict[str, Values[str]], Meta(max_length=MAX_LABELS)
    ] = {}  #: each label has one of its values
    task_names: Values[str] = []  #: at least one task has one of them

    @property
    def alternatives(self) -> list[list[str]]:
        """The facets that are asked for: one of each list."""
        found = [
            [f"s{state}" for state in self.states],
            [f"t{state}" for state in self.task_states],
            [f"c:{cluster}" for cluster in self.clusters],
            *([_label(name, value) for value in values] for name, values in self.labels.items()),
            [f"n:{name}" for name in self.task_names],
        ]
        return [list(dict.fromkeys(facets)) for facets in found if facets]

    @property
    def places(self) -> tuple[int | None, int | None]:
        """From which place on and before which one the jobs are: the time asked for, rounded to whole seconds."""
        low = None if self.since is None else first_place(self.since)
        high = None if self.before is None else first_place(self.before + 999_999)
        return low, None if high is not None and high >= LAST_SECOND else high

    @property
    def folded_name(self) -> str:
        """The part of the name as stores compare it."""
        return fold_case(self.name)

    def matches(self, row: JobRow) -> bool:
        """Whether the job is meant: what every store has to agree with.

        >>> from jobledger.core.lifecycle import JobState
        >>> row = JobRow(place=1, id="a", name="Nightly import", state=JobState.FAILED, clusters=["gpu"])
        >>> JobFilter(name="IMPORT", states=[5, 6]).matches(row), JobFilter(clusters=["cpu"]).matches(row)
        (True, False)
        """
        return (
            (self.since is None or row.submitted >= self.since)
            and (self.before is None or row.submitted < self.before)
            and (self.first_id is None or row.id >= self.first_id)
            and (self.last_id is None or row.id <= self.last_id)
            and self.folded_name in fold_case(row.name)
            and all(set(facets) & set(facets_of(row)) for facets in self.alternatives)
        )


def facets_of(row: JobRow) -> list[str]:
    """Return everything a job can be asked for by facet, in a fixed order."""
    found = [f"s{row.state.value}"]
    found += [f"t{state}" for state, count in enumerate(row.counts) if count]
    found += [f"c:{cluster}" for cluster in row.clusters]
    found += [_label(name, value) for name, value in row.labels.items()]
    found += [f"n:{name}" for name in row.task_names]
    found.sort()
    return found


def _label(name: str, value: str) -> str:
    return f"l{len(name)}:{name}={value}"  # with its length, or two labels could make one text


def fold_case(text: str) -> str:
    """Return the text as names are compared: without regard to case.

    >>> fold_case("Straße") == fold_case("STRASSE")
    True
    """
    return text.casefold()

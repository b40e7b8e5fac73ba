"""What type checkers see of `find` and `query`: which kind of job is returned depends on whether a moment is given.

The facade makes methods of operations with the operation's one signature (`facade`); what is overloaded it cannot say.
"""

from __future__ import annotations

from typing import Generic, TypeVar, Unpack, overload

from ..arguments import JobOrId
from ..history.past import At
from .selection import Extent, Selection

One = TypeVar("One")
PastOne = TypeVar("PastOne")
Many = TypeVar("Many")
PastMany = TypeVar("PastMany")


class Finds(Generic[One, PastOne, Many, PastMany]):
    """The two methods, as they return jobs as of now, and as of a moment of the past."""

    @overload
    def find(self, job_or_id: JobOrId) -> One: ...
    @overload
    def find(self, job_or_id: JobOrId, *, at: At) -> PastOne: ...
    def find(self, job_or_id: JobOrId, *, at: At | None = None) -> One | PastOne:
        raise NotImplementedError

    @overload
    def query(
        self,
        temporal_extent: Extent | None = None,
        *,
        limit: int | None = None,
        **selection: Unpack[Selection],
    ) -> Many: ...
    @overload
    def query(
        self,
        temporal_extent: Extent | None = None,
        *,
        limit: int | None = None,
        at: At,
        **selection: Unpack[Selection],
    ) -> PastMany: ...
    def query(
        self,
        temporal_extent: Extent | None = None,
        *,
        limit: int | None = None,
        at: At | None = None,
        **selection: Unpack[Selection],
    ) -> Many | PastMany:
        raise NotImplementedError

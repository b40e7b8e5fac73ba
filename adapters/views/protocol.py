"""What clients ask projectors, over NATS requests: MessagePack arrays.

| subject (`Names`) | who gets it | request | reply |
|---|---|---|---|
| `query` | one of all projectors | `FindJobs`, `CountJobs` | `JobPage`, `JobCount` |
| `views` | every projector | `DescribeView`, `RebuildView` | `ViewStatus`, from each |

A question may be answered with `Unavailable`: the view does not tell of the position asked for yet. Asking again helps.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from jobledger.core.codec import Int64
from jobledger.projections.jobs import JobFilter, JobRow
from jobledger.projections.moments import Moment

from ..protocol import Refused, Unavailable

#: rows of a page at most
LARGEST_PAGE = 1000


class FindJobs(msgspec.Struct, array_like=True, frozen=True, tag=60):
    """Which jobs are these? The newest first."""

    wanted: JobFilter
    behind: Int64 | None = None  #: only those behind this place, the last of the page before
    limit: int = LARGEST_PAGE
    after: int = 0  #: position of the log which the answer has to tell of
    wait: float = 0.0  #: seconds to wait for that
    at: Moment | None = None  #: as they were then; None: as they are


class CountJobs(msgspec.Struct, array_like=True, frozen=True, tag=61):
    """How many jobs are these?"""

    wanted: JobFilter
    after: int = 0
    wait: float = 0.0
    at: Moment | None = None


class DescribeView(msgspec.Struct, array_like=True, frozen=True, tag=62):
    """Which view do you keep, and how far is it?"""


class RebuildView(msgspec.Struct, array_like=True, frozen=True, tag=63):
    """Drop the view and make it anew from the log. For the projectors that move one."""


class JobPage(msgspec.Struct, array_like=True, frozen=True, tag=60):
    rows: list[JobRow]
    more: bool  #: there may be others behind the last one
    position: int  #: of the log, which the answer tells of at least
    at: Moment | None = None  #: that of the question, from a projector that knows of such


class JobCount(msgspec.Struct, array_like=True, frozen=True, tag=61):
    count: int
    position: int
    at: Moment | None = None


class ViewStatus(msgspec.Struct, array_like=True, frozen=True, tag=62):
    """One view, as its projector sees it.

    >>> view = client.jobs().views()[0]
    >>> view
    ViewStatus(projector='...', store='sqlite:///...', position=..., target=..., moves=True, rebuilds=False)
    """

    projector: str  #: host and process
    store: str  #: where the view is kept, without a password
    position: int  #: of the log, up to which it tells
    target: int  #: position it has to reach before it answers anything
    moves: bool  #: this projector moves it; another one does where it is False
    rebuilds: bool = False  #: it was told to make it anew, and has not begun

    @property
    def ready(self) -> bool:
        """Whether it answers questions: it has read at least what was in the log when its projector began.

        >>> client.jobs().views()[0].ready
        True
        """
        return self.position >= self.target


Question: TypeAlias = FindJobs | CountJobs
Request: TypeAlias = Question | DescribeView | RebuildView
Reply: TypeAlias = JobPage | JobCount | ViewStatus | Refused | Unavailable

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode

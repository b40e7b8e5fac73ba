"""What fields of requests have in common: their types, what they are for, and their limits, which are the client's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta

from jobledger.core.limits import MAX_IDEMPOTENCY_KEY, MAX_REASON
from jobledger.core.options import LONGEST

#: tasks of one submission; more are for one of them to submit
MAX_TASKS = 10_000
#: arrays and objects in each other, in the whole request
MAX_DEPTH = 100
#: seconds a request may wait for its job
LONGEST_WAIT = 300.0
#: jobs, tasks or results of one reply, at most
LARGEST_PAGE = 500
#: words of one list
MAX_WORDS = 100
_MAX_BY = 256
NUMBER = 2**31 - 1

Words: TypeAlias = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=1024)]], Meta(max_length=MAX_WORDS)
]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=LONGEST)]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
TaskNumber: TypeAlias = Annotated[int, Meta(ge=0, le=NUMBER)]
JobStateName: TypeAlias = Literal["SUBMITTED", "RUNNING", "STARTED", "COMPLETED", "FAILED", "CANCELED"]
TaskStateName: TypeAlias = Literal[
    "QUEUED", "RUNNING", "COMPUTED", "FAILED", "SKIPPED", "FAILED_OPTIONAL", "CANCELED", "ABANDONED"
]

JobId: TypeAlias = Annotated[UUID, Meta(description="Id of the job: a UUID, as `submit` replies it.")]
OneTask: TypeAlias = Annotated[
    TaskNumber | None,
    Meta(
        description="Number of a task of the job, from 0 in the order of submission; null for the whole job."
    ),
]
Key: TypeAlias = Annotated[
    Annotated[str, Meta(pattern=r"\S", max_length=MAX_IDEMPOTENCY_KEY)] | None,
    Meta(
        description="Text of your choice that stands for this request: one that is sent again with it has no second effect "
        f"and is answered as the first was. Up to {MAX_IDEMPOTENCY_KEY} characters."
    ),
]
By: TypeAlias = Annotated[
    Annotated[str, Meta(max_length=_MAX_BY)],
    Meta(description="Who asks, such as user@host: the history shows it. Up to 256 characters."),
]
Reason: TypeAlias = Annotated[
    Annotated[str, Meta(max_length=MAX_REASON)],
    Meta(description=f"Why, in words: the history shows it. Up to {MAX_REASON} characters."),
]
Deadline: TypeAlias = Annotated[
    Moment | Seconds | None,
    Meta(
        description="When the job fails if it is not over by then: an ISO 8601 time with a zone, such as "
        "2030-01-01T12:00:00Z, or seconds from now; null for never."
    ),
]
Limit: TypeAlias = Annotated[
    Annotated[int, Meta(ge=1, le=LARGEST_PAGE)],
    Meta(description=f"How many a reply holds at most, 1 to {LARGEST_PAGE}; where they do not fit, fewer."),
]
After: TypeAlias = Annotated[
    Annotated[int, Meta(ge=0, le=2**63 - 1)] | None,
    Meta(description="The `next` of the reply before, to go on from there."),
]

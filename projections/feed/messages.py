"""The log as CloudEvents 1.0: from a commit and its place to the messages of the feed, the same whenever it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from jobledger.core import events as e

from ..utc import utc
from . import data as d
from .context import JobContext, Kind
from .facts import Fact
from .mapping import facts
from .subjects import NONE, kind_token

CONTENT_TYPE = "application/cloudevents+json"
#: Bytes of a message. A server takes 1 MiB unless it is told otherwise, headers included.
LARGEST = 1_000_000

_encode = msgspec.json.Encoder().encode


class CloudEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the feed: a CloudEvent in JSON. Attributes below `datacontenttype` are extensions.

    Numbers that may outgrow the 32 bits of a CloudEvents integer are text.
    """

    specversion: str  #: 1.0
    id: str  #: <position>-<index>, and -<part> where there are several: the same whenever the feed is made
    source: str  #: /jobledger/<namespace>
    type: str  #: jobledger.<noun>.<verb>.v1, or jobledger.unknown.<tag>
    subject: str  #: jobs/<id>, or jobs/<id>/tasks/<number> where it is about one task
    datacontenttype: str  #: application/json
    sequence: str  #: of the message in the feed, 20 digits: each message has the number after that of the one before
    jobid: str
    position: str  #: of the commit in the log: rises by one from commit to commit of all jobs
    version: int  #: number of the commit in its job, from 1, without gaps
    index: int  #: of the event in its commit, from 0
    time: d.Time | None = None  #: when it was decided, by the engine's clock
    part: int = 0  #: from 0, of an event that takes several messages
    parts: int = 1  #: how many it takes
    cluster: str | None = None  #: of the tasks it is about
    taskname: str | None = None  #: theirs, too; as in the subject where it holds what no attribute can
    traceparent: str | None = None  #: W3C trace context of the job's submission
    omittedbytes: int = (
        0  #: size of the data where it is left out, because no message could hold it: it is in the log
    )
    data: Any = None


class FeedId(NamedTuple):
    """Where a message belongs: its `id` in numbers. In the order of the feed."""

    position: int
    event: int  #: its `index`
    part: int = 0

    @classmethod
    def parse(cls, text: str) -> FeedId:
        """Errors: ValueError for text that is no such id."""
        numbers = [int(number) for number in text.split("-")]
        if len(numbers) not in (2, 3):
            raise ValueError(f"{text!r:.100} is no id of the feed")
        return cls(*numbers)


class Place(NamedTuple):
    """Where a commit stands."""

    job_id: str
    position: int
    version: int
    at: int | None  #: µs since 1970 UTC; None where it cannot be read


class Unsent(NamedTuple):
    """A message but for its number."""

    id: FeedId
    parts: int
    place: Place
    fact: Fact
    trace: str


class FeedMessage(NamedTuple):
    """A message as it is published."""

    id: FeedId
    subject: str  #: without the prefix of the namespace
    payload: bytes


def told(context: JobContext, place: Place, events: Iterable[e.Event | e.UnknownEvent]) -> list[Unsent]:
    """Return the messages of a commit in order, and fold it into the context of its job."""
    unsent: list[Unsent] = []
    for index, event in enumerate(events):
        unsent += _placed(context, place, index, facts(context, event))
    context.version = place.version
    return unsent


def told_damaged(context: JobContext, place: Place, reason: str, size: int) -> list[Unsent]:
    """Return the message that stands for a commit that cannot be read."""
    context.lost()
    context.version = place.version
    return _placed(context, place, 0, [Fact(None, d.JobDamaged(reason, size))])


def _placed(context: JobContext, place: Place, index: int, told_of: Sequence[Fact]) -> list[Unsent]:
    parts = len(told_of)
    return [
        Unsent(FeedId(place.position, index, part), parts, place, fact, context.trace)
        for part, fact in enumerate(told_of)
    ]


class FeedEncoder:
    """Writes messages of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._source = f"/jobledger/{namespace}"
        self._time: tuple[int | None, datetime | None] = (None, None)  # of one commit after the other

    def encode(self, unsent: Unsent, sequence: int) -> FeedMessage:
        """Return the message as number `sequence` of the feed, from 1."""
        place, (kind, data) = unsent.place, unsent.fact
        if place.at != self._time[0]:
            self._time = (place.at, None if place.at is None else utc(place.at))
        position, index, part = unsent.id
        task = getattr(data, "task", None)
        event = CloudEvent(
            "1.0",
            f"{position}-{index}" if unsent.parts == 1 else f"{position}-{index}-{part}",
            self._source,
            _type(data),
            f"jobs/{place.job_id}" if task is None else f"jobs/{place.job_id}/tasks/{task}",
            "application/json",
            f"{sequence:020}",
            place.job_id,
            str(position),
            place.version,
            index,
            self._time[1],
            part,
            unsent.parts,
            None if kind is None else _attribute(kind.cluster),
            None if kind is None else _attribute(kind.name),
            unsent.trace or None,
            0,
            data,
        )
        payload = _encode(event)
        if len(payload) > LARGEST:
            event = msgspec.structs.replace(event, omittedbytes=len(_encode(data)), data=None)
            payload = _encode(event)
        return FeedMessage(unsent.id, _subject(place.job_id, kind, data), payload)


def _type(data: d.Data) -> str:
    if isinstance(data, d.Unknown):
        return f"jobledger.unknown.{data.tag}"
    return f"jobledger.{data.TYPE}.v1"


def _subject(job_id: str, kind: Kind | None, data: d.Data) -> str:
    cluster, name = (NONE, NONE) if kind is None else map(kind_token, kind)
    what = f"unknown.{kind_token(str(data.tag))}" if isinstance(data, d.Unknown) else data.TYPE
    return f"{cluster}.{job_id}.{name}.{what}"


def _attribute(text: str) -> str:
    """Return a name as the value of an attribute, which holds no control characters."""
    return text if text.isprintable() else kind_token(text)

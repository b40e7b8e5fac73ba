"""Exporting: a range of the log as one file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jobledger.core.codec import digest
from jobledger.core.errors import ArgumentError, NotFoundError, ServerAway
from jobledger.core.undecodable import UNDECODABLE

from ..nats import leader
from ..nats.asking import jetstream
from ..nats.names import Names
from ..nats.records import RecordError, decode_record
from ..nats.stored import StoredMessage, stored_messages
from ..nats.streams import stored_differences
from ..nats.tail import last_position, position_before
from .keys import PrivateKey
from .layout import (
    COMMITS,
    HEADS,
    INDEX,
    KIND,
    VERSION,
    Entry,
    JobHead,
    encode_entry,
    encode_heads,
    frame_head,
)
from .writing import Spool, whole_file

if TYPE_CHECKING:
    from ..nats.wire import Wire
_RESOLUTION = timedelta(microseconds=1)


class Exported(NamedTuple):
    """What a bundle holds.

    >>> exported = client.audit().export("jobs.bundle")
    >>> exported.commits >= exported.jobs > 0, exported.events > 0, exported.bytes > 0, exported.path.name
    (True, True, True, 'jobs.bundle')
    >>> exported.start, exported.last > 0, exported.unreadable, exported.partial_jobs, exported.key, exported.warnings
    (1, True, 0, 0, '', [])
    """

    path: Path
    start: int  #: position of the first commit of the range
    last: int  #: position of its last one
    commits: int
    events: int
    jobs: int
    partial_jobs: int  #: jobs that began before the range
    unreadable: int  #: commits that cannot be decoded: they are in the bundle as they are stored
    bytes: int  #: size of the file
    key: str  #: fingerprint of the key it is signed with; "" where it is not
    warnings: list[str]  #: in what way the log's stream is not set as it should be


class Range(NamedTuple):
    """Which positions of the log, both included."""

    start: int
    last: int


async def export(
    client: Wire,
    names: Names,
    to: str | os.PathLike[str],
    jobs: Sequence[str],
    start: int | datetime | None,
    last: int | datetime | None,
    key: PrivateKey | None,
) -> Exported:
    """Write the commits of the range to a file. Errors: ArgumentError; NotFoundError; ServerAway, to be tried again."""
    path = Path(to)
    selected = sorted(set(jobs)) or None
    chosen = await resolve(client, names, start, last)
    stream = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    with whole_file(path) as new:
        bundle = _Bundle(new.spool(COMMITS), new.spool(INDEX), new.spool(HEADS))
        async for message in in_range(client, names, chosen, selected):
            bundle.add(message.position, message.subject[len(names.log_subject("")) :], message.payload)
        bundle.finish(selected, chosen)
        size = new.write_archive(bundle.manifest(names, chosen, selected), bundle.contents, key)
    return Exported(
        path=path,
        start=chosen.start,
        last=chosen.last,
        commits=bundle.commits,
        events=bundle.events,
        jobs=len(bundle.heads),
        partial_jobs=sum(head.first > 1 for head in bundle.heads.values()),
        unreadable=bundle.unreadable,
        bytes=size,
        key=key.public.fingerprint if key is not None else "",
        warnings=[
            f"the stream {names.log_stream} has {text}: what it lost or changed before is not in the bundle as it was"
            for text in stored_differences(names, stream["config"])
        ],
    )


class _Bundle:
    """What becomes the contents of a bundle."""

    def __init__(self, commits: Spool, index: Spool, heads: Spool) -> None:
        self.contents = [heads, index, commits]
        self.heads: dict[str, JobHead] = {}
        self.commits = self.events = self.unreadable = 0
        self._numbers: dict[str, int] = {}

    def add(self, position: int, job_id: str, payload: bytes) -> None:
        _, index, commits = self.contents
        found = digest(payload)
        version = self._look_at(payload)
        head = self.heads.get(job_id)
        number = self._numbers.setdefault(job_id, len(self._numbers))
        self.heads[job_id] = JobHead(
            job_id, head.first if head is not None else version, version, position, found
        )
        index.write(encode_entry(Entry(position, number, version, len(payload), found)))
        commits.write(frame_head(position, job_id, len(payload)) + payload)
        self.commits += 1

    def _look_at(self, payload: bytes) -> int:
        """Count the events, and return the version."""
        try:
            record = decode_record(payload)
            self.events += len(_decode_outline(record.state).events)
        except (RecordError, *UNDECODABLE):
            self.unreadable += 1
            return 0
        return record.version if 0 < record.version < 2**32 else 0

    def finish(self, selected: list[str] | None, chosen: Range) -> None:
        for line in encode_heads(self.heads.values()):
            self.contents[0].write(line)
        missing = [job for job in selected or () if job not in self.heads]
        if missing:
            raise NotFoundError(
                f"job {missing[0]} has no commit at positions {chosen.start} to {chosen.last} of this log: check the id, "
                "and that the client uses the server and the namespace it belongs to"
            )

    def manifest(self, names: Names, chosen: Range, selected: list[str] | None) -> dict[str, object]:
        return {
            "format": KIND,
            "format_version": VERSION,
            "namespace": names.namespace,
            "stream": names.log_stream,
            "from": chosen.start,
            "to": chosen.last,
            "selected": selected,
            "commits": self.commits,
            "events": self.events,
            "jobs": len(self.heads),
        }


class _Outline(msgspec.Struct, array_like=True):
    id: bytes
    previous: bytes
    at: int
    writer: str
    settled: bool
    events: list[msgspec.Raw]


_decode_outline = msgspec.msgpack.Decoder(_Outline).decode


async def resolve(
    client: Wire, names: Names, start: int | datetime | None, last: int | datetime | None
) -> Range:
    """Return the positions that are meant. Errors: ArgumentError for an empty range; StreamMissing; ServerAway."""
    newest = await last_position(client, names.log_stream)
    if not newest:
        raise ArgumentError(f"the log of namespace {names.namespace!r} is empty: there is nothing to export")

    async def behind(at: datetime) -> int:
        return await position_before(client, names.log_stream, names.log_subjects, at)

    first = (await behind(start)) + 1 if isinstance(start, datetime) else (start or 1)
    # Up to and including that time: what was stored at the next microsecond is not meant.
    until = (await behind(last + _RESOLUTION)) if isinstance(last, datetime) else (last or newest)
    if until > newest:
        raise ArgumentError(f"the range ends at position {until}, but the log ends at {newest}")
    if first > until:
        raise ArgumentError(
            f"the range is empty: it begins at position {first} and ends at {until}; the log goes up to {newest}"
        )
    return Range(first, until)


async def in_range(
    client: Wire, names: Names, chosen: Range, selected: Sequence[str] | None
) -> AsyncIterator[StoredMessage]:
    """Yield the commits of the range, in order; all that there are, or ServerAway where a replica lags behind."""
    subject = names.log_subject(selected[0]) if selected and len(selected) == 1 else names.log_subjects
    wanted = {names.log_subject(job) for job in selected or ()}
    last = 0
    async for message in stored_messages(client, names.log_stream, subject, chosen.start):
        last = message.position
        if last > chosen.last:
            return
        if not wanted or message.subject in wanted:
            yield message
    newest = await leader.newest(client, names.log_stream, subject)
    if newest is not None and last < newest.position and newest.position >= chosen.start:
        raise ServerAway(f"the server that was asked has not caught up with {names.log_stream}")

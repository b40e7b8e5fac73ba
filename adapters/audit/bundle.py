"""Reading a bundle: its commits, one by one, and with `Alignment` what was done to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from jobledger.core.codec import digest
from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.audit import Read
from jobledger.projections.utc import utc

from .archive import Archive
from .layout import (
    COMMITS,
    CONTENTS,
    ENTRY_SIZE,
    FRAME_SIZE,
    HEADS,
    INDEX,
    KIND,
    LARGEST_PAYLOAD,
    VERSION,
    Entry,
    JobHead,
    Manifest,
    decode_entries,
    decode_frame,
    decode_heads,
)
from .payloads import read_payload
from .region import Region
from .unusable import UnusableInput

_ENTRIES = 20_000  # read at a time


class Frame(NamedTuple):
    """What stands in `commits` at some offset."""

    position: int
    job_id: str
    payload: bytes
    size: int  #: bytes it takes with its head


class Bundle(Archive):
    """A bundle that is open for reading. Errors: UnusableInput."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, kind=KIND, version=VERSION, contents=CONTENTS)
        try:
            self.about = msgspec.json.decode(self.manifest, type=Manifest)
        except UNDECODABLE as error:
            self._file.close()
            raise UnusableInput(f"{path}: its manifest is damaged: {error}") from error
        # Up to the end of the file: where the sizes are wrong, commits are looked for there, too.
        self.region = Region(self.read, self.members[COMMITS].offset, self.size)

    def heads(self) -> list[JobHead] | None:
        """Return what the bundle says of its jobs; None where that is damaged."""
        data = self.contents(HEADS)
        if digest(data) != self.stated(HEADS):
            return None
        try:
            return decode_heads(data)
        except ValueError:
            return None

    def index_is_sound(self) -> bool:
        return self.members[INDEX].size % ENTRY_SIZE == 0 and self.digest(INDEX) == self.stated(INDEX)

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries of the index from this one on."""
        member = self.members[INDEX]
        offset = member.offset + start * ENTRY_SIZE
        stop = member.offset + member.size
        while offset < stop:
            data = self.read(offset, min(_ENTRIES * ENTRY_SIZE, stop - offset))
            if len(data) < ENTRY_SIZE:
                return
            data = data[: len(data) // ENTRY_SIZE * ENTRY_SIZE]
            yield from decode_entries(data)
            offset += len(data)

    @property
    def count(self) -> int:
        """How many entries the index has."""
        return self.members[INDEX].size // ENTRY_SIZE

    def frame(self, offset: int) -> Frame | None:
        """Return the frame at an offset; None if there cannot be one."""
        region = self.region
        head = region.get(offset, FRAME_SIZE)
        if len(head) < FRAME_SIZE:
            return None
        size, position, length = decode_frame(head)
        if not position or not length or size > LARGEST_PAYLOAD:
            return None
        data = region.get(offset, FRAME_SIZE + length + size)
        if len(data) < FRAME_SIZE + length + size:
            return None
        try:
            job_id = data[FRAME_SIZE : FRAME_SIZE + length].decode()
        except UnicodeDecodeError:
            return None
        return Frame(position, job_id, data[FRAME_SIZE + length :], len(data))

    def frames(self) -> Iterator[Frame]:
        """Yield what stands in `commits`, unchecked, up to its end or the first thing that is no frame."""
        offset, stop = self.region.start, self.region.start + self.members[COMMITS].size
        while offset < stop:
            frame = self.frame(offset)
            if frame is None:
                return
            yield frame
            offset += frame.size


class BundledCommit(NamedTuple):
    """A commit of a bundle.

    >>> from jobledger.audit import read
    >>> exported = client.audit().export("greetings.bundle", jobs=job)
    >>> first = next(read("greetings.bundle"))
    >>> first.job_id == str(job.id), first.version, first.position > 0, len(first.digest), first.writer != ""
    (True, 1, True, 32, True)
    >>> [type(event).__name__ for event in first.events], first.at == job.history[0].at, first.settled
    (['JobSubmitted'], True, False)
    """

    job_id: str
    version: int  #: in its job
    position: int  #: in the log
    at: datetime  #: when it was decided, UTC
    writer: str  #: the engine that wrote it
    settled: bool
    events: list[Any]
    digest: bytes  #: SHA-256 of the stored payload


def read_bundle(path: str | os.PathLike[str]) -> Iterator[Read]:
    """Yield the commits of a bundle, unverified. Errors: UnusableInput."""
    with Bundle(path) as bundle:
        for frame in bundle.frames():
            yield read_payload(frame.position, frame.job_id, frame.payload)


def read(path: str | os.PathLike[str], job: str | None = None) -> Iterator[BundledCommit]:
    """Yield the commits of a bundle, or of one of its jobs, in order of position. They are not verified: `verify` does.

    Errors: UnusableInput for what is no bundle, and at a commit that cannot be read.

    >>> from jobledger.audit import read
    >>> exported = client.audit().export("greetings.bundle", jobs=job)
    >>> sum(len(commit.events) for commit in read("greetings.bundle")) == len(job.history)
    True
    """
    for found in read_bundle(path):
        if job is not None and found.job_id != str(job):
            continue
        commit = found.commit
        if commit is None:
            raise UnusableInput(f"{path}: the commit at position {found.position}: {found.problem}")
        yield BundledCommit(
            found.job_id,
            found.version,
            found.position,
            utc(commit.at),
            commit.writer,
            commit.settled,
            commit.events,
            found.digest,
        )

"""What is in a bundle besides its manifest, byte by byte. `docs/audit.md` has it for readers in other languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

import msgspec

from .archive import Count

KIND = "jobledger audit bundle"
VERSION = 1
HEADS, INDEX, COMMITS = "heads", "index", "commits"
CONTENTS = (HEADS, INDEX, COMMITS)

_ENTRY = Struct(">QIII32s")
_FRAME = Struct(">IQH")
ENTRY_SIZE = _ENTRY.size
FRAME_SIZE = _FRAME.size
LARGEST_PAYLOAD = 64 * 1024 * 1024  # bytes: what a NATS server can be set to take at most


class Manifest(msgspec.Struct, rename={"start": "from", "last": "to"}, kw_only=True):
    """What the bundle says of itself."""

    format: str
    format_version: int
    namespace: str
    stream: str
    start: Count  #: position of the first commit of the range
    last: Count  #: position of its last one
    selected: list[str] | None  #: the jobs that were chosen; None for all
    commits: Count
    events: Count
    jobs: Count
    key: str  #: public key in hexadecimal digits; "" where it is not signed
    sizes: dict[str, Count]


class JobHead(NamedTuple):
    """A line of `heads`: a job, in the order in which the jobs first appear."""

    job_id: str
    first: int  #: version of its first commit in the range
    version: int  #: of its last one
    position: int
    digest: bytes


class Entry(NamedTuple):
    """An entry of `index`: a commit, in order of position."""

    position: int
    job: int  #: line of `heads`, from 0
    version: int  #: 0 where the payload cannot be read
    size: int  #: bytes of the payload
    digest: bytes  #: SHA-256 of the payload


def encode_heads(heads: Iterable[JobHead]) -> Iterator[bytes]:
    for head in heads:
        yield f"{head.job_id}\t{head.first}\t{head.version}\t{head.position}\t{head.digest.hex()}\n".encode()


def decode_heads(data: bytes) -> list[JobHead]:
    """Errors: ValueError."""
    heads = []
    for line in data.decode().splitlines():
        job_id, first, version, position, digest = line.split("\t")
        heads.append(JobHead(job_id, int(first), int(version), int(position), bytes.fromhex(digest)))
    return heads


def encode_entry(entry: Entry) -> bytes:
    return _ENTRY.pack(*entry)


def decode_entries(data: bytes) -> Iterator[Entry]:
    return map(Entry._make, _ENTRY.iter_unpack(data))


def frame_head(position: int, job_id: str, size: int) -> bytes:
    """Return what stands before a payload in `commits`."""
    job = job_id.encode()
    return _FRAME.pack(size, position, len(job)) + job


def decode_frame(data: bytes) -> tuple[int, int, int]:
    """Return size of the payload, position, and length of the job id."""
    size, position, length = _FRAME.unpack(data[:FRAME_SIZE])
    return size, position, length

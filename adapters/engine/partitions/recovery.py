"""Which jobs are alive: found by scanning the log from the last checkpoint on.

A checkpoint is a position and the jobs that were live there. It only saves time: without one, or with a damaged one,
the newest commit of every job is looked at, about 100,000 a second. One is written every minute, and every MANY commits:
that is how many the next start has to scan at most.

An engine does not read back what it wrote itself: that took 27 µs of it a commit, a twelfth of what a small job costs it
in all (Python 3.11). What others wrote is found by the gaps they leave between its own positions.
"""

from __future__ import annotations

import logging
import zlib
from array import array
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated

import msgspec
import nats.errors
import nats.js.errors
from msgspec import Meta

from jobledger.core.undecodable import UNDECODABLE

from ...nats.log import ScannedCommit, newest_commits, scan
from ...nats.names import Names
from ...nats.partitions import partition_of
from ...nats.tail import last_position
from ...nats.wire import Wire

log = logging.getLogger(__name__)

#: bytes of a checkpoint when it is unpacked; 1,000,000 live jobs take 38 MB
LARGEST = 64 * 1024 * 1024

#: commits after which a checkpoint is due: scanned in half a second
MANY = 20_000
_ANSWER = 2.0  # seconds for an answer of JetStream


class Checkpoint(msgspec.Struct, array_like=True):
    """Every job of `live`, and none that was written to at or before `position` beside them, is unsettled there."""

    position: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    live: list[str] = []


_decode = msgspec.msgpack.Decoder(Checkpoint).decode
_NOTHING_KNOWN: Mapping[int, Checkpoint] = {}


class Progress:
    """How far an engine knows the log: what it has read, and what it has written since.

    >>> progress = Progress()
    >>> progress.read(10), progress.wrote(11), progress.wrote(12), progress.known
    (None, None, None, 12)
    >>> progress.wrote(14), progress.known  # 13 is somebody else's
    (None, 10)
    """

    def __init__(self, due: Callable[[], None] = lambda: None, *, alone: bool = True) -> None:
        """`due` is called whenever MANY commits more were written. `alone`: nobody else is to write to the log; where others
        are, what they write is no business of this engine."""
        self._due = due
        self._alone = alone
        self._read = 0
        self._own = array("Q")  # positions behind it

    def read(self, position: int) -> None:
        """Everything up to this position was read."""
        self._read = max(position, self._read)
        self._own = array("Q", [own for own in self._own if own > self._read])

    def wrote(self, position: int) -> None:
        """A commit of this engine is there."""
        if position > self._read:
            self._own.append(position)
            if not len(self._own) % MANY:
                self._due()

    @property
    def known(self) -> int:
        """The position up to which there is nothing that was neither read nor written here."""
        newest = max(self._own, default=self._read)
        return newest if newest - self._read == len(self._own) or not self._alone else self._read


async def find_live_jobs(
    client: Wire, parts: Sequence[Names], known: Mapping[int, Checkpoint] = _NOTHING_KNOWN
) -> list[Checkpoint]:
    """Return the unsettled jobs of each of these partitions as of now, and the position up to which the log was read.

    Shape:  `known` is from where to go on, by partition; by default from the checkpoint that was written last. However
            many partitions there are, the log is read once.
    Errors: ServerUnavailable when the log cannot be read.
    """
    found = {
        number: known[number] if number in known else await _load(client, names)
        for number, names in ((names.partition.number, names) for names in parts)
    }
    live = {number: dict.fromkeys(checkpoint.live) for number, checkpoint in found.items()}
    of = parts[0].partition.of
    position = min(checkpoint.position for checkpoint in found.values())
    async for commit in _unread(client, parts[0], position):
        position = commit.position
        number = partition_of(commit.job_id, of)
        if number not in found or position <= found[number].position:
            continue  # another engine's, or known from its checkpoint
        if commit.settled is None:
            log.error("position %d, of job %s, cannot be decoded", commit.position, commit.job_id)
        elif commit.settled:
            live[number].pop(commit.job_id, None)
        else:
            live[number][commit.job_id] = None
    return [
        Checkpoint(max(position, checkpoint.position), list(live[number]))
        for number, checkpoint in found.items()
    ]


async def _unread(client: Wire, names: Names, position: int) -> AsyncIterator[ScannedCommit]:
    """Yield the commits of all jobs behind a position, up to the newest one; from the beginning, of each job the newest."""
    if not position:
        async for commit in newest_commits(client, names):
            position = commit.position
            yield commit
    async for commit in scan(client, names, after=position):
        yield commit


async def save(client: Wire, names: Names, checkpoint: Checkpoint) -> None:
    """Write the checkpoint down. That it fails is no matter."""
    # Ids are mostly random hexadecimal digits: 1 MiB, the usual limit of a server, holds about 50,000 of them.
    data = zlib.compress(msgspec.msgpack.encode(checkpoint), level=1)
    if len(data) > client.max_payload:
        log.warning(
            "%d live jobs are too many to note: the next start has to scan what is written from now on",
            len(checkpoint.live),
        )
        return
    try:
        bucket = await client.jetstream(timeout=_ANSWER).key_value(names.checkpoints_bucket)
        await bucket.put(names.checkpoint_key, data)
    except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
        log.info("no checkpoint was written: %s", error)


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Return the checkpoint; an empty one, which costs time and nothing else, where it is damaged."""
    unpacked = zlib.decompressobj()
    try:
        found = unpacked.decompress(data, LARGEST)
        if not unpacked.eof:
            raise zlib.error(f"it is cut off, or has more than {LARGEST:,} bytes")
        return _decode(found)
    except (*UNDECODABLE, zlib.error) as error:
        log.warning("the checkpoint is damaged and not used: %s", error)
        return Checkpoint()


async def _load(client: Wire, names: Names) -> Checkpoint:
    try:
        bucket = await client.jetstream(timeout=_ANSWER).key_value(names.checkpoints_bucket)
        entry = await bucket.get(names.checkpoint_key)
        checkpoint = decode_checkpoint(entry.value or b"")
        newest = await last_position(client, names.log_stream)
        if checkpoint.position <= newest:
            return checkpoint
        # It would hide what was written since: the log was restored from a backup, or made anew, and the bucket was not.
        log.warning(
            "the checkpoint of position %d is not used: the log ends at %d", checkpoint.position, newest
        )
        return Checkpoint()
    except (nats.js.errors.KeyNotFoundError, nats.js.errors.BucketNotFoundError):
        return Checkpoint()

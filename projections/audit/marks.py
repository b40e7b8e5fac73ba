"""What a checkpoint remembers of a log, and how a log is compared with it.

Two kinds of marks, both of bounded size. A *block* is a digest of the commits at some neighbouring positions: at most
4096 of them cover the log, so that a log that was rewritten differs in a block that tells where. A *token* is 16 bytes
for each job, made of its id and its head: a job whose history was rewritten has none. Together they name the commit.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from .findings import Finding, FindingKind, Findings

BLOCKS = 4096  #: at most
TOKEN = 16  #: bytes
_MOST_KEPT = 100_000  # commits of blocks that differ


def stride_of(position: int) -> int:
    """Return how many positions a block of a checkpoint at this position has: a power of two.

    >>> stride_of(4096), stride_of(4097), stride_of(1_000_000)
    (1, 2, 256)
    """
    stride = 1
    while position > BLOCKS * stride:
        stride *= 2
    return stride


def token(job_id: str, version: int, digest: bytes) -> bytes:
    """Return what stands for the head of a job."""
    head = b"jobledger job head\0" + job_id.encode() + b"\0" + version.to_bytes(8, "big") + digest
    return hashlib.sha256(head).digest()[:TOKEN]


class Seen(NamedTuple):
    """A commit of the block at hand."""

    position: int
    job_id: str
    version: int


class Marks:
    """Makes the blocks of the commits up to `position`, in order."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.stride = stride_of(position)
        self.blocks: list[bytes] = []
        self._hash = hashlib.sha256()

    def add(self, position: int, job_id: str, digest: bytes) -> None:
        while (position - 1) // self.stride > len(self.blocks):
            self._close()
        job = job_id.encode()
        self._hash.update(position.to_bytes(8, "big") + len(job).to_bytes(2, "big") + job + digest)

    def finish(self) -> list[bytes]:
        while len(self.blocks) * self.stride < self.position:
            self._close()
        return self.blocks

    def _close(self) -> None:
        self.blocks.append(self._hash.digest())
        self._hash = hashlib.sha256()


class MarksCheck:
    """Compares a log, or a part of it, with the marks of a checkpoint.

    Shape:  `blocks` and `tokens` are those of the checkpoint at `position`. The part that comes begins at position
            `start`; `whole` says whether it has the commits of all jobs.
    """

    def __init__(
        self, position: int, blocks: list[bytes], tokens: set[bytes], *, start: int = 1, whole: bool = True
    ) -> None:
        self.position = position
        self._marks = Marks(position)
        self._blocks = blocks
        self._tokens = tokens
        self._start = start
        self._whole = whole
        self._heads: dict[str, tuple[int, bytes]] = {}
        self._begun: dict[str, int] = {}
        self._block: list[Seen] = []
        self._differing: list[Seen] = []
        self._places: list[tuple[int, int]] = []
        self._compared = 0
        self._last = 0

    def add(self, position: int, job_id: str, version: int, digest: bytes) -> None:
        if position > self.position or position <= self._last:
            return
        self._last = position
        if self._whole:
            number = len(self._marks.blocks)
            if (position - 1) // self._marks.stride > number:
                self._marks.add(position, job_id, digest)
                self._compare()
                self._block = []
            else:
                self._marks.add(position, job_id, digest)
            self._block.append(Seen(position, job_id, version))
        self._heads[job_id] = version, digest

    def _compare(self, *, last: int = 2**63) -> None:
        """Look at the blocks that are complete by now."""
        stride = self._marks.stride
        while self._compared < len(self._marks.blocks):
            number = self._compared
            self._compared += 1
            low, high = number * stride + 1, min((number + 1) * stride, self.position)
            if low < self._start or high > last:
                continue  # only a part of it is here
            if number >= len(self._blocks) or self._marks.blocks[number] != self._blocks[number]:
                self._places.append((low, high))
                if len(self._differing) < _MOST_KEPT:
                    self._differing += self._block

    def finish(self, findings: Findings, last: int) -> int:
        """Say what differs, of a part that ends at position `last`; return how many jobs stand as they should."""
        if self._whole:
            if last >= self.position:
                self._marks.finish()
            self._compare(last=last)
        if last < self.position:
            self._say_places(findings)
            return 0
        vouched, strangers = 0, []
        for job_id, (version, digest) in self._heads.items():
            if token(job_id, version, digest) in self._tokens:
                vouched += 1
            else:
                strangers.append(job_id)
        for job_id in strangers:
            seen = next((seen for seen in self._differing if seen.job_id == job_id), None)
            version = seen.version if seen is not None else self._heads[job_id][0]
            exact = seen is not None and self._marks.stride == 1
            text = "this is not the history that the checkpoint vouches for" + (
                "" if exact else ", here or a little later" if seen is not None else ", here or earlier"
            )
            findings.add(
                Finding(
                    FindingKind.REWRITTEN, text, job_id, version, seen.position if seen is not None else 0
                )
            )
        missing = len(self._tokens) - vouched - len(strangers)
        if missing > 0 and self._whole and self._start <= 1:
            text = f"{missing} of the jobs that the checkpoint vouches for are not in the log"
            findings.add(
                Finding(FindingKind.REWRITTEN, text), before=self._places[0][0] if self._places else 0
            )
        if not strangers:
            self._say_places(findings)
        return vouched

    def _say_places(self, findings: Findings) -> None:
        for low, high in self._places[:10]:
            seen = next((seen for seen in self._differing if low <= seen.position <= high), None)
            where = f"position {low}" if low == high else f"positions {low} to {high}"
            text = f"the checkpoint vouches for other commits at {where}"
            job, version = (seen.job_id, seen.version) if seen is not None and low == high else ("", 0)
            findings.add(Finding(FindingKind.REWRITTEN, text, job, version, low))

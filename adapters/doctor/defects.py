"""Defects of nats-server that can lose or damage what was acknowledged, since 2.12: each with where it is told of."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

Version: TypeAlias = tuple[int, int, int]
_REPOSITORY = "https://github.com/nats-io/nats-server"


class Defect(NamedTuple):
    """One defect."""

    fixed: Version  #: the first version known to be without it
    what: str
    number: int  #: of the pull request that mended it
    replicated: bool = False  #: only of streams that several servers hold
    relaxed: bool = False  #: only where servers do not sync before they acknowledge

    @property
    def source(self) -> str:
        return f"{_REPOSITORY}/pull/{self.number}"


DEFECTS = (
    Defect(
        (2, 12, 3),
        "writes that were not flushed yet can be lost by the periodic sync",
        7594,
        replicated=True,
        relaxed=True,
    ),
    Defect(
        (2, 12, 3),
        "a replica can part from the others during a snapshot of the stream",
        7655,
        replicated=True,
    ),
    Defect((2, 12, 5), "a store that is rebuilt while it recovers can come to a wrong last position", 7783),
    Defect(
        (2, 15, 0),
        "a block that is compacted is replaced without being synced, even with sync_interval: always. The log, from which "
        "nothing is deleted, is never compacted; buckets are",
        8475,
    ),
)


def version_of(text: str) -> Version | None:
    """Return a version as numbers.

    >>> version_of("2.15.1-beta.2")
    (2, 15, 1)
    """
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def defects_of(version: Version, *, replicated: bool, relaxed: bool) -> list[Defect]:
    """Return those that a server of this version has, as it is set.

    >>> [defect.number for defect in defects_of((2, 12, 4), replicated=True, relaxed=False)]
    [7783, 8475]
    >>> defects_of((2, 15, 1), replicated=True, relaxed=True)
    []
    """
    return [
        defect
        for defect in DEFECTS
        if version < defect.fixed
        and (replicated or not defect.replicated)
        and (relaxed or not defect.relaxed)
    ]

"""The same run of a server, with the power failing at moments of which it knew nothing."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

from . import journal
from .disk import Disk, FileSystem, Survivors, Tree, put, tree_in
from .server import Server

T = TypeVar("T")


class Cut(NamedTuple):
    """A moment at which the power fails, and what is found afterwards."""

    at: float  #: by CLOCK_MONOTONIC: what was done, or acknowledged, up to then was so before
    file_system: FileSystem
    survivors: Survivors
    store: Tree

    def __str__(self) -> str:
        return f"at {self.at:.6f}, {self.file_system.value} file system, {self.survivors.value} survives"


def cuts(
    kept: Path,
    moments: Sequence[float],
    ways: Sequence[tuple[FileSystem, Survivors]],
    random: Random,
    begin: Tree | None = None,
) -> Iterator[Cut]:
    """Yield a cut at each moment, in order, in each of these ways in turn. Shape: the run began with what `begin` is."""
    disks = {file_system: Disk(file_system, begin) for file_system, _ in ways}
    operations = iter(journal.read(kept))
    following = next(operations, None)
    for at, (file_system, survivors) in zip(sorted(moments), itertools.cycle(ways), strict=False):
        while following is not None and following.at <= at:
            for disk in disks.values():
                disk.apply(following)
            following = next(operations, None)
        yield Cut(at, file_system, survivors, disks[file_system].after_power_loss(survivors, random))


def found_after(cut: Cut, look: Callable[[Server], T]) -> T:
    """Return what is seen of a new server on what the cut left."""
    with tempfile.TemporaryDirectory(prefix="jobledger-power-") as place:
        server = Server(Path(place) / "data")
        put(cut.store, server.store)
        with server:
            return look(server)


def unexplained(kept: Path, store: Path, begin: Tree | None = None) -> str:
    """Return in what a store differs from what its journal tells of it, "" if in nothing.

    It does if anything was done to it that the journal does not tell of. For a store at rest.
    """
    disk = Disk(FileSystem.JOURNALED, begin)
    for operation in journal.read(kept):
        disk.apply(operation)
    told, there = disk.after_power_loss(Survivors.EVERYTHING, Random(0)), tree_in(store)
    differing = sorted(path for path in told.keys() | there.keys() if told.get(path, 0) != there.get(path, 0))
    return f"the journal does not explain {differing}" if differing else ""

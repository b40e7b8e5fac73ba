"""A disk on which nothing is safe that was not synced: what is left of files when the power fails.

It is told what a program did, and answers what may be found afterwards. What is on the disk for certain: the bytes of a
file as they were when it was last synced (fsync, fdatasync, or opened with O_SYNC), and its entry in its folder. What
happened since is *pending*, and of that anything may be there:

- of writes any sectors, in any order: torn in the middle, the later ones without the earlier;
- of changes of folders (made, renamed, removed) as much as the file system lets happen, see `FileSystem`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeAlias

from . import journal as j

SECTOR = 512  # bytes that a disk writes as one, or not at all
_ROOT = 0

Tree: TypeAlias = dict[str, bytes | None]  #: by path: the bytes of a file, None for a folder


class FileSystem(Enum):
    """What a sync of a file, or of a folder, means for changes of folders, and in which order they become lasting."""

    #: ext4, XFS: changes of folders are logged in order, and any sync writes the log as far as it goes
    JOURNALED = "journaled"
    #: btrfs: a sync of a file, or of a folder, makes its own path lasting, down from the root; other changes in any order
    OWN_PATH = "own path"
    #: POSIX by the letter: an entry is lasting once its own folder was synced; others in any order, or never
    STRICT = "strict"


class Survivors(Enum):
    """What is left of what is pending."""

    NOTHING = "nothing"
    SOME = "some"  #: chosen at random
    EVERYTHING = "everything"  #: as if only the program had ended


class _Entry(NamedTuple):
    """A name in a folder, and what it leads to; None: to nothing."""

    folder: int
    name: str
    node: int | None


@dataclass
class _File:
    lasting: bytearray = field(default_factory=bytearray)
    pending: list[j.Write | j.Truncate] = field(default_factory=list)


class Disk:
    """The folder that a program works on, beginning with what is in it, which is all lasting."""

    def __init__(self, file_system: FileSystem, begin: Tree | None = None) -> None:
        self._file_system = file_system
        self._now: dict[int, dict[str, int]] = {_ROOT: {}}  #: folders as the program sees them
        self._lasting: dict[int, dict[str, int]] = {_ROOT: {}}  #: as they are on the disk
        self._changes: list[list[_Entry]] = []  #: pending ones of folders; each happens as a whole
        self._files: dict[int, _File] = {}
        self._above: dict[int, int] = {}  #: by file and folder, the folder that it is in
        self._open: dict[int, tuple[int, int]] = {}  #: by descriptor, what it is open on, and how
        self._nodes = 1
        for path, data in sorted((begin or {}).items()):
            folder, name = self._parent(path)
            node = self._new(folder, name, is_folder=data is None)
            if data is not None:
                self._files[node].lasting += data
        self._settle_all()

    # -- what happens ---------------------------------------------------------------------------------------------

    def apply(self, operation: j.Operation) -> None:
        """Take note of what was done."""
        match operation:
            case j.Open(_, descriptor, path, flags):
                self._opened(operation, descriptor, path, flags)
            case j.Close(_, descriptor):
                del self._open[descriptor]
            case j.Write(_, descriptor) | j.Truncate(_, descriptor):
                node, flags = self._open[descriptor]
                self._files[node].pending.append(operation)
                if flags & os.O_DSYNC:  # O_SYNC has this bit, too
                    self._sync(node)
            case j.Sync(_, descriptor):
                self._sync(self._open[descriptor][0])
            case j.Make(_, path):
                self._new(*self._parent(path), is_folder=True)
            case j.Remove(_, path):
                self._change([_Entry(*self._parent(path), None)])
            case j.Rename(_, old, new):
                self._change([_Entry(*self._parent(old), None), _Entry(*self._parent(new), self._find(old))])

    def _opened(self, operation: j.Open, descriptor: int, path: str, flags: int) -> None:
        node = self._find(path)
        if node is None:
            node = self._new(*self._parent(path), is_folder=False)
        elif flags & os.O_TRUNC:
            self._files[node].pending.append(j.Truncate(operation.at, descriptor, 0))
        self._open[descriptor] = node, flags

    def _sync(self, node: int) -> None:
        if node in self._files:
            file = self._files[node]
            for done in file.pending:
                _write(file.lasting, done)
            file.pending.clear()
        if self._file_system is FileSystem.JOURNALED:
            self._settle_all()
            return
        path = {node} if self._file_system is FileSystem.OWN_PATH else set()
        above = node
        while path and above != _ROOT:
            above = self._above[above]
            path.add(above)
        settled: list[list[_Entry]] = []
        names: set[tuple[int, str]] = set()
        for change in reversed(self._changes):
            # With the last change of a name go those before it.
            if any(e.folder == node or e.node in path or (e.folder, e.name) in names for e in change):
                settled.insert(0, change)
                names.update((entry.folder, entry.name) for entry in change)
        gone = set(map(id, settled))
        self._changes = [change for change in self._changes if id(change) not in gone]
        _change(self._lasting, settled)

    def _settle_all(self) -> None:
        _change(self._lasting, self._changes)
        self._changes.clear()

    # -- names ----------------------------------------------------------------------------------------------------

    def _find(self, path: str) -> int | None:
        node: int | None = _ROOT
        for name in Path(path).parts:
            if node is None:
                return None
            node = self._now[node].get(name)
        return node

    def _parent(self, path: str) -> tuple[int, str]:
        folder = self._find(str(Path(path).parent))
        assert folder is not None, path
        return folder, Path(path).name

    def _new(self, folder: int, name: str, *, is_folder: bool) -> int:
        node = self._nodes
        self._nodes += 1
        if is_folder:
            self._now[node] = {}
        else:
            self._files[node] = _File()
        self._change([_Entry(folder, name, node)])
        return node

    def _change(self, change: list[_Entry]) -> None:
        _change(self._now, [change])
        self._above.update({entry.node: entry.folder for entry in change if entry.node is not None})
        self._changes.append(change)

    # -- what is left ---------------------------------------------------------------------------------------------

    def after_power_loss(self, survivors: Survivors, random: Random) -> Tree:
        """Return what is found when the power comes back: one of the possibilities."""
        folders = {folder: dict(names) for folder, names in self._lasting.items()}
        _change(folders, self._surviving_changes(survivors, random))
        return dict(self._tree(folders, _ROOT, "", survivors, random))

    def _surviving_changes(self, survivors: Survivors, random: Random) -> list[list[_Entry]]:
        match survivors:
            case Survivors.NOTHING:
                return []
            case Survivors.EVERYTHING:
                return self._changes
        if self._file_system is FileSystem.JOURNALED:
            return self._changes[: random.randint(0, len(self._changes))]
        return [change for change in self._changes if random.random() < 0.5]

    def _tree(
        self, folders: dict[int, dict[str, int]], folder: int, path: str, survivors: Survivors, random: Random
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, node in sorted(folders.get(folder, {}).items()):
            if node in self._files:
                yield f"{path}{name}", self._content(self._files[node], survivors, random)
            else:
                yield f"{path}{name}", None
                yield from self._tree(folders, node, f"{path}{name}/", survivors, random)

    def _content(self, file: _File, survivors: Survivors, random: Random) -> bytes:
        content = bytearray(file.lasting)
        if survivors is not Survivors.NOTHING:
            for done in file.pending:
                for piece in [done] if survivors is Survivors.EVERYTHING else _pieces(done, random):
                    _write(content, piece)
        return bytes(content)


def _pieces(done: j.Write | j.Truncate, random: Random) -> Iterator[j.Write | j.Truncate]:
    """Yield what is left of an operation: some of the sectors of a write."""
    if isinstance(done, j.Truncate):
        if random.random() < 0.5:
            yield done
        return
    share = random.choice((0.0, 0.5, 0.9, 1.0))
    begin, end = done.offset, done.offset + len(done.data)
    while begin < end:
        upto = min(end, (begin // SECTOR + 1) * SECTOR)
        if random.random() < share:
            data = done.data[begin - done.offset : upto - done.offset]
            yield j.Write(done.at, done.descriptor, begin, data)
        begin = upto


def _write(content: bytearray, done: j.Write | j.Truncate) -> None:
    """Do it to what a file holds; what was never written in between reads as zeros."""
    size = done.size if isinstance(done, j.Truncate) else done.offset + len(done.data)
    if size > len(content):
        content.extend(bytes(size - len(content)))
    if isinstance(done, j.Truncate):
        del content[size:]
    else:
        content[done.offset : size] = done.data


def _change(folders: dict[int, dict[str, int]], changes: list[list[_Entry]]) -> None:
    for change in changes:
        for folder, name, node in change:
            names = folders.setdefault(folder, {})
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node


def tree_in(folder: Path) -> Tree:
    """Return what is in a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def put(tree: Tree, folder: Path) -> None:
    """Make a folder with this in it."""
    folder.mkdir(parents=True)
    for path, data in tree.items():
        if data is None:
            (folder / path).mkdir(mode=0o700)
        else:
            (folder / path).write_bytes(data)

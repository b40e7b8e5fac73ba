"""The disk that power failures are simulated on, and the tracer that tells it what was done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from . import journal as j
from .cuts import unexplained
from .disk import Disk, FileSystem, Survivors, Tree
from .server import TRACER, why_not

_MAKE = os.O_CREAT | os.O_RDWR
_ALL = list(FileSystem)


def after(disk: Disk, survivors: Survivors = Survivors.NOTHING, seed: int = 0) -> Tree:
    return disk.after_power_loss(survivors, Random(seed))


def disk_with(file_system: FileSystem, *operations: j.Operation, begin: Tree | None = None) -> Disk:
    disk = Disk(file_system, begin)
    for operation in operations:
        disk.apply(operation)
    return disk


class TestBytes:
    BEGIN: Tree = {"file": b"old"}
    OPENED = j.Open(0.0, 3, "file", os.O_RDWR)

    def test_what_was_not_synced_is_gone(self) -> None:
        disk = disk_with(FileSystem.JOURNALED, self.OPENED, j.Write(0.0, 3, 0, b"new!"), begin=self.BEGIN)
        assert after(disk) == {"file": b"old"}
        assert after(disk, Survivors.EVERYTHING) == {"file": b"new!"}

    @pytest.mark.parametrize("file_system", _ALL)
    def test_what_was_synced_is_there(self, file_system: FileSystem) -> None:
        written = (self.OPENED, j.Write(0.0, 3, 1, b"lder"), j.Sync(0.0, 3), j.Write(0.0, 3, 0, b"x"))
        assert after(disk_with(file_system, *written, begin=self.BEGIN)) == {"file": b"older"}

    @pytest.mark.parametrize("flag", [os.O_SYNC, os.O_DSYNC])
    def test_so_is_what_is_written_to_a_file_opened_for_that(self, flag: int) -> None:
        opened = j.Open(0.0, 3, "file", os.O_RDWR | os.O_TRUNC | flag)
        assert after(disk_with(FileSystem.STRICT, opened, j.Write(0.0, 3, 0, b"n"), begin=self.BEGIN)) == {
            "file": b"n"
        }

    def test_a_sync_is_of_the_file_not_of_the_descriptor(self) -> None:
        disk = disk_with(
            FileSystem.JOURNALED,
            self.OPENED,
            j.Write(0.0, 3, 0, b"new"),
            j.Close(0.0, 3),
            j.Open(0.0, 4, "file", os.O_RDONLY),
            j.Sync(0.0, 4),
            begin=self.BEGIN,
        )
        assert after(disk) == {"file": b"new"}

    def test_a_file_that_was_cut_short_is_so_once_that_was_synced(self) -> None:
        disk = disk_with(FileSystem.JOURNALED, self.OPENED, j.Truncate(0.0, 3, 1), begin=self.BEGIN)
        assert after(disk) == {"file": b"old"}
        disk.apply(j.Sync(0.0, 3))
        assert after(disk) == {"file": b"o"}

    def test_of_the_rest_any_sectors_may_be_there_in_any_order(self) -> None:
        disk = disk_with(
            FileSystem.JOURNALED, self.OPENED, j.Write(0.0, 3, 0, b"\xff" * 2000), begin=self.BEGIN
        )
        seen = set()
        for seed in range(200):
            data = after(disk, Survivors.SOME, seed)["file"]
            assert data is not None
            sectors = [data[begin : begin + 512] for begin in range(0, len(data), 512)]
            seen.add(tuple(sector.strip(b"\0")[:1] == b"\xff" for sector in sectors))
        assert (True,) in seen  # torn: the end is missing
        assert (False, True) in seen  # out of order: the beginning is
        assert (True, True, True, True) in seen


class TestNames:
    FOLDER: Tree = {"folder": None}
    MADE = (j.Make(0.0, "new"), j.Open(0.0, 3, "new/file", _MAKE), j.Write(0.0, 3, 0, b"data"))

    def test_a_journaled_file_system_keeps_all_that_was_done_before_any_sync(self) -> None:
        disk = disk_with(
            FileSystem.JOURNALED, *self.MADE, j.Make(0.0, "other"), j.Sync(0.0, 3), j.Make(0.0, "late")
        )
        assert after(disk) == {"new": None, "new/file": b"data", "other": None}

    def test_one_that_keeps_the_path_of_what_is_synced_keeps_nothing_else(self) -> None:
        disk = disk_with(FileSystem.OWN_PATH, *self.MADE, j.Make(0.0, "other"), j.Sync(0.0, 3))
        assert after(disk) == {"new": None, "new/file": b"data"}

    def test_by_the_letter_each_folder_has_to_be_synced(self) -> None:
        disk = disk_with(FileSystem.STRICT, *self.MADE, j.Sync(0.0, 3))
        assert after(disk) == {}
        for path in ("new", "."):
            disk.apply(j.Open(0.0, 4, path, os.O_RDONLY))
            disk.apply(j.Sync(0.0, 4))
        assert after(disk) == {"new": None, "new/file": b"data"}

    @pytest.mark.parametrize("file_system", _ALL)
    def test_a_rename_happens_or_does_not(self, file_system: FileSystem) -> None:
        begin: Tree = {"a": b"1", "b": b"2"}
        disk = disk_with(file_system, j.Rename(0.0, "a", "b"), begin=begin)
        assert after(disk) == begin
        assert {repr(after(disk, Survivors.SOME, seed)) for seed in range(20)} == {
            repr(begin),
            repr({"b": b"1"}),
        }

    @pytest.mark.parametrize("file_system", _ALL)
    def test_what_happened_last_to_a_name_is_what_counts(self, file_system: FileSystem) -> None:
        again = (j.Remove(0.0, "file"), j.Open(0.0, 3, "file", _MAKE), j.Sync(0.0, 3))
        synced = (j.Open(0.0, 4, ".", os.O_RDONLY), j.Sync(0.0, 4))
        disk = disk_with(file_system, *again, *synced, begin={"file": b"old"})
        for seed in range(5):
            assert after(disk, Survivors.SOME, seed) == {"file": b""}


_PROGRAM = """
import os, threading
os.mkdir("made"); os.chdir("made")
with open("appended", "ab") as file:
    for number in range(50):
        file.write(b"%d" % number); file.flush(); os.fsync(file.fileno())
def other(number):
    with open(f"{number}.new", "w+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"y" * 9000, 100); file.truncate(5000)
    os.rename(f"{number}.new", f"{number}")
    os.unlink(f"../made/{number}") if number % 2 else None
for thread in [threading.Thread(target=other, args=(number,)) for number in range(8)]:
    thread.start(); thread.join()
os.mkdir("empty"); os.rmdir("empty")
"""


@pytest.mark.skipif(bool(why_not()), reason=why_not())
class TestTracer:
    def test_it_tells_of_everything_that_is_done_to_a_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        assert self.traced(folder, _PROGRAM).returncode == 0
        assert unexplained(tmp_path / "journal", folder) == ""
        disk = disk_with(FileSystem.JOURNALED, *j.read(tmp_path / "journal"))
        assert after(disk)["made/appended"] == b"".join(b"%d" % number for number in range(50))

    def test_it_ends_a_program_that_it_does_not_understand(self, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        done = self.traced(
            folder, "import os; f = os.open('f', os.O_CREAT | os.O_WRONLY); os.writev(f, [b'x'])"
        )
        assert done.returncode == 3
        assert b"writev" in done.stderr
        assert (folder / "f").read_bytes() == b""

    def traced(self, folder: Path, program: str) -> subprocess.CompletedProcess[bytes]:
        kept = folder.with_name("journal")
        command = [sys.executable, str(TRACER), str(folder), str(kept), sys.executable, "-c", program]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)

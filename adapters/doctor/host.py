"""What the machine gives to the embedded server: a file system that keeps what is synced, and open files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..embedded.folder import DataFolder
from ..embedded.processes import pid_namespace
from .findings import Health, HealthFinding
from .patient import Patient

_DISK, _FILES = "file system", "open files"
_WHY_DISK = (
    "a sync is worth what the file system makes of it: nats-server does not sync every folder that its files are in, and "
    "relies on a sync of a file to keep its name, too"
)
_WHY_FILES = "a server that may open no more files takes no connections, and no new blocks of a stream"
#: a sync of a new file makes its name lasting with it
_KEEP_NAMES = frozenset(
    {"ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "apfs"}
)
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_UNSAFE = frozenset({"nobarrier", "barrier=0", "data=writeback"})
_MUCH = 0.8  # of the files that may be open


class Mount(NamedTuple):
    """Where a folder is."""

    kind: str
    point: str
    options: frozenset[str]


async def check(patient: Patient) -> list[HealthFinding]:
    if patient.folder is None:
        told = "not known: the servers' files are on machines that cannot be looked at from here"
        remedy = f"keep them on one of {', '.join(sorted(_KEEP_NAMES))}, with barriers, and not in memory"
        return [HealthFinding(_DISK, Health.UNKNOWN, told, _WHY_DISK, remedy)]
    return [_disk(patient.folder.store), *_files(patient.folder)]


def _disk(store: Path) -> HealthFinding:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    except OSError:
        return HealthFinding(
            _DISK, Health.UNKNOWN, f"this system does not tell what {store} is on", _WHY_DISK
        )
    return judged(store, mount_of(store, mounts))


def judged(store: Path, mount: Mount) -> HealthFinding:
    """Return what a sync of a store is worth there."""
    told = f"{store} is on {mount.kind} at {mount.point}"
    if mount.kind in _IN_MEMORY:
        remedy = "use a data folder on a disk"
        return HealthFinding(_DISK, Health.FAILED, f"{told}: in memory", _WHY_DISK, remedy, promise=True)
    unsafe = sorted(mount.options & _UNSAFE)
    if unsafe:
        remedy = "mount it without them"
        found = f"{told}, mounted with {', '.join(unsafe)}"
        return HealthFinding(_DISK, Health.FAILED, found, _WHY_DISK, remedy, promise=True)
    if mount.kind not in _KEEP_NAMES:
        remedy = f"use one of {', '.join(sorted(_KEEP_NAMES))}, unless you know that it does"
        found = f"{told}: whether it keeps the name of a file that is synced is not known here"
        return HealthFinding(_DISK, Health.WARNING, found, _WHY_DISK, remedy)
    return HealthFinding(_DISK, Health.OK, told, _WHY_DISK)


def mount_of(path: Path, mounts: str) -> Mount:
    """Return where a path is. Shape: `mounts` is as `/proc/self/mountinfo` has it.

    >>> mount_of(Path("/data/x"), "1 0 8:1 / / rw shared:1 - ext4 /dev/a rw,noatime\\n2 1 8:2 / /data rw - xfs /dev/b rw")
    Mount(kind='xfs', point='/data', options=frozenset({'rw'}))
    """
    found = Mount("nothing", "/", frozenset())
    for line in mounts.splitlines():
        place, _, kind = line.partition(" - ")
        fields, described = place.split(), kind.split()
        point = fields[4].encode().decode("unicode_escape")  # blanks in it are \\040
        if path.is_relative_to(point) and len(point) >= len(found.point):
            options = frozenset((*fields[5].split(","), *described[-1].split(",")))
            found = Mount(described[0], point, options)
    return found


def _files(folder: DataFolder) -> Iterator[HealthFinding]:
    record = folder.record()
    if record is None or record.pid_namespace != pid_namespace():
        return
    for what, pid in (("nats-server", record.server_pid), ("the engine", record.supervisor_pid)):
        try:
            limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
            number = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            yield HealthFinding(
                _FILES, Health.UNKNOWN, f"this system does not tell those of {what}", _WHY_FILES
            )
            continue
        limit = next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files"))
        told = f"{what} has {number:,} of {limit}"
        if limit != "unlimited" and number > _MUCH * int(limit):
            yield HealthFinding(
                _FILES, Health.WARNING, told, _WHY_FILES, "raise it (`ulimit -n`) and start it again"
            )
        else:
            yield HealthFinding(_FILES, Health.OK, told, _WHY_FILES)

"""Locks that end with their holder: a file left behind by a process that died locks nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path


class FileLock:
    """An exclusive flock on a file, held until `release` or the end of the last process that has it open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Return whether the lock is held now. Units: `patience` is seconds of trying. Errors: OSError."""
        until = time.monotonic() + patience
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
            else:
                if _is_still(fd, self.path):
                    self._fd = fd
                    return True
                os.close(fd)  # the file was replaced between opening and locking it: lock the new one
            if time.monotonic() >= until:
                return False
            time.sleep(0.01)

    @property
    def fd(self) -> int:
        """The descriptor that carries the lock; a child that inherits it holds the lock, too."""
        assert self._fd is not None, "the lock is not held"
        return self._fd

    def write(self, text: str) -> None:
        """Replace what the locked file says, for those who find it locked."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)

    def is_in_place(self) -> bool:
        """Return whether the locked file is still the one at its path: others lock what they find there."""
        return self._fd is not None and _is_still(self._fd, self.path)

    def release(self) -> None:
        """Close this process's descriptor. An heir of it keeps the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def is_locked(path: Path) -> bool:
    """Return whether some process holds the lock. Errors: OSError, but not for a missing file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # Shared, so that two who only look do not mistake each other for a holder.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _is_still(fd: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False

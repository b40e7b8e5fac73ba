"""Where views of the past are kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from ..embedded.locks import FileLock

_PREFIX = "jobledger-past-"


class PastFolder:
    """A temporary folder that is removed with us, or, should we be killed, by whoever makes the next one."""

    def __init__(self) -> None:
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                if left.stat().st_uid == os.getuid() and (lock := FileLock(left / "lock")).acquire():
                    shutil.rmtree(left, ignore_errors=True)
                    lock.release()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = FileLock(self.path / "lock")
            with contextlib.suppress(OSError):  # taken for one that was left behind, and removed
                if self._lock.acquire():
                    break

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()

"""A key store of a user's own, in a folder: the program `jobledger engine --keys support.key_files:keys` uses it too."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jobledger.core.errors import ErasedError, KeyUnavailable

FOLDER = "JOBLEDGER_TEST_KEYS"


class KeyFiles:
    """One file for each key. While there is a file `hold`, nobody can destroy one."""

    name = "files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hold = folder / "hold"

    def asked(self, job_id: str) -> bool:
        """Whether somebody tries, or tried, to destroy the key of a job."""
        return (self.folder / f"{job_id}-asked").exists()

    async def create(self, job_id: str) -> bytes:
        path = self.folder / job_id
        if not path.exists():
            path.write_bytes(os.urandom(32))
        return await self.fetch(job_id)

    async def fetch(self, job_id: str) -> bytes:
        try:
            key = (self.folder / job_id).read_bytes()
        except FileNotFoundError:
            raise KeyUnavailable(f"no key of job {job_id}") from None
        if not key:
            raise ErasedError(f"job {job_id} was erased")
        return key

    async def destroy(self, job_id: str) -> None:
        (self.folder / f"{job_id}-asked").touch()
        while self.hold.exists():
            await asyncio.sleep(0.01)
        (self.folder / job_id).write_bytes(b"")


def __getattr__(name: str) -> KeyFiles:
    if name != "keys":
        raise AttributeError(name)
    return KeyFiles(Path(os.environ[FOLDER]))

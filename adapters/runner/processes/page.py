"""Memory that a process and its runner share: what each has to know of the other without waiting for it.

The runner writes until when the process may begin attempts. The process writes what it runs, and what it has to say:
there it lies until it was sent, and is not lost with a process that dies.

No lock guards it. Each place has one writer, and readers that can do with what was true a moment ago; what was to be
said is read by the runner only once the process is dead.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from typing import NamedTuple

_LEASE = struct.Struct("@d")
_RUNNING = struct.Struct("@QdQ")
_NUMBER = struct.Struct("@Q")
_LEASE_AT, _RUNNING_AT, _USED_AT, _SENT_AT, _ROOM_AT = 0, 8, 32, 40, 64
_ROOM = 256 * 1024  # bytes


class Running(NamedTuple):
    """The attempt that a process runs."""

    number: int  #: 0 where it runs none
    began: float  #: by time.monotonic, which is the same for all processes of a machine
    started: int  #: µs since 1970 UTC


class Page:
    """The memory behind a file that both have open."""

    SIZE = _ROOM_AT + _ROOM  #: bytes of the file

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, self.SIZE)

    def close(self) -> None:
        self._memory.close()

    # -- the lease, by the clock of leases --------------------------------------------------------------------------

    @property
    def lease(self) -> float:
        until: float = _LEASE.unpack_from(self._memory, _LEASE_AT)[0]
        return until

    @lease.setter
    def lease(self, until: float) -> None:
        _LEASE.pack_into(self._memory, _LEASE_AT, until)

    # -- what runs ----------------------------------------------------------------------------------------------------

    def begin(self, number: int, began: float, started: int) -> None:
        _RUNNING.pack_into(self._memory, _RUNNING_AT, number, began, started)

    def end(self) -> None:
        _NUMBER.pack_into(self._memory, _RUNNING_AT, 0)

    @property
    def running(self) -> Running:
        """What the process runs; read twice, as it may be about to change."""
        while True:
            running = Running(*_RUNNING.unpack_from(self._memory, _RUNNING_AT))
            if running == _RUNNING.unpack_from(self._memory, _RUNNING_AT):
                return running

    # -- what is to be sent -------------------------------------------------------------------------------------------

    def put(self, frame: bytes) -> bool:
        """Add what is to be sent. Return False if there is no room for it."""
        used: int = _NUMBER.unpack_from(self._memory, _USED_AT)[0]
        if used + len(frame) > _ROOM:
            return False
        self._memory[_ROOM_AT + used : _ROOM_AT + used + len(frame)] = frame
        _NUMBER.pack_into(self._memory, _USED_AT, used + len(frame))  # last: now it counts
        return True

    @property
    def waiting(self) -> bytes:
        """What is to be sent."""
        used: int = _NUMBER.unpack_from(self._memory, _USED_AT)[0]
        return self._memory[_ROOM_AT : _ROOM_AT + used]

    def sent(self, frames: int) -> None:
        """All of it was sent; that makes `frames` in all, with those that were never here."""
        _NUMBER.pack_into(self._memory, _USED_AT, 0)
        _NUMBER.pack_into(self._memory, _SENT_AT, frames)

    @property
    def frames_sent(self) -> int:
        """How many frames were sent before those that are waiting."""
        frames: int = _NUMBER.unpack_from(self._memory, _SENT_AT)[0]
        return frames


def memory_file(size: int = 0) -> int:
    """Return the descriptor of a new file of so many bytes, which ends with those who have it open."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("jobledger-worker")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor

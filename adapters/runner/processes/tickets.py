"""Who may begin which attempt: a pipe of numbers, from which the process and its runner both read.

The kernel hands each ticket out once. The process reads one before it begins an attempt (0.4 us); the runner reads
those that are left, and has the attempts back for certain, without the process having a say in it: that may be in the
middle of native code that lets nothing else in its interpreter run.
"""

from __future__ import annotations

import contextlib
import os
import select

_SIZE = 8  # bytes; writes and reads of so few are never divided
#: tickets that fit into any pipe, which has 4 KiB at least
MOST = 512


class Tickets:
    """The reading end, of both sides."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)  # of the pipe's end, which is the same one for both
        self.descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def take(self) -> int | None:
        """Return the next number, None if there is none just now. Errors: EOFError when there will be none any more."""
        try:
            data = os.read(self.descriptor, _SIZE)
        except BlockingIOError:
            return None
        if not data:
            raise EOFError
        return int.from_bytes(data)

    def wait(self) -> None:
        """Wait until there is one, or none any more. Another may take it first."""
        self._poll.poll()

    def take_all(self) -> list[int]:
        """Return the numbers that are left."""
        taken = list[int]()
        with contextlib.suppress(EOFError, OSError):
            while (number := self.take()) is not None:
                taken.append(number)
        return taken


def issue(descriptor: int, first: int, count: int) -> None:
    """Write the tickets from `first` on to the other end."""
    os.write(descriptor, b"".join(number.to_bytes(_SIZE) for number in range(first, first + count)))

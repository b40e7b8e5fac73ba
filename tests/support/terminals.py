"""A program at a real pseudo-terminal: what is typed into it, and what it shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import Self

_PATIENCE = 20.0  # seconds; a start takes less than one on a machine that does little else
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class AtTerminal:
    """A program whose stdin, stdout and stderr are a terminal of this size, from entering to leaving."""

    def __init__(
        self, arguments: Sequence[str], environment: dict[str, str], *, width: int = 100, height: int = 30
    ) -> None:
        self._arguments = arguments
        self._environment = environment | {"TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES"):
            self._environment.pop(name, None)
        self._size = width, height
        self.heard = ""  #: everything it has ever sent

    def __enter__(self) -> Self:
        self.keyboard, self._other_end = os.openpty()
        self.resize(*self._size)
        self.modes = termios.tcgetattr(self.keyboard)  #: of the terminal before it
        self._process = subprocess.Popen(
            # Opened by the first process of a session, it is the terminal whose Ctrl-C is for that session.
            ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(self._other_end), *self._arguments],
            env=self._environment,
            start_new_session=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self.keyboard)
        os.close(self._other_end)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    @property
    def screen(self) -> str:
        """What it shows now, without colours: what was written since it last began at the top."""
        return _ESCAPE.sub("", self.heard.rpartition("\x1b[H")[2]).replace("\r\n", "\n")

    def shows(self, *texts: str) -> str:
        """Wait until all of these are on the screen; return it."""
        until = time.monotonic() + _PATIENCE
        while not all(text in self.screen for text in texts):
            assert time.monotonic() < until, f"{texts} did not show: {self.screen}"
            assert self._hear() or self._process.poll() is None, f"it has ended: {self.heard}"
        return self.screen

    def sends(self, codes: str) -> None:
        """Wait until it has sent these codes."""
        until = time.monotonic() + _PATIENCE
        while codes not in self.heard:
            assert time.monotonic() < until, f"{codes!r} was not sent: {self.heard!r}"
            self._hear()

    def ends(self) -> int:
        """Wait for its end; return the exit code."""
        until = time.monotonic() + _PATIENCE
        while self._process.poll() is None:
            assert time.monotonic() < until, f"it has not ended: {self.heard[-2000:]!r}"
            self._hear()
        while self._hear():
            pass
        return self._process.returncode

    def _hear(self) -> bool:
        """Take what it has sent; return whether that was anything."""
        if not select.select([self.keyboard], [], [], 0.05)[0]:
            return False
        with contextlib.suppress(OSError):  # nobody has the other end any more
            sent = os.read(self.keyboard, 65536)
            self.heard += sent.decode(errors="replace")
            return bool(sent)
        return False

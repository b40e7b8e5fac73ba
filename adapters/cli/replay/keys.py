"""A terminal that is read key by key and shows a screen of its own; whatever happens, it is left as it was."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sys
import termios
import tty
from typing import Any, Self

_ENTER = "\x1b[?1049h\x1b[?25l"  # another screen, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_LOOK = 0.25  # seconds between two looks at the size of the terminal
_REST = 0.05  # seconds in which the rest of what one key sends must come

_SEQUENCES = {
    "[A": "up",
    "[B": "down",
    "[C": "right",
    "[D": "left",
    "[H": "home",
    "[F": "end",
    "[1~": "home",
    "[4~": "end",
    "[7~": "home",
    "[8~": "end",
    "[5~": "page up",
    "[6~": "page down",
}
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.)")
_NAMES = {
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    " ": "space",
}


class Terminal:
    """The terminal of standard input and output, from entering to leaving."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._modes: list[Any] = []
        self._typed = b""
        self.size = (80, 24)  #: columns and lines, as of the last key
        self._shown = True
        self._stopped = False

    def __enter__(self) -> Self:
        self._open()
        self._suspend = signal.signal(signal.SIGTSTP, self._suspended)
        self._interrupt = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._close()

    def _open(self) -> None:
        self._modes = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)  # Ctrl-C and Ctrl-Z mean what they always do
        self._write(_ENTER)
        self._shown = False

    def _close(self) -> None:
        self._write(_LEAVE)
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._modes)

    def _suspended(self, number: int, frame: object) -> None:
        """Ctrl-Z: give the terminal back, stop, and take it again when told to go on."""
        self._close()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspended)
        self._open()

    def _interrupted(self, number: int, frame: object) -> None:
        """Ctrl-C: it is kept in mind, as the interpreter may be in a callback just now that loses what is raised."""
        self._stopped = True
        raise KeyboardInterrupt

    def show(self, lines: list[str]) -> None:
        """Show these lines: as many as the terminal has, each no wider than it."""
        # Cleared before it is written: behind its last character, that one would go.
        self._write("\x1b[H" + "\r\n".join(f"\x1b[K{line}\x1b[0m" for line in lines))
        self._shown = True

    def key(self) -> str:
        """Return the next key: a character, or a name such as "left"; "" when what is shown has to be shown again.

        "end of input" where nobody can press one any more.
        """
        while not self._typed:
            if self._stopped:
                raise KeyboardInterrupt
            columns, lines = shutil.get_terminal_size()
            size = (columns, lines)
            if size != self.size or not self._shown:
                self.size = size
                self._shown = True
                return ""
            if select.select([self._fd], [], [], _LOOK)[0]:
                self._typed = os.read(self._fd, 1024)
                if not self._typed:
                    return "end of input"
        return self._taken()

    def _taken(self) -> str:
        while True:
            try:
                text = self._typed.decode()
            except UnicodeDecodeError as error:
                if error.reason == "unexpected end of data" and self._more():
                    continue
                text = self._typed.decode(errors="replace")
            if text != "\x1b" or not self._more():
                break
        found = _SEQUENCE.match(text)
        self._typed = text[found.end() if found else 1 :].encode()
        if found:  # some terminals say O instead of [
            return _SEQUENCES.get(f"[{found[1][1:]}", "?unknown")
        return _NAMES.get(text[0], text[0])

    def _more(self) -> bool:
        """Whether more has been typed, which is then taken."""
        if not select.select([self._fd], [], [], _REST)[0]:
            return False
        typed = os.read(self._fd, 1024)
        self._typed += typed
        return bool(typed)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

"""What came of a run, and how to repeat it."""

from __future__ import annotations

import hashlib
import shlex
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

_LAST = 25  # lines that are told of a run that failed


class Outcome(NamedTuple):
    """What came of the run of one seed."""

    seed: int
    profile: str
    problem: str  #: "" where all was well
    digest: str  #: of all that happened
    seconds: float  #: virtual ones
    commits: int
    acknowledged: int  #: answers that were held against the log
    last: list[str]  #: what happened last


class Trace:
    """All that happens, one line each: in a digest, and the last of it to be read. `say` is called with every line."""

    def __init__(self, now: Callable[[], float], say: Callable[[str], None] | None = None) -> None:
        self.now = now
        self._say = say
        self._digest = hashlib.sha256()
        self._last: deque[tuple[float, str, tuple[object, ...]]] = deque(maxlen=_LAST)

    def __call__(self, what: str, *about: object) -> None:
        """Something happened. What it is about is read only if somebody asks: it must not change."""
        now = self.now()
        self._digest.update(f"{now!r}{what}".encode())
        self._last.append((now, what, about))
        if self._say is not None:
            self._say(_line(now, what, about))

    def fact(self, data: bytes) -> None:
        """Let the digest depend on this, too."""
        self._digest.update(data)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()[:16]

    @property
    def last(self) -> list[str]:
        return [_line(*entry) for entry in self._last]


def _line(now: float, what: str, about: tuple[object, ...]) -> str:
    return f"{now:9.4f}  {what:12} {' '.join(map(str, about))}"


def command(seed: int, profile: str = "", bug: str = "") -> str:
    """Return the command that repeats a run."""
    words = ["python", "tests/simulation", "--seed", str(seed), "-v"]
    words += ["--profile", profile] if profile else []
    words += ["--bug", bug] if bug else []
    return shlex.join(words)

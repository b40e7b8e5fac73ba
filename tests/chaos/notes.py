"""What clients, runners and tasks wrote down themselves, outside of the log: the other side of the reckoning.

Each kind of note is a file to which lines are appended, in one write each: those of several processes do not mix, and one
who is killed loses at most the note it was about to write.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

#: the environment variable that names the folder of the notes
NOTES = "CHAOS_NOTES"

_OWNER = "CHAOS_OWNER"

#: a task began: job/task, attempt, process
BEGUN = "begun"
#: a runner was handed an attempt: job/task, attempt, owner
HANDED = "handed"
#: a runner was told that its report is in the log: job/task, attempt, kind of report
ACCEPTED = "accepted"
#: a client was told that something is in the log: what, job, and a number that depends on what it is
ACKNOWLEDGED = "acknowledged"


class Notes:
    """The notes of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, int] = {}

    def write(self, kind: str, lines: Iterable[tuple[object, ...]]) -> None:
        text = "".join(" ".join(map(str, fields)) + "\n" for fields in lines)
        if text:
            os.write(self._file(kind), text.encode())

    def _file(self, kind: str) -> int:
        file = self._files.get(kind)
        if file is None:  # two threads may both open it: it is the same file
            file = os.open(self._folder / kind, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._files[kind] = file
        return file

    def read(self, kind: str) -> Iterator[list[str]]:
        """Yield the fields of each note."""
        path = self._folder / kind
        if not path.exists():
            return
        with path.open(encoding="ascii") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield line.split()

    def size(self, kind: str) -> int:
        """Return how many bytes of notes there are."""
        path = self._folder / kind
        return path.stat().st_size if path.exists() else 0


def of_environment() -> Notes | None:
    """Return the notes that this process is to write, if it is."""
    folder = os.environ.get(NOTES)
    return Notes(Path(folder)) if folder else None


def install(notes: Notes) -> None:
    """Have the runners of this process note what they are handed, and which of their reports were accepted."""
    from jobledger.adapters.runner.assignment import Assignments
    from jobledger.adapters.runner.exchange.outbox import Outbox
    from jobledger.core.commands import Report

    # Worker processes of a runner inherit its name: what it was handed passes through their hands.
    owner = os.environ.setdefault(_OWNER, f"{os.getpid()}:{uuid4().hex[:8]}")
    admit, answered = Assignments.admit, Outbox.answered
    decode = msgspec.msgpack.Decoder(Report).decode

    def noting_admit(self: Assignments, jobs: Any) -> Any:
        new = admit(self, jobs)
        notes.write(HANDED, ((f"{one.job_id}/{one.task}", one.attempt, owner) for one in new))
        return new

    def noting_answered(self: Outbox, sent: Any, refused: Any = ()) -> Any:
        out = {refusal.report for refusal in refused}
        accepted = [
            (f"{one.job_id}/{one.task}", one.attempt, type(decode(one.reports[0])).__name__)
            for index, one in enumerate(sent)
            if index not in out
        ]
        over = answered(self, sent, refused)
        notes.write(ACCEPTED, accepted)
        return over

    Assignments.admit = noting_admit  # type: ignore[method-assign]
    Outbox.answered = noting_answered  # type: ignore[method-assign]

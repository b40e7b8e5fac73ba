"""What of a sealed job is encrypted, as whoever reads it meets it: opened, or told to be out of reach.

Everything that is encrypted is bound to its *place*, which is not written down with it: what was put elsewhere cannot
be opened there. Texts (errors, displays, labels of progress) are opened as events are read, and replaced by a word where
that is not possible, so that a job can be followed without its key; inputs and results are opened when they are asked
for, and what is wrong is raised then.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import msgspec

from jobledger.core.errors import ErasedError, JobLedgerError, KeyUnavailable
from jobledger.core.events import Error, Progress
from jobledger.core.undecodable import UNDECODABLE

#: what is encrypted there, and of which task of the job it is
Place: TypeAlias = tuple[str | int, ...]

OBJECT: Place = ("object",)  #: of an input whose name, which has the hash of it, is at the place of the input
LABEL: Place = ("label",)  #: the same in all tasks, so that equal ones can be added up unread
TELEMETRY: Place = ("telemetry",)
CACHE_NAME: Place = ("cache name",)

#: begins the text that stands for one which is encrypted
SEALED_TEXT = "sealed:"


def of_input(parent: int, position: int) -> Place:
    """The input of the task that was submitted by `parent` (-1: with the job) at this position."""
    return ("input", parent, position)


def of_result(task: int) -> Place:
    return ("result", task)


def of_error(task: int, attempt: int) -> Place:
    return ("error", task, attempt)


def of_display(task: int, attempt: int) -> Place:
    return ("display", task, attempt)


def of_cache_value(names: tuple[str, ...]) -> Place:
    return ("cache value", *names)


class Opener(ABC):
    """Makes what is encrypted of one job readable."""

    @abstractmethod
    def opened(self, data: bytes, place: Place) -> bytes:
        """Return what was sealed at this place. Errors: ErasedError; KeyUnavailable; SealBroken."""

    def check(self) -> None:
        """Raise what `opened` would, if it would for everything: before anything is read that nobody could open."""
        return

    def texts(self, event: Any) -> Any:
        """Return an event with the texts in it readable, or replaced by a word that says why they are not."""
        changes: dict[str, Any] = {}
        error = getattr(event, "error", None)
        if error is not None and error.sealed:
            changes["error"] = self._error(error, of_error(event.task, event.attempt))
        display = getattr(event, "display", None)
        if display is not None and display.startswith(SEALED_TEXT):
            changes["display"] = self._display(display, of_display(event.task, event.attempt))
        progress = getattr(event, "progress", None)
        if progress and any(one.sealed for one in progress):
            changes["progress"] = [self._progress(one) for one in progress]
        return msgspec.structs.replace(event, **changes) if changes else event

    def _error(self, error: Error, place: Place) -> Error:
        try:
            message, traceback = _decode_texts(self.opened(error.sealed, place))
        except (JobLedgerError, *UNDECODABLE) as problem:
            return Error(error.reason, instead(problem))
        return Error(error.reason, message, traceback)

    def _display(self, text: str, place: Place) -> str:
        try:
            return self.opened(base64.b64decode(text.removeprefix(SEALED_TEXT)), place).decode()
        except (JobLedgerError, ValueError) as problem:
            return instead(problem)

    def _progress(self, one: Progress) -> Progress:
        if not one.sealed:
            return one
        try:
            return Progress(self.opened(one.sealed, LABEL).decode(), one.total, one.done)
        except (JobLedgerError, ValueError) as problem:
            return Progress(instead(problem), one.total, one.done)


_decode_texts = msgspec.msgpack.Decoder(tuple[str, str]).decode


class Unsealed(Opener):
    """Of a job that is not sealed: everything is as it is."""

    def opened(self, data: bytes, place: Place) -> bytes:
        return data

    def texts(self, event: Any) -> Any:
        return event


class Closed(Opener):
    """Without the key: `error` says why."""

    def __init__(self, error: ErasedError | KeyUnavailable) -> None:
        self.error = error

    def opened(self, data: bytes, place: Place) -> bytes:
        raise self.error

    def check(self) -> None:
        raise self.error


NOTHING_SEALED = Unsealed()


def without_key(job_id: str) -> Closed:
    """Return what opens nothing, for views that were given no way to keys."""
    return Closed(
        KeyUnavailable(
            f"job {job_id} is sealed, and this view was given no key: read it with a client, client.jobs().find(…)"
        )
    )


def instead(problem: Exception) -> str:
    """Return the word that stands for what cannot be read."""
    if isinstance(problem, ErasedError):
        return "(erased)"
    return "(sealed)" if isinstance(problem, KeyUnavailable) else "(damaged)"

"""What is encrypted of a job, in both directions: the one object through which everything goes that is written or read.

A job that is not sealed has `UNSEALED`, which leaves everything as it is: whoever writes or reads need not know.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from jobledger.core.events import Error, JobOptions, Progress
from jobledger.core.submission import Submission
from jobledger.projections.sealed import (
    LABEL,
    SEALED_TEXT,
    TELEMETRY,
    Opener,
    Place,
    Unsealed,
    of_display,
    of_error,
    of_input,
)

from .cipher import OVERHEAD, Cipher

if TYPE_CHECKING:
    from jobledger.core.commands import SubmitJob
    from jobledger.core.context import JobCache

    from ..telemetry.records import Record

_encode = msgspec.msgpack.Encoder().encode


class Seal(Unsealed):
    """Of a job that is not sealed."""

    key = ""  #: name of the job's key
    overhead = 0  #: bytes by which everything grows

    def sealed(self, data: bytes, place: Place) -> bytes:
        """Return the bytes as they are kept at this place."""
        return data

    def submitted(self, command: SubmitJob) -> SubmitJob:
        """Return the command with its inputs as they are kept."""
        return command

    def error(self, error: Error, task: int, attempt: int) -> Error:
        return error

    def display(self, text: str, task: int, attempt: int) -> str:
        return text

    def progress(self, counts: list[Progress]) -> list[Progress]:
        return counts

    def record(self, record: Record) -> Record:
        """Return something a task logged or traced as it is kept."""
        return record

    def cache(self, cache: JobCache) -> JobCache:
        """Return a cache whose values, and the names of them, are kept as everything else is."""
        return cache


UNSEALED = Seal()


class JobSeal(Seal):
    """Of a job that is sealed with the key of this name."""

    overhead = OVERHEAD

    def __init__(self, key: str, cipher: Cipher) -> None:
        self.key = key
        self._cipher = cipher

    def sealed(self, data: bytes, place: Place) -> bytes:
        return self._cipher.sealed(data, place)

    def opened(self, data: bytes, place: Place) -> bytes:
        return self._cipher.opened(data, place)

    def texts(self, event: Any) -> Any:
        return Opener.texts(self, event)

    def submitted(self, command: SubmitJob) -> SubmitJob:
        options = msgspec.structs.replace(command.options or JobOptions(), sealed=self.key)
        return msgspec.structs.replace(command, tasks=self.submission(command.tasks), options=options)

    def submission(self, tasks: Submission, parent: int = -1) -> Submission:
        """Return the tasks with their inputs, or the names of those, sealed."""
        inputs = [
            self.sealed(data, of_input(parent, position))
            for position, data in enumerate(tasks.inputs, tasks.start)
        ]
        return msgspec.structs.replace(tasks, inputs=inputs)

    def error(self, error: Error, task: int, attempt: int) -> Error:
        texts = _encode((error.message, error.traceback))
        return Error(error.reason, "", sealed=self.sealed(texts, of_error(task, attempt)))

    def display(self, text: str, task: int, attempt: int) -> str:
        return SEALED_TEXT + base64.b64encode(self.sealed(text.encode(), of_display(task, attempt))).decode()

    def progress(self, counts: list[Progress]) -> list[Progress]:
        return [
            Progress("", one.total, one.done, self.sealed(one.label.encode(), LABEL)) if one.label else one
            for one in counts
        ]

    def record(self, record: Record) -> Record:
        from ..telemetry.records import SealedRecord, encode_record

        return SealedRecord(self.key, self.sealed(encode_record(record), TELEMETRY))

    def cache(self, cache: JobCache) -> JobCache:
        from .cache import SealedCache

        return SealedCache(cache, self)

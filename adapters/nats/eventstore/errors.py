"""What went wrong at JetStream, in the words of eventsourcing (which are those of PEP 249)."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)
from nats.js.errors import APIError, NoStreamResponseError

from jobledger.core.errors import ArgumentError, ServerUnavailable, ServerUnsuitable

from ..streams import StreamSettingsError

STREAM_NOT_FOUND = 10059
NOT_THE_EXPECTED_STREAM = 10060
WRONG_LAST_SEQUENCE = 10071
STREAM_FULL = (10077, 10110, 10120)  # bytes, storage, messages per subject
BATCH_INCOMPLETE = 10176
TOO_MANY_BATCHES = 10210


@contextmanager
def translating() -> Iterator[None]:
    """Raise the errors of the block as `translated`."""
    try:
        yield
    except BaseException as error:
        raised = translated(error)
        if raised is error:
            raise
        raise raised from error


def translated(error: BaseException) -> BaseException:
    """Return what a recorder raises for this; errors that are none of persistence's come back as they are."""
    match error:
        case PersistenceError():
            return error
        case StreamSettingsError():
            return ProgrammingError(str(error))
        case ArgumentError():
            return OSError(f"a setting cannot be used: {error}")  # as the factory says it of all settings
        case ServerUnsuitable():
            return NotSupportedError(str(error))
        case ServerUnavailable():
            return OperationalError(str(error))
        case nats.errors.MaxPayloadError():
            return DataError(
                "an event is larger than the server takes: keep large values elsewhere and store a reference, "
                "or raise `max_payload` of the server"
            )
        case APIError(err_code=code, description=description):
            return _refusal(code, description)
        case NoStreamResponseError() | nats.errors.NoRespondersError():
            return OperationalError(
                "nothing answers for the stream: JetStream is off, the stream is gone, or its leader is being "
                "elected; nothing was written, try again"
            )
        case TimeoutError():
            return OperationalError(
                "the server did not answer in time: try again; if it is slow rather than away, raise NATS_TIMEOUT"
            )
        case concurrent.futures.CancelledError():
            return OperationalError(
                "the connection was closed while this was under way: whether a write took effect is unknown, "
                "read before writing again"
            )
        case nats.errors.Error() | OSError():
            return OperationalError(f"the connection to the server failed: {error}")
    return error


def _refusal(code: int | None, description: str | None) -> PersistenceError:
    text = f"JetStream error {code}: {description}"
    if code == WRONG_LAST_SEQUENCE:
        return IntegrityError(f"others wrote meanwhile: load again and decide anew ({text})")
    if code in (STREAM_NOT_FOUND, NOT_THE_EXPECTED_STREAM):
        return ProgrammingError(f"the stream was deleted, or its subjects belong to another one now ({text})")
    if code in STREAM_FULL:
        return OperationalError(f"the stream is full and nothing was written: raise its limits ({text})")
    if code == TOO_MANY_BATCHES:
        return OperationalError(
            f"too many writers store several events at once; nothing was written, try again ({text})"
        )
    return OperationalError(text)

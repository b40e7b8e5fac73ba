"""A message of a stream as this package passes it around, and what it says."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from eventsourcing.persistence import DataError

from ..records import Record, RecordError, decode_record
from .tokens import id_of


class Message(NamedTuple):
    """One stored message."""

    position: int  #: its sequence in the stream
    subject: str
    payload: bytes


def record_in(stream: str, message: Message) -> Record:
    """Return what the message carries.

    Errors: DataError, naming position and originator, when it is damaged.
    """
    try:
        return decode_record(message.payload)
    except RecordError as error:
        raise DataError(
            f"the message at position {message.position} of stream {stream!r}, "
            f"originator {message.subject.rpartition('.')[2]!r}, cannot be read: {error}. Nothing after it is read "
            "either; a stream is not repaired in place: restore it from a copy, or read with the program that wrote it"
        ) from error


def originator_in(stream: str, message: Message) -> UUID | str:
    """Return the id of the originator that the subject names.

    Errors: DataError, naming position and subject, when it names none.
    """
    try:
        return id_of(message.subject.rpartition(".")[2])
    except DataError as error:
        raise DataError(
            f"the message at position {message.position} of stream {stream!r} has subject {message.subject!r}: {error}"
        ) from error

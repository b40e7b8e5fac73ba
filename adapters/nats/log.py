"""The log of one namespace, asynchronously: append a commit, read a job, scan everything.

The engine appends and recovers through this, clients read one job. The bytes are those of `records`, so that the
eventsourcing recorders read what is written here, and the other way round.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
import nats.errors
from nats.aio.client import Client

from jobledger.core.codec import (
    NO_PREVIOUS,
    TOPIC,
    CodecError,
    Commit,
    decode_commit,
    digest,
    encode_commit,
)
from jobledger.core.errors import DamagedLog, JobLedgerError

from .inbox import Inbox
from .names import Names
from .records import RecordError, decode_record, encode_record
from .stored import stored_messages

_WRONG_LAST_SEQUENCE = 10071


class StoredCommit(NamedTuple):
    """A commit and where it stands."""

    position: int  #: in the log
    version: int  #: in its job
    commit: Commit
    digest: bytes  #: SHA-256 of the stored payload: what the next commit of the job names as `previous`


class AppendConflict(JobLedgerError):
    """Someone else wrote to the job: its last position is not the expected one. Nothing was stored."""


class AppendFailed(JobLedgerError):
    """The append was not acknowledged: whether it is stored is unknown."""


class _ApiError(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _ApiError | None = None


_decode_ack = msgspec.json.Decoder(_Ack).decode


class LogWriter:
    """Appends commits. All acknowledgements come back on one inbox."""

    def __init__(self, client: Client, names: Names) -> None:
        self._names = names
        self._inbox = Inbox(client)

    async def open(self) -> None:
        await self._inbox.open()

    async def close(self) -> None:
        await self._inbox.close(AppendFailed("the engine has stopped"))

    async def append(self, job_id: str, payload: bytes, *, after: int, timeout: float = 5.0) -> int:
        """Store `payload` as the job's next commit and return its position.

        Shape:  `after` is the position of the job's last commit, 0 if there is none.
        Errors: AppendConflict if that is not so; AppendFailed if no acknowledgement came within `timeout` seconds,
                or the server refused (the log is full, or too large a message).
        """
        try:
            answer = await self._inbox.ask(
                self._names.log_subject(job_id),
                payload,
                timeout=timeout,
                headers={"Nats-Expected-Last-Subject-Sequence": str(after)},
            )
        except nats.errors.NoRespondersError:
            raise AppendFailed("no log stream takes the commit: was it deleted?") from None
        except TimeoutError:
            raise AppendFailed(f"no acknowledgement from the log within {timeout:g} s") from None
        except (nats.errors.Error, OSError) as error:
            raise AppendFailed(f"the log cannot be written: {error}") from error
        ack = _decode_ack(answer.data)
        if ack.error is None:
            return ack.seq
        if ack.error.err_code == _WRONG_LAST_SEQUENCE:
            raise AppendConflict(ack.error.description)
        raise AppendFailed(f"the log refused the commit: {ack.error.description}")


def encode_message(version: int, commit: Commit) -> bytes:
    """Return the payload that stores this commit as its job's `version`."""
    return encode_record(version, TOPIC, encode_commit(commit))


async def read_job(
    client: Client, names: Names, job_id: str, *, after: StoredCommit | None = None
) -> list[StoredCommit]:
    """Return the job's commits in order, or those after one that was read before; [] if there are none.

    Errors: DamagedLog, naming job and position, where bytes cannot be decoded, a version is missing, or the hash
            chain is broken. ServerUnavailable when the server does not answer.
    """
    stored: list[StoredCommit] = []
    last = after
    start = after.position + 1 if after is not None else 1
    async for position, _, payload in stored_messages(
        client, names.log_stream, names.log_subject(job_id), start
    ):
        last = continued(job_id, last, position, payload)
        stored.append(last)
    return stored


def continued(job_id: str, last: StoredCommit | None, position: int, payload: bytes) -> StoredCommit:
    """Decode the message at `position` and check that it continues the history after `last`. Errors: DamagedLog."""
    try:
        record = decode_record(payload)
        if record.topic != TOPIC:
            raise CodecError(f"a record of topic {record.topic!r}, which is not known here")
        commit = decode_commit(record.state)
    except (RecordError, CodecError) as error:
        raise DamagedLog(job_id, position, str(error)) from error
    expected = last.version + 1 if last is not None else 1
    if record.version != expected:
        raise DamagedLog(job_id, position, f"it is version {record.version} where {expected} is expected")
    if commit.previous != (last.digest if last is not None else NO_PREVIOUS):
        raise DamagedLog(job_id, position, "its hash of the commit before does not fit that commit")
    return StoredCommit(position, record.version, commit, digest(payload))


class ScannedCommit(NamedTuple):
    """One message of the whole log, looked at no closer than needed to know which jobs live."""

    position: int
    job_id: str
    settled: bool | None  #: None where the message cannot be decoded


class _Outline(msgspec.Struct, array_like=True):
    """A commit up to `settled`: its events stay undecoded."""

    id: bytes
    previous: bytes
    at: int
    writer: str
    settled: bool
    events: msgspec.Raw


_decode_outline = msgspec.msgpack.Decoder(_Outline).decode


async def scan(client: Client, names: Names, *, after: int = 0) -> AsyncIterator[ScannedCommit]:
    """Yield every commit of the namespace behind position `after`, in order."""
    skip = len(names.log_subject(""))
    async for position, subject, payload in stored_messages(
        client, names.log_stream, names.log_subjects, after + 1
    ):
        try:
            settled = _decode_outline(decode_record(payload).state).settled
        except (RecordError, msgspec.MsgspecError):
            yield ScannedCommit(position, subject[skip:], None)
        else:
            yield ScannedCommit(position, subject[skip:], settled)

"""Stored payloads, as an audit reads them: what cannot be decoded is told, not raised."""

from __future__ import annotations

from jobledger.core.codec import TOPIC, CodecError, decode_commit, digest
from jobledger.projections.audit import Read

from ..nats.records import RecordError, decode_record


def read_payload(position: int, job_id: str, payload: bytes, known: bytes | None = None) -> Read:
    """Return the commit. Shape: `known` is the digest of the payload, if the caller has it."""
    found = known or digest(payload)
    try:
        record = decode_record(payload)
        if record.topic != TOPIC:
            raise CodecError(f"a record of topic {record.topic!r:.80}, which is not known here")
        return Read(position, job_id, found, record.version, decode_commit(record.state))
    except (RecordError, CodecError) as error:
        return Read(position, job_id, found, 0, None, f"it cannot be read: {error}")

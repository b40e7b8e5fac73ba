"""Batches as bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jobledger.adapters.telemetry.records import (
    MAX_RECORD,
    AttemptSpan,
    Batch,
    Happened,
    Line,
    Record,
    Spanned,
    decode_batch,
    encode_batch,
    encode_record,
)

LINE = Line(1, 20, "hello", 3, 2, {"size": 1}, b"spanspan")
SPAN = Spanned(b"i" * 8, b"", "load", 1, 2, 3, 1, 2, "broke", {"a": 1}, [Happened(1, "event", {"b": 2})])


def batch(*records: bytes) -> bytes:
    return encode_batch(Batch(b"i" * 16, "runner", b"t" * 16, 5, [msgspec.Raw(one) for one in records]))


@pytest.mark.parametrize("record", [LINE, SPAN, AttemptSpan(3, 1, b"a" * 8)])
def test_records_come_back_as_they_were(record: Record) -> None:
    decoded = decode_batch(batch(encode_record(record)))
    assert decoded is not None
    assert (decoded[0].runner, decoded[0].dropped, decoded[1]) == ("runner", 5, [record])


@pytest.mark.parametrize("unknown", [[99, "later"], [1, "wrong"], "text", 7])
def test_what_a_later_version_wrote_is_passed_over(unknown: Any) -> None:
    decoded = decode_batch(batch(msgspec.msgpack.encode(unknown), encode_record(LINE)))
    assert decoded is not None
    assert decoded[1] == [LINE]


def test_fields_that_a_later_version_appended_are_passed_over() -> None:
    longer = [*msgspec.msgpack.decode(encode_record(LINE)), "later"]
    decoded = decode_batch(batch(msgspec.msgpack.encode(longer)))
    assert decoded is not None
    assert decoded[1] == [LINE]


@pytest.mark.parametrize("damaged", [b"", b"\xff", b"\xc1nonsense", msgspec.msgpack.encode(["x"])])
def test_what_is_no_batch_is_none(damaged: bytes) -> None:
    assert decode_batch(damaged) is None


def test_a_record_that_is_too_large_loses_its_attributes_but_stays() -> None:
    much = {f"a{number}": "x" * 4096 for number in range(64)}
    for record in (Line(1, 20, "b" * 70_000, 3, 1, much), msgspec.structs.replace(SPAN, attributes=much)):
        encoded = encode_record(record)
        assert len(encoded) <= MAX_RECORD
        kept = msgspec.msgpack.Decoder(Record).decode(encoded)
        assert isinstance(kept, type(record))
        assert kept.attributes == {"jobledger.truncated": True}
        assert kept.task == 3

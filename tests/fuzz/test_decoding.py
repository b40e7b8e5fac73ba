"""Whatever bytes arrive, what reads them says what they are or that they are nothing, in little memory."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.engine.partitions.recovery import LARGEST, Checkpoint, decode_checkpoint
from jobledger.adapters.nats.records import RecordError, decode_record, encode_record
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, CodecError, Commit, decode_commit, encode_commit
from jobledger.core.limits import MOST_NESTED
from jobledger.core.submission import Submission, TaskSpec

from .budget import examples
from .examples import READERS, Reader
from .mutation import damaged, lied_about

lots = st.randoms(use_true_random=True)
every_kind = pytest.mark.parametrize("what", READERS)
#: all but what is compressed
every_plain_kind = pytest.mark.parametrize("what", sorted(READERS.keys() - {"a checkpoint of an engine"}))

#: bytes that any decoder may take for each byte it is given, and beside that
PER_BYTE, BESIDE = 200, 64 * 1024


def attempts(what: str, random: Random, count: int = 30) -> Iterator[bytes]:
    reader = READERS[what]
    others = [one for other in READERS.values() for one in other.valid[:3]]
    for _ in range(count):
        data = random.choice(reader.valid)
        if random.random() < 0.5 or what == "a checkpoint of an engine":
            yield damaged(data, random, others)
        else:
            yield lied_about(data, random)


@every_kind
def test_what_is_valid_is_read(what: str) -> None:
    for data in READERS[what].valid:
        READERS[what].decode(data)


@every_kind
@examples(20)
@given(random=lots)
def test_what_is_not_is_refused_by_its_own_error(what: str, random: Random) -> None:
    reader = READERS[what]
    for data in attempts(what, random):
        try:
            reader.decode(data)
        except reader.errors as error:
            str(error).encode()  # it can be shown, and sent


def peak(decode: Callable[[bytes], object], data: bytes, errors: tuple[type[Exception], ...]) -> int:
    """Return how many bytes were taken at once at most to decode these."""
    tracemalloc.start()
    try:
        decode(data)
    except errors:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


@every_plain_kind
@examples(2)
@given(random=lots)
def test_no_bytes_take_more_memory_than_they_are_worth(what: str, random: Random) -> None:
    decode, errors, _ = READERS[what]
    for data in attempts(what, random, 8):
        assert peak(decode, data, errors) <= PER_BYTE * len(data) + BESIDE


_MANY = 10_000
_header = b"\xdd" + _MANY.to_bytes(4, "big")
#: the least bytes from which the most is made: many of the smallest things there are
DENSE = {
    "empty arrays": _header + b"\x90" * _MANY,
    "empty objects": _header + b"\x80" * _MANY,
    "empty texts": _header + b"\xa0" * _MANY,
    "small numbers": _header + b"\x01" * _MANY,
    "large numbers": _header + (b"\xcf" + b"\xff" * 8) * _MANY,
    "arrays in arrays": b"\x91" * _MANY + b"\x90",
    "more than there is": b"\xdd\xff\xff\xff\xff" + b"\x90" * _MANY,
    "a text longer than all": b"\xdb\xff\xff\xff\xff" + b"a" * _MANY,
}


@pytest.mark.parametrize("dense", DENSE)
@every_plain_kind
def test_not_even_bytes_made_for_it(what: str, dense: str) -> None:
    decode, errors, _ = READERS[what]
    parts = [DENSE[dense], *_with_part(READERS[what], DENSE[dense])]
    for data in parts:
        assert peak(decode, data, errors) <= PER_BYTE * len(data) + BESIDE


def _with_part(reader: Reader, part: bytes) -> Iterator[bytes]:
    """Yield the first example with each of its parts replaced by this."""
    try:
        fields = msgspec.msgpack.decode(reader.valid[0], type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        return
    head = bytes((0x90 | len(fields),))
    for place in range(len(fields)):
        yield head + b"".join([part if at == place else bytes(one) for at, one in enumerate(fields)])


def test_a_checkpoint_that_is_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(4 * LARGEST))
    assert peak(decode_checkpoint, bomb, ()) < 2.5 * LARGEST
    assert decode_checkpoint(bomb) == Checkpoint()


def test_a_range_of_very_many_tasks_is_two_numbers_and_nothing_is_made_of_them() -> None:
    vast = Submission([b""], [TaskSpec("Task", 1, 0, "default")], [0, 10**12], [[0, 10**12]], [0, 10**12])
    events = [
        e.JobSubmitted("a job", vast),
        e.TasksClaimed("runner", 1, [0, 10**12]),
        e.TasksSkipped([0, 2**62], 0),
        e.JobRetried("one", [0, 2**62], 0),
    ]
    data = encode_commit(Commit(bytes(16), NO_PREVIOUS, 1, "engine", False, list(events)))
    assert peak(decode_commit, data, ()) < BESIDE


def test_an_event_of_a_later_version_is_kept_unless_nobody_could_show_it() -> None:
    def commit(depth: int) -> bytes:
        nested: object = []
        for _ in range(depth - 1):
            nested = [nested]
        return encode_commit(
            Commit(bytes(16), NO_PREVIOUS, 1, "engine", False, [e.UnknownEvent(9999, [nested])])
        )

    assert isinstance(decode_commit(commit(MOST_NESTED)).events[0], e.UnknownEvent)
    with pytest.raises(CodecError, match=f"nested more than {MOST_NESTED} deep"):
        decode_commit(commit(MOST_NESTED + 1))


@pytest.mark.parametrize("version", [-1, -(2**63), 2**63, 2**64 - 1])
def test_a_record_of_a_version_that_nothing_has_is_none(version: int) -> None:
    with pytest.raises(RecordError, match="is no version"):
        decode_record(encode_record(version, "topic", b""))


@pytest.mark.parametrize("at", [2**63, 2**64 - 1])
def test_a_commit_of_a_time_that_no_array_holds_is_none(at: int) -> None:
    with pytest.raises(CodecError):
        decode_commit(msgspec.msgpack.encode([bytes(16), bytes(32), at, "engine", False, []]))

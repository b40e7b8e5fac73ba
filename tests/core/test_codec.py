"""What was once written can always be read, and what is damaged is found out."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, CodecError, Commit, decode_commit, digest, encode_commit
from jobledger.core.job import Job, evolve, fold
from jobledger.core.lifecycle import LifecycleError
from jobledger.core.submission import Submission, columns
from support.histories import describe, snapshot, submission, task
from support.shapes import new_tasks

HERE = Path(__file__).parent
RECORDED = sorted((HERE / "histories").glob("*.hex"))
recorded = pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)

KINDS: tuple[type[Any], ...] = get_args(e.Event)
_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def lines(path: Path) -> list[bytes]:
    return [bytes.fromhex(line) for line in path.read_text(encoding="ascii").splitlines()]


def parts(commit: Commit) -> tuple[object, ...]:
    """Return the fields of a commit: one that was decoded may be of a class of its own."""
    return msgspec.structs.astuple(commit)


def commit_of(*events: Any) -> Commit:
    return Commit(bytes(16), NO_PREVIOUS, 1, "engine-1", False, list(events))


# -- the golden corpus ----------------------------------------------------------------------------------------------


@recorded
def test_a_recorded_history_folds_to_the_recorded_state(path: Path) -> None:
    job = Job("job-1")
    for data in lines(path):
        commit = decode_commit(data)
        fold(job, [(commit.at, commit.events)])
        assert job.settled == commit.settled
    # through JSON, which knows no tuples and no keys but strings
    assert json.loads(json.dumps(describe(job))) == json.loads(
        path.with_suffix(".json").read_text(encoding="utf-8")
    )


@recorded
def test_a_recorded_history_is_written_as_it_was_read(path: Path) -> None:
    """Once a field is appended, what was recorded before it gains its default at the end, and nothing else."""
    for data in lines(path):
        commit = decode_commit(data)
        written = encode_commit(commit)
        assert decode_commit(written).events == commit.events  # so that what was gained means nothing
        assert grown(_decode(written), _decode(data))


def grown(now: Any, then: Any) -> bool:
    """Whether `now` is `then`, or the same with something appended to it or to a part of it."""
    if not isinstance(now, list) or not isinstance(then, list):
        return bool(now == then)
    return len(now) >= len(then) and all(map(grown, now, then))


@recorded
def test_a_recorded_history_is_an_unbroken_chain(path: Path) -> None:
    previous = NO_PREVIOUS
    for data in lines(path):
        assert decode_commit(data).previous == previous
        previous = digest(data)


def test_every_kind_of_event_is_recorded() -> None:
    seen = {type(event) for path in RECORDED for data in lines(path) for event in decode_commit(data).events}
    assert seen == {*KINDS, e.UnknownEvent}


def test_what_can_be_recorded_is_recorded_and_stays(tmp_path: Path) -> None:
    script = runpy.run_path(str(HERE / "record_histories.py"))
    assert set(script["SCENARIOS"]) <= {path.stem for path in RECORDED}, "run: tests/core/record_histories.py"
    kept = tmp_path / "staged.hex"
    kept.write_text("as it was", encoding="ascii")
    assert set(script["record"](tmp_path)) == set(script["SCENARIOS"]) - {"staged"}
    assert kept.read_text(encoding="ascii") == "as it was"
    assert script["record"](tmp_path) == []


def test_the_corpus_grows_with_every_release_and_nothing_in_it_changes() -> None:
    script = runpy.run_path(str(HERE / "record_histories.py"))
    releases = json.loads((HERE / "histories" / "releases.json").read_text(encoding="ascii"))
    assert script["version"]() in releases, "a new version: run tests/core/record_histories.py"
    listed = {name: seals for names in releases.values() for name, seals in names.items()}
    assert listed == {path.stem: script["seals"](path.parent, path.stem) for path in RECORDED}


# -- layout ---------------------------------------------------------------------------------------------------------


def test_tags_never_change() -> None:
    assert {kind.__name__: kind.__struct_config__.tag for kind in KINDS} == {
        "JobSubmitted": 1,
        "SubtasksStaged": 2,
        "TasksClaimed": 3,
        "TaskComputed": 4,
        "AttemptFailed": 5,
        "TaskFailed": 6,
        "OptionalTaskFailed": 7,
        "TasksSkipped": 8,
        "TaskReleased": 9,
        "LeaseExpired": 10,
        "JobCompleted": 11,
        "JobFailed": 12,
        "JobCanceled": 13,
        "JobRetried": 14,
        "CancelRequested": 15,
        "TasksCanceled": 16,
        "TaskCanceled": 17,
        "TasksAbandoned": 18,
        "TaskReused": 19,
        "TaskProgressed": 20,
        "DeadlineExceeded": 21,
        "JobDeleted": 22,
        "TasksTakenOver": 23,
        "JobErased": 25,
    }


def test_a_commit_is_an_array_of_arrays() -> None:
    commit = commit_of(e.TasksClaimed("runner-1", 1, [0, 2]), e.JobCompleted())
    assert _decode(encode_commit(commit)) == [
        bytes(16),
        bytes(32),
        1,
        "engine-1",
        False,
        [[3, "runner-1", 1, [0, 2]], [11]],
    ]


def test_the_digest_is_sha_256() -> None:
    assert digest(b"abc") == hashlib.sha256(b"abc").digest()
    assert len(digest(b"")) == len(NO_PREVIOUS) == 32


integers = st.integers(-(2**63), 2**64 - 1)
ranges = st.lists(integers, max_size=4)
submissions = new_tasks().map(lambda tasks: next(iter(columns(tasks))))
texts = st.text(max_size=9)
OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    int: integers,
    str: texts,
    bool: st.booleans(),
    bytes: st.binary(max_size=9),
    list[int]: ranges,
    dict[str, str]: st.dictionaries(texts, texts, max_size=3),
    Submission: submissions,
}


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    """Return values of the type of a field, each of its parts drawn at random."""
    if hint in OF_TYPE:
        return OF_TYPE[hint]
    if isinstance(hint, UnionType):
        (other,) = set(get_args(hint)) - {NoneType}
        return st.none() | of_type(other)
    if get_origin(hint) is list:
        return st.lists(of_type(*get_args(hint)), max_size=3)
    return of_kind(hint)


def of_kind(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: of_type(hints[name]) for name in kind.__struct_fields__})


commits = st.builds(
    Commit,
    id=st.binary(min_size=16, max_size=16),
    previous=st.binary(min_size=32, max_size=32),
    at=st.integers(-(2**63), 2**63 - 1),
    writer=st.text(max_size=9),
    settled=st.booleans(),
    events=st.lists(st.one_of([of_kind(kind) for kind in KINDS]), max_size=3),
)


@given(commits)
def test_any_commit_survives_the_wire(commit: Commit) -> None:
    assert parts(decode_commit(encode_commit(commit))) == parts(commit)


# -- earlier and later versions -------------------------------------------------------------------------------------

anything = st.recursive(
    st.none()
    | st.booleans()
    | integers
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
tags = (
    st.integers(max(kind.__struct_config__.tag for kind in KINDS) + 1, 2**64 - 1)
    | st.integers(-(2**63), 0)
    | st.text(max_size=5)
    | st.none()
    | st.floats(0, 1)
)


@given(st.lists(st.builds(e.UnknownEvent, tags, st.lists(anything, max_size=3)), min_size=1, max_size=3))
def test_events_of_unknown_tags_are_kept_as_they_are(unknown: list[e.UnknownEvent]) -> None:
    commit = commit_of(e.JobFailed(3), *unknown, e.JobCompleted())
    data = encode_commit(commit)
    again = decode_commit(data)
    assert again.events == commit.events
    assert encode_commit(again) == data


def test_events_of_unknown_tags_change_no_state() -> None:
    job = Job("job-1")
    evolve(job, e.UnknownEvent(99, []), 1)
    assert snapshot(job) == snapshot(Job("job-1"))
    evolve(job, e.JobSubmitted("a job", submission(task())), 1)
    before = snapshot(job)
    evolve(job, e.UnknownEvent("x", [1, 2]), 2)
    assert snapshot(job) == before


def test_fields_a_later_version_appended_are_passed_over() -> None:
    fields = [bytes(16), bytes(32), 1, "engine-1", False, [[12, 7, "of tomorrow"]], "of tomorrow"]
    assert parts(decode_commit(_encode(fields)))[:6] == parts(commit_of(e.JobFailed(7)))
    fields[5] = [[12, 7, "of tomorrow"], [99]]  # beside a tag that is not known either
    assert decode_commit(_encode(fields)).events == [e.JobFailed(7), e.UnknownEvent(99, [])]


def test_fields_an_earlier_version_left_out_take_their_default() -> None:
    fields = [bytes(16), bytes(32), 1, "engine-1", False, [[4, 0, 1, 10, 20], [14, "retry-1", [], 0]]]
    assert decode_commit(_encode(fields)).events == [
        e.TaskComputed(0, 1, 10, 20, None, None),
        e.JobRetried("retry-1", [], 0, ""),
    ]


# -- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc0",
        _encode("a commit"),
        _encode([]),
        _encode({"id": bytes(16)}),
        _encode([bytes(16), bytes(32), 1, "engine-1", False]),
        _encode([bytes(16), bytes(32), "1", "engine-1", False, []]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, [[11], 7]]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, [[11], []]]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, [[12]]]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, [[12, "7"]]]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, [[99], [12, "7"]]]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, [[True, 7]]]),
        _encode([bytes(16), bytes(32), 1, "engine-1", False, []]).replace(
            b"engine", b"\xff\xff\xff\xff\xff\xff"
        ),
        encode_commit(commit_of(e.JobCanceled("retry"))).replace(b"retry", b"\xff\xff\xff\xff\xff"),
        encode_commit(commit_of(e.JobFailed(1))) + b"\x00",
        encode_commit(commit_of(e.UnknownEvent(99, [0])))[:-1] + b"\x91" * 5000,
    ],
    ids=lambda data: data[:4].hex() + "…" + data[-12:].hex(),
)
def test_what_is_no_commit_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError, match="not a"):
        decode_commit(data)


@recorded
def test_a_truncated_commit_is_refused(path: Path) -> None:
    data = lines(path)[-1]
    for length in range(len(data)):
        with pytest.raises(CodecError):
            decode_commit(data[:length])


@st.composite
def damaged(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Return the commits before some recorded one, and that one with a few bytes changed."""
    history = lines(draw(st.sampled_from(RECORDED)))
    position = draw(st.integers(0, len(history) - 1))
    data = bytearray(history[position])
    for _ in range(draw(st.integers(1, 4))):
        # the events begin behind the ids and the time: damage them more often than those
        at = draw(st.integers(0, len(data)) | st.integers(min(70, len(data)), len(data)))
        size = draw(st.sampled_from([0, 1, 1, 1, 2, 8]))
        data[at : at + size] = draw(st.binary(max_size=3) | st.binary(min_size=1, max_size=1))
    return history[:position], bytes(data)


@settings(max_examples=800)
@given(damaged())
def test_damage_is_found_or_harmless(case: tuple[list[bytes], bytes]) -> None:
    earlier, data = case
    try:
        commit = decode_commit(data)
    except CodecError:
        event("refused by the codec")
        return
    assert decode_commit(encode_commit(commit)).events == commit.events
    job = Job("job-1")
    for before in map(decode_commit, earlier):
        fold(job, [(before.at, before.events)])
    for one in commit.events:
        before_it = snapshot(job)
        try:
            evolve(job, one, commit.at)
        except LifecycleError:
            event("refused by the job")
            assert snapshot(job) == before_it
            return
    event("accepted")
    assert not job.state or describe(job)

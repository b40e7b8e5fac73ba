"""A worked example of an event that is no longer written.

Suppose that releases before this one wrote a `TaskReturned`, tag 901, where `TaskReleased` is written today: with its
fields in another order, the attempt as text, and a code in place of the reason in words. And that still earlier ones
wrote a 900, with no reason at all. To retire both takes the two functions below, and nothing anywhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobledger.core import events as e
from jobledger.core.codec import CodecError, decode_commit
from jobledger.core.job import Job, fold
from jobledger.core.upcasts import RETIRED
from support.histories import describe

HISTORY = Path(__file__).parent / "histories" / "lost-runners.hex"
REASONS = {1: "the runner is stopping", 2: "another task takes long on this runner"}
RELEASED = e.TaskReleased.__struct_config__.tag


def from_901(fields: list[Any]) -> list[Any]:
    """`TaskReturned(reason, task, attempt)` -> `TaskReleased(task, attempt, reason)`."""
    reason, task, attempt = fields
    return [RELEASED, task, int(attempt), REASONS[reason]]


def from_900(fields: list[Any]) -> list[Any]:
    """`TaskReturned(task, attempt)` -> the later one, for the reason that was the only one then."""
    task, attempt = fields
    return [901, 1, task, attempt]


@pytest.fixture(autouse=True)
def _retired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RETIRED, 900, from_900)
    monkeypatch.setitem(RETIRED, 901, from_901)


def stored(*events: list[Any]) -> bytes:
    return msgspec.msgpack.encode([bytes(16), bytes(32), 1, "engine-1", False, list(events)])


def test_an_old_event_is_read_as_what_would_be_written_today() -> None:
    commit = decode_commit(stored([901, 2, 7, "3"]))
    assert commit.events == [e.TaskReleased(7, 3, "another task takes long on this runner")]


def test_one_that_was_succeeded_twice_takes_both_steps() -> None:
    assert decode_commit(stored([900, 7, "3"])).events == [e.TaskReleased(7, 3, "the runner is stopping")]


def test_every_event_keeps_its_place() -> None:
    events = decode_commit(stored([11], [900, 7, "3"], [777, "of tomorrow"], [12, 7])).events
    assert events == [
        e.JobCompleted(),
        e.TaskReleased(7, 3, "the runner is stopping"),
        e.UnknownEvent(777, ["of tomorrow"]),
        e.JobFailed(7),
    ]


@pytest.mark.parametrize("damaged", [[901], [901, 99, 7, "3"], [901, 1, 7, "three"], [901, 1, "x", "3"]])
def test_what_cannot_be_read_is_damage_and_not_passed_over(damaged: list[Any]) -> None:
    with pytest.raises(CodecError):
        decode_commit(stored(damaged))


def test_a_history_in_old_events_folds_to_the_same_state() -> None:
    """A recorded one, rewritten as the old releases would have written it."""

    def as_then(event: list[Any]) -> list[Any]:
        tag, *fields = event
        if tag != RELEASED:
            return event
        task, attempt, _ = fields
        return [901, 1, task, str(attempt)]

    now, then = Job("job-1"), Job("job-1")
    replaced = 0
    for line in HISTORY.read_text(encoding="ascii").splitlines():
        commit = decode_commit(bytes.fromhex(line))
        fold(now, [(commit.at, commit.events)])
        fields = msgspec.msgpack.decode(bytes.fromhex(line))
        old = [as_then(event) for event in fields[5]]
        replaced += old != fields[5]
        fold(then, [(commit.at, decode_commit(msgspec.msgpack.encode([*fields[:5], old])).events)])
    assert replaced
    assert describe(then) == describe(now)


def test_a_retired_tag_is_not_written_any_more() -> None:
    """An event that still decodes at once would never be looked at more closely."""
    live = {kind.__struct_config__.tag for kind in e.Event.__args__}
    assert not live & set(RETIRED)

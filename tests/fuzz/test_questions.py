"""Questions to a view, and what tasks logged: whatever is asked for and stored, there is an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.telemetry.lines import Lines, Wanted, in_order
from jobledger.adapters.telemetry.records import (
    Batch,
    Record,
    Spanned,
    decode_batch,
    encode_batch,
    encode_record,
)
from jobledger.adapters.telemetry.spans import JobSpans
from jobledger.adapters.telemetry.store import Stored
from jobledger.adapters.views import protocol as v
from jobledger.adapters.views.sqlite import SQLiteJobs, open_sqlite
from jobledger.adapters.views.store import Log
from jobledger.core.lifecycle import JobState
from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.job_view import JobView
from jobledger.projections.jobs import Changes, JobFilter, JobRow
from jobledger.projections.moments import Moment
from support.histories import task
from support.random_history import ClockedDriver, committed

from .budget import examples
from .hostile import TEXTS, hostile, integers

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteJobs]:
    """A view of some jobs whose names are none of the best."""
    path: Path = tmp_path_factory.mktemp("view") / "jobs.db"
    store = open_sqlite(path, Log("a log", "today"))
    rows = [
        JobRow(
            number + 1,
            f"job-{number}",
            text,
            JobState.FAILED,
            clusters=[text],
            labels={text: text},
            message=text,
        )
        for number, text in enumerate(TEXTS)
    ]
    store.save(Changes(rows, []), after=0, position=1)
    yield store
    store.close()


def asked(question: Any) -> v.Request | None:
    """Return the question as a projector gets it; None for one that it refuses to take."""
    try:
        taken: v.Request = v.decode_request(v.encode(question))
    except UNDECODABLE:
        return None
    return taken


@examples(60)
@given(hostile(v.FindJobs), integers)
def test_every_question_that_is_taken_has_an_answer(
    store: SQLiteJobs, given_: v.FindJobs, behind: int
) -> None:
    for question in (given_, msgspec.structs.replace(given_, behind=behind), v.CountJobs(given_.wanted)):
        match asked(question):
            case v.FindJobs(wanted, place, limit):
                found = store.page(wanted, behind=place, limit=min(max(1, limit), v.LARGEST_PAGE))
                assert all(wanted.matches(row) for row in found.rows)
            case v.CountJobs(wanted):
                assert 0 <= store.count(wanted)[0] <= len(TEXTS)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_a_time_that_no_column_holds_is_refused_as_it_is_decoded(number: int) -> None:
    find = v.FindJobs(JobFilter())
    for question in (
        msgspec.structs.replace(find, behind=number),
        v.FindJobs(JobFilter(since=number)),
        v.FindJobs(JobFilter(before=number)),
        msgspec.structs.replace(find, at=Moment(position=number)),
        msgspec.structs.replace(find, at=Moment(time=number)),
        v.FindJobs(JobFilter(states=[1] * 2000)),
        v.FindJobs(JobFilter(labels={str(one): [] for one in range(2000)})),
    ):
        assert asked(question) is None


@examples(60)
@given(st.lists(hostile(Record), max_size=4), hostile(Batch, records=st.just([])))
def test_lines_and_spans_are_shown_whatever_a_runner_says_in_them(
    records: list[Record], batch: Batch
) -> None:
    try:
        encoded = [msgspec.Raw(encode_record(record)) for record in records]
    except (TypeError, OverflowError, ValueError):
        return  # no MessagePack can say this
    found = decode_batch(encode_batch(msgspec.structs.replace(batch, records=encoded)))
    assert found is not None
    stored = Stored(1, *found)
    lines = Lines(JOB, Wanted())
    for line in in_order(lines.of(stored)):
        str(line), repr(line)
    driver = ClockedDriver(task())
    view = JobView(JOB)
    for placed in committed(driver):
        view.apply(*placed)
    for span in JobSpans(view, [stored]).all():
        str(span), repr(span)


@pytest.mark.parametrize("status", [-(2**63), -4, 3, 2**63])
def test_a_span_of_a_status_that_there_is_not_has_none(status: int) -> None:
    record = Spanned(b"one", b"", "download", 1, 2, 0, 1, status)
    batch = Batch(bytes(16), "runner", bytes(16), 0, [])
    view = JobView(JOB)
    for placed in committed(ClockedDriver(task())):
        view.apply(*placed)
    shown = [
        span.status for span in JobSpans(view, [Stored(1, batch, [record])]).all() if span.name == "download"
    ]
    assert shown == ["UNSET"]

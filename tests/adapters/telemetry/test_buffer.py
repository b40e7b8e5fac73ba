"""Where records wait: bounded, by job, and honest about what it dropped."""

from __future__ import annotations

import threading

from jobledger.adapters.telemetry.buffer import Buffer, Parcel
from jobledger.adapters.telemetry.trace_context import SpanRef

PARENT = SpanRef(b"t" * 16, b"s" * 8)


def add(buffer: Buffer, job: str, *records: bytes) -> list[bool]:
    return [buffer.add(job, PARENT, record) for record in records]


def test_records_leave_by_job_in_the_order_they_came() -> None:
    buffer = Buffer()
    add(buffer, "a", b"1", b"2")
    add(buffer, "b", b"3")
    add(buffer, "a", b"4")
    assert buffer.take(100) == Parcel("a", b"t" * 16, 0, [b"1", b"2", b"4"])
    assert buffer.take(100) == Parcel("b", b"t" * 16, 0, [b"3"])
    assert buffer.take(100) is None


def test_it_tells_when_there_is_something_again() -> None:
    buffer = Buffer()
    assert add(buffer, "a", b"1", b"2") == [True, False]
    assert add(buffer, "b", b"3") == [False]
    buffer.take(100)
    assert add(buffer, "b", b"4") == [False]
    buffer.take(100)
    assert add(buffer, "b", b"5") == [True]


def test_a_parcel_is_no_larger_than_asked_unless_one_record_is() -> None:
    buffer = Buffer()
    add(buffer, "a", b"11", b"22", b"33333", b"4")
    assert [(buffer.take(4) or Parcel("", b"", 0, [])).records for _ in range(3)] == [
        [b"11", b"22"],
        [b"33333"],
        [b"4"],
    ]


def test_jobs_take_turns() -> None:
    buffer = Buffer()
    add(buffer, "a", b"1", b"2")
    add(buffer, "b", b"3")
    order = [parcel.records for _ in range(3) if (parcel := buffer.take(1)) is not None]
    assert order == [[b"1"], [b"3"], [b"2"]]


def test_without_room_the_oldest_go_and_are_counted() -> None:
    buffer = Buffer(room=4)
    add(buffer, "a", b"1", b"2")
    add(buffer, "b", b"3", b"4", b"5", b"6", b"7")
    assert buffer.dropped == 3
    assert len(buffer) == 4
    assert buffer.take(100) == Parcel("b", b"t" * 16, 1, [b"4", b"5", b"6", b"7"])
    assert buffer.take(100) == Parcel("a", b"t" * 16, 2, [])


def test_what_is_lost_after_it_was_taken_is_told_with_the_next_of_the_job() -> None:
    buffer = Buffer()
    add(buffer, "a", b"1", b"2")
    parcel = buffer.take(100)
    assert parcel is not None
    buffer.lose(parcel)
    add(buffer, "a", b"3")
    assert buffer.take(100) == Parcel("a", b"t" * 16, 2, [b"3"])
    assert buffer.dropped == 2


def test_threads_may_fill_it_together() -> None:
    buffer = Buffer(room=1000)

    def fill(job: str) -> None:
        add(buffer, job, *(b"%d" % (number % 10) for number in range(2000)))

    threads = [threading.Thread(target=fill, args=(job,)) for job in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parcels = []
    while (parcel := buffer.take(100)) is not None:
        parcels.append(parcel)
    kept = sum(len(parcel.records) for parcel in parcels)
    assert kept == 1000
    assert kept + sum(parcel.dropped for parcel in parcels) == 8000

"""Auditing a log: commits go in as they are stored, findings come out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.adapters.audit.payloads import read_payload
from jobledger.adapters.nats.log import encode_message
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, decode_commit, digest
from jobledger.core.submission import Submission, TaskSpec
from jobledger.projections.audit import AuditReport, FindingKind, Findings, LogAudit, Read
from jobledger.projections.audit.folding import Folding
from jobledger.projections.audit.marks import Marks, MarksCheck, stride_of, token
from support.audit_logs import Row, job_of, random_log

SUBMITTED = e.JobSubmitted("job", Submission([b"{}"], [TaskSpec("Task", 1, 0, "default")], [0, 1]))
CLAIMED = e.TasksClaimed("runner", 1, [0, 1])
COMPUTED = e.TaskComputed(0, 1, 10, 20)
COMPLETED = e.JobCompleted()


def reads(rows: Iterable[Row], *, start: int = 1) -> list[Read]:
    return [
        read_payload(position, job_id, encode_message(version, commit))
        for position, (job_id, version, commit) in enumerate(rows, start)
    ]


def history(*commits: list[Any], settled: bool | None = None) -> list[Row]:
    """Return the commits of one job, chained."""
    rows: list[Row] = []
    previous = NO_PREVIOUS
    for version, events in enumerate(commits, 1):
        ends = isinstance(events[-1], e.JobCompleted) if settled is None else settled
        commit = Commit(bytes(16), previous, version, "engine", ends, events)
        previous = digest(encode_message(version, commit))
        rows.append(("job", version, commit))
    return rows


def audited(stored: list[Read], *, start: int = 1, whole: bool = True, room: int = 1000) -> AuditReport:
    audit = LogAudit(Findings(), start=start, whole=whole, room=room)
    for read in stored:
        audit.add(read)
    audit.end(stored[-1].position)
    audit.explain()
    while jobs := audit.another_pass():
        for read in stored:
            if read.job_id in jobs:
                audit.fold(read)
    return audit.report()


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_nothing_is_found_in_what_engines_write(seed: int) -> None:
    rows = random_log(Random(seed), jobs=3, steps=40)
    report = audited(reads(rows))
    assert report.ok, report.findings
    assert (report.commits, report.jobs, report.last) == (len(rows), 3, len(rows))
    assert report.events == sum(len(commit.events) for _, _, commit in rows)


@pytest.mark.parametrize("room", [1, 60, 200])
def test_nothing_is_found_in_little_room_either(room: int) -> None:
    stored = reads(random_log(Random(5), jobs=8, steps=40))
    assert audited(stored, room=room) == audited(stored)


@pytest.mark.parametrize("room", [1, 1_000_000])
def test_what_the_lifecycle_forbids_is_found_in_any_pass(room: int) -> None:
    rows = random_log(Random(5), jobs=4, steps=30)
    wrong = history([SUBMITTED], [CLAIMED], [CLAIMED])
    mixed = [*rows[:10], wrong[0], *rows[10:15], wrong[1], wrong[2], *rows[15:]]
    (found,) = audited(reads(mixed), room=room).findings
    assert (found.kind, found.job_id, found.version, found.position) == (FindingKind.FORBIDDEN, "job", 3, 18)


@pytest.mark.parametrize(
    ("commits", "version", "text"),
    [
        ([[SUBMITTED, COMPUTED]], 1, "event 1 (TaskComputed)"),
        ([[CLAIMED]], 1, "before JobSubmitted"),
        (
            [[SUBMITTED], [CLAIMED], [msgspec.structs.replace(COMPUTED, attempt=2), COMPLETED]],
            3,
            "attempt 2 of task 0",
        ),
        (
            [[SUBMITTED], [msgspec.structs.replace(CLAIMED, tasks=[0, 2])]],
            2,
            "task 1 is not among the first 1",
        ),
        ([[SUBMITTED], [msgspec.structs.replace(CLAIMED, tasks=[0])]], 2, "no end for their last start"),
        ([[SUBMITTED], [msgspec.structs.replace(CLAIMED, tasks=[-1, 0])]], 2, "range [-1, 0)"),
        ([[SUBMITTED], [msgspec.structs.replace(CLAIMED, attempt=2**40)]], 2, "attempt 1099511627776"),
        ([[SUBMITTED], [COMPLETED]], 2, "unfinished"),
        ([[SUBMITTED], [CLAIMED], [COMPUTED]], 3, "nothing of the job is left to run, and it is STARTED"),
    ],
)
def test_an_event_that_the_lifecycle_forbids_is_a_finding(
    commits: list[list[Any]], version: int, text: str
) -> None:
    (found,) = audited(reads(history(*commits))).findings
    assert (found.kind, found.version, found.position) == (FindingKind.FORBIDDEN, version, version)
    assert text in found.text


def test_a_commit_that_calls_an_unsettled_job_settled_is_a_finding() -> None:
    (found,) = audited(reads(history([SUBMITTED], settled=True))).findings
    assert "settled" in found.text


def test_an_event_of_a_later_version_is_no_finding() -> None:
    unknown = e.UnknownEvent(200, ["news"])
    rows = history([SUBMITTED], [unknown], [CLAIMED], [unknown, COMPUTED, COMPLETED])
    report = audited(reads(rows))
    assert report.ok
    assert report.unknown_events == {200: 2}


def test_a_part_that_begins_in_the_middle_of_a_job_is_checked_from_there_on() -> None:
    rows = history([SUBMITTED], [CLAIMED], [COMPUTED, COMPLETED])
    stored = reads(rows)[1:]
    report = audited(stored, start=2)
    assert report.ok
    assert (report.partial_jobs, report.start, report.last) == (1, 2, 3)
    (dropped,) = audited(stored, start=1).findings
    assert (dropped.kind, dropped.version, dropped.position) == (FindingKind.DROPPED, 1, 1)


def test_a_position_at_which_there_is_nothing_is_a_finding_where_all_jobs_are_there() -> None:
    stored = [*reads(history([SUBMITTED])), *reads([("other", *history([SUBMITTED])[0][1:])], start=4)]
    (found,) = audited(stored).findings
    assert (found.kind, found.position) == (FindingKind.DROPPED, 2)
    assert "up to position 3" in found.text
    assert audited(stored, whole=False).ok


def test_room_is_made_by_jobs_that_are_settled() -> None:
    findings = Findings()
    folding = Folding(findings, room=50)
    done = history([SUBMITTED], [CLAIMED, COMPUTED, COMPLETED])
    for job_id in ("one", "two", "three"):
        for _, version, commit in done:
            folding.add(version, job_id, version, commit)
    assert folding.deferred == set()
    assert findings.count == 0


# -- checkpoints ------------------------------------------------------------------------------------------------------


def marks_of(stored: list[Read]) -> tuple[list[bytes], set[bytes]]:
    marks, heads = Marks(len(stored)), {}
    for read in stored:
        marks.add(read.position, read.job_id, read.digest)
        heads[read.job_id] = token(read.job_id, read.version, read.digest)
    return marks.finish(), set(heads.values())


def compared(
    stored: list[Read], *, with_: list[Read], start: int = 1, whole: bool = True
) -> tuple[int, Findings]:
    check = MarksCheck(len(with_), *marks_of(with_), start=start, whole=whole)
    findings = Findings()
    for read in stored:
        check.add(read.position, read.job_id, read.version, read.digest)
    return check.finish(findings, stored[-1].position), findings


@given(st.integers(0, 1000), st.data())
def test_a_log_that_went_on_is_as_the_checkpoint_says(seed: int, data: st.DataObject) -> None:
    stored = reads(random_log(Random(seed), jobs=4))
    at = data.draw(st.integers(1, len(stored)))
    vouched, findings = compared(stored, with_=stored[:at])
    assert findings.count == 0
    assert vouched == len({read.job_id for read in stored[:at]})


@given(st.integers(0, 1000), st.data())
def test_a_rewritten_commit_is_named(seed: int, data: st.DataObject) -> None:
    stored = reads(random_log(Random(seed), jobs=4))
    place = data.draw(st.integers(0, len(stored) - 1))
    job_id = stored[place].job_id
    # All hashes from there on are other ones, as they are made consistently.
    rewritten = [
        read._replace(digest=digest(read.digest)) if read.job_id == job_id and read.position > place else read
        for read in stored
    ]
    _, findings = compared(rewritten, with_=stored)
    first = findings.first()[0]
    assert (first.kind, first.job_id, first.version, first.position) == (
        FindingKind.REWRITTEN,
        job_id,
        stored[place].version,
        place + 1,
    )


def test_in_a_long_log_the_block_and_the_job_tell_which_it_was() -> None:
    stored = [
        Read(number, f"job-{number % 500}", digest(b"%d" % number), number // 500 + 1, None)
        for number in range(1, 10_001)
    ]
    assert stride_of(len(stored)) == 4
    rewritten = list(stored)
    rewritten[7005] = stored[7005]._replace(digest=bytes(32))
    rewritten[9505] = stored[9505]._replace(digest=bytes(32))  # the job's next ones follow
    _, findings = compared(rewritten, with_=stored)
    (found,) = findings.first()
    assert (found.job_id, found.version, found.position) == ("job-6", 15, 7006)


def test_a_part_is_compared_as_far_as_it_goes() -> None:
    stored = reads(random_log(Random(3), jobs=4))
    vouched, findings = compared(stored[10:], with_=stored, start=11)
    assert findings.count == 0
    assert vouched == len({read.job_id for read in stored[10:]})
    some = [read for read in stored if read.job_id in (job_of(1), job_of(2))]
    some.append(stored[-1])
    assert compared(some, with_=stored, whole=False)[1].count == 0


def test_a_job_that_vanished_is_missed() -> None:
    stored = reads(random_log(Random(3), jobs=4))
    gone = next(read.job_id for read in stored if read.job_id != stored[-1].job_id)
    _, findings = compared([read for read in stored if read.job_id != gone], with_=stored)
    assert {one.kind for one in findings.first()} == {FindingKind.REWRITTEN}
    assert "1 of the jobs that the checkpoint vouches for" in " ".join(map(str, findings.first()))


# -- what earlier versions wrote --------------------------------------------------------------------------------------

HISTORIES = Path(__file__).parents[1] / "core" / "histories"


@pytest.mark.parametrize("name", sorted(path.stem for path in HISTORIES.glob("*.hex")))
def test_nothing_is_found_in_a_history_of_an_earlier_version(name: str) -> None:
    findings = Findings()
    folding = Folding(findings)
    lines = (HISTORIES / f"{name}.hex").read_text().split()
    for version, line in enumerate(lines, 1):
        folding.add(version, "job", version, decode_commit(bytes.fromhex(line)))
    assert findings.first() == []

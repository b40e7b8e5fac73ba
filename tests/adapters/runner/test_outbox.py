"""What becomes of reports: accepted, refused, refused together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jobledger.adapters.protocol import ClaimedJob, ClaimedTask, RefusedReport
from jobledger.adapters.runner.assignment import Assignment, Assignments
from jobledger.adapters.runner.exchange.outbox import MOST_BYTES, Outbox
from jobledger.core.commands import Report, ReportFailed
from jobledger.core.submission import TaskSpec

SPEC = TaskSpec("Task", 1, 0, "default")


class Desk:
    """Assignments and their outbox."""

    def __init__(self, *reports: list[bytes]) -> None:
        self.assignments = Assignments()
        self.outbox = Outbox(self.assignments)
        tasks = [ClaimedTask(task, 1, 0, b"") for task in range(len(reports))]
        self.held = self.assignments.admit([ClaimedJob("job", "a job", [SPEC], tasks)])
        for assignment, its_reports in zip(self.held, reports, strict=True):
            assignment.started = 1
            assignment.reports = its_reports
            self.outbox.add(assignment)


def sent(assignments: list[Assignment]) -> list[bytes]:
    return [assignment.reports[0] for assignment in assignments]


def test_reports_of_one_attempt_go_one_after_another() -> None:
    desk = Desk([b"a1", b"a2"], [b"b"])
    first = desk.outbox.take()
    assert sent(first) == [b"a1", b"b"]
    assert desk.outbox.take() == []
    desk.outbox.answered(first)
    second = desk.outbox.take()
    assert sent(second) == [b"a2"]
    assert len(desk.assignments) == 1
    desk.outbox.answered(second)
    assert len(desk.assignments) == 0


def test_an_exchange_is_bounded_in_bytes() -> None:
    large = bytes(MOST_BYTES + 1)
    half = bytes(MOST_BYTES // 2)
    desk = Desk([b"a"], [large], [half], [half], [b"b"])
    taken = []
    while group := desk.outbox.take():
        taken.append([assignment.task for assignment in group])
    assert taken == [[0], [1], [2, 3], [4]]


@pytest.mark.parametrize("code", ["stale", "unknown_job", "damaged", "invalid"])
def test_a_refused_report_is_dropped_and_told(code: str, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk([b"a"], [b"b"])
    desk.outbox.answered(desk.outbox.take(), [RefusedReport(1, code, "the reason")])
    assert len(desk.assignments) == len(desk.outbox) == 0
    assert "attempt 1 of task 1 (Task) of job job" in caplog.text
    assert "the reason" in caplog.text


def test_giving_back_what_is_over_is_nothing_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk([b"a"])
    desk.held[0].started = 0
    desk.outbox.answered(desk.outbox.take(), [RefusedReport(0, "stale", "over")])
    assert len(desk.assignments) == 0
    assert not caplog.records


def failure(desk: Desk) -> ReportFailed:
    (assignment,) = desk.outbox.take()
    report: Any = msgspec.msgpack.decode(assignment.reports[0], type=Report)
    assert isinstance(report, ReportFailed)
    return report


def test_subtasks_the_engine_does_not_take_fail_the_task() -> None:
    desk = Desk([b"chunk", b"last"])
    desk.held[0].submits = True
    desk.outbox.answered(desk.outbox.take(), [RefusedReport(0, "invalid", "task 3 waits for itself")])
    error = failure(desk).error
    assert error.reason == "SubmissionRefused"
    assert "task 3 waits for itself" in error.message


def test_an_exchange_refused_as_a_whole_is_sent_again_report_by_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk([b"a"], [b"b"], [b"c"])
    desk.held[1].submits = True
    desk.outbox.refused_together(desk.outbox.take(), "invalid", "cannot be decoded")
    assert "3 reports together" in caplog.text
    first = desk.outbox.take()
    assert sent(first) == [b"a"]
    desk.outbox.answered(first)
    second = desk.outbox.take()
    assert sent(second) == [b"b"]
    for _ in range(2):  # the engine may have failed by chance
        assert desk.outbox.refused_together(second, "internal", "failed") == []
        assert desk.outbox.take() == second
        assert sent(second) == [b"b"]
    assert desk.outbox.refused_together(second, "internal", "failed") == []
    assert failure(desk).error.reason == "ReportRefused"
    assert desk.outbox.refused_together(second, "internal", "failed") == second
    assert sent(desk.outbox.take()) == [b"c"]

"""What a runner holds, when the same attempt is handed out more than once."""

from __future__ import annotations

from jobledger.adapters.protocol import AttemptRef, ClaimedJob, ClaimedTask
from jobledger.adapters.runner.assignment import Assignments
from jobledger.core.submission import TaskSpec

SPEC = TaskSpec("Task", 1, 0, "default")


def handed_out(*tasks: int, attempt: int = 1) -> list[ClaimedJob]:
    return [ClaimedJob("job", "a job", [SPEC], [ClaimedTask(task, attempt, 0, b"") for task in tasks])]


def numbers(assignments: list[object]) -> list[int]:
    return [assignment.task for assignment in assignments]  # type: ignore[attr-defined]


def test_what_is_held_already_is_not_admitted_again() -> None:
    assignments = Assignments()
    assert numbers([*assignments.admit(handed_out(0, 1))]) == [0, 1]
    assert numbers([*assignments.admit(handed_out(1, 2))]) == [2]
    assert numbers([*assignments.admit(handed_out(1, attempt=2))]) == [1]
    assert assignments.refs == [("job", 0, 1), ("job", 1, 1), ("job", 2, 1), ("job", 1, 2)]


def test_a_repetition_may_come_after_the_attempt_was_settled() -> None:
    assignments = Assignments()
    (first,) = assignments.admit(handed_out(0))
    assignments.begin_recount()  # an exchange leaves that says what is held …
    assignments.settle(first)  # … the report is acknowledged before its answer …
    assert assignments.admit(handed_out(0)) == []  # … which was made before the report
    assignments.end_recount()
    assert len(assignments) == 0


def test_what_was_settled_is_forgotten_once_no_repetition_can_come() -> None:
    assignments = Assignments()
    for _ in range(2):
        assignments.begin_recount()
    (first,) = assignments.admit(handed_out(0))
    assignments.settle(first)
    assignments.end_recount()
    assert assignments.admit(handed_out(0)) == []
    assignments.end_recount()
    assert len(assignments.admit(handed_out(0))) == 1


def test_what_is_lost_is_dropped_unless_it_is_finished() -> None:
    assignments = Assignments()
    waiting, finished = assignments.admit(handed_out(0, 1))
    finished.reports = [b"report"]
    lost = assignments.lose([AttemptRef("job", task, 1) for task in (0, 1, 2)])
    assert lost == [waiting]
    assert waiting.lost
    assert not finished.lost
    assert assignments.refs == [("job", 1, 1)]

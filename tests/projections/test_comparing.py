"""Two runs side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.projections.comparing import compare
from jobledger.projections.differences import Difference, JobDiff
from support.forks import FORK, plan, view_of, write
from support.histories import ERROR, JOB, JobDriver, task

Change = Callable[[JobDriver], Any]


def run(change: Change | None = None, *, order: tuple[str, str] = ("a", "b")) -> JobDriver:
    """0 Root; its subtasks Load a, Load b and, after both, Join, all computed but for what `change` does before."""
    job = JobDriver(task("Root"))
    loads = [task("Load", data=b'"%s"' % name.encode()) for name in order]
    job.run(0, *loads, task("Join", after=[0, 1]))
    if change is not None:
        change(job)
    job.drain()
    return job


def diff(left: JobDriver, right: JobDriver, **options: Any) -> JobDiff:
    return compare(view_of(left), view_of(right), **options)


def told(found: JobDiff) -> dict[str, list[Difference]]:
    return {one.path: one.differences for one in found.tasks}


# -- which is which -----------------------------------------------------------------------------------------------


def test_a_run_is_the_same_as_itself() -> None:
    found = diff(run(), run())
    assert not found
    assert (found.matched, found.left_tasks, found.right_tasks, str(found)) == (4, 4, 4, "")


def test_tasks_are_matched_by_their_input_and_not_by_their_place() -> None:
    assert not diff(run(), run(order=("b", "a")))


def test_what_has_another_input_is_matched_by_name_and_order() -> None:
    found = diff(run(), run(order=("x", "a")))
    assert told(found) == {"Root[0]/Load[0]": [Difference("input", '"b"', '"x"')]}
    assert (found.tasks[0].left, found.tasks[0].right) == (2, 1)


def test_what_only_one_has_is_told_once_for_all_that_is_below_it() -> None:
    left, right = JobDriver(task("Root")), JobDriver(task("Root"))
    left.run(0, task("Part"))
    left.run(1, task("Row"), task("Row"))
    left.drain()
    right.run(0, task("Other"))
    right.drain()
    found = diff(left, right)
    assert [(one.path, one.left, one.right, one.size) for one in found.tasks] == [
        ("Root[0]/Part[0]", 1, None, 3),
        ("Root[0]/Other[0]", None, 1, 1),
    ]
    assert (
        str(found)
        == "Root[0]/Part[0]: only in the left job, with 2 tasks below it\nRoot[0]/Other[0]: only in the right job"
    )


def test_a_fork_is_compared_with_the_job_it_comes_from_whatever_its_numbers() -> None:
    old = JobDriver(task("Root"))
    old.run(0, task("Clean"), task("Beside"))
    old.run(1, task("Part"), task("Part"))
    old.run(2, task("Row", data=b"1"), task("Row", data=b"2", after=[0]))
    old.drain()
    fork = write(plan(view_of(old), 1))
    found = compare(view_of(old), view_of(fork, job_id=FORK))
    assert [(one.path, [each.what for each in one.differences], one.size) for one in found.tasks] == [
        ("Root[0]/Clean[0]", ["state", "input", "attempts"], 1),
        ("Root[0]/Clean[0]/Part[0]", [], 1),
        ("Root[0]/Clean[0]/Part[1]", [], 1),
    ]


# -- what differs -------------------------------------------------------------------------------------------------


def test_outcomes_attempts_and_errors() -> None:
    def fail(job: JobDriver) -> None:
        job.claim()
        job.fail(1)

    found = diff(run(), run(fail))
    assert found.job == [
        Difference("state", "COMPLETED", "FAILED"),
        Difference("error", None, "ValueError: it broke"),
    ]
    assert told(found)["Root[0]/Load[0]"] == [
        Difference("state", "COMPUTED", "FAILED"),
        Difference("error", None, "ValueError: it broke"),
    ]
    assert told(found)["Root[0]/Join[2]"] == [
        Difference("state", "COMPUTED", "QUEUED"),
        Difference("attempts", 1, 0),
    ]


def test_an_attempt_more_is_a_difference_though_it_came_to_the_same() -> None:
    def fail_once(job: JobDriver) -> None:
        job.claim()
        job.release(1)

    assert told(diff(run(), run(fail_once))) == {"Root[0]/Load[0]": [Difference("attempts", 1, 2)]}


def computed(result: e.Value | None = None, stopped: int = 20) -> Change:
    def compute(job: JobDriver) -> None:
        job.claim()
        job.do(c.ReportComputed(JOB, 1, 1, 10, stopped, result=result))

    return compute


def test_results() -> None:
    inline = e.Value(b'"abc"')
    found = diff(run(computed(inline)), run(computed(e.Value(b"7"))))
    assert told(found) == {"Root[0]/Load[0]": [Difference("result", '"abc"', "7")]}
    digest = "6cc43f858fbb763301637b5af970e2a46b46f461f27e5a0f41e009c59b827b25"
    large = e.Value(object=f"job-1/{digest}", size=5)
    assert not diff(run(computed(inline)), run(computed(large))), "it is the same wherever it is kept"
    assert told(diff(run(), run(computed(large)))) == {
        "Root[0]/Load[0]": [Difference("result", None, f"5 bytes, {digest}")]
    }


def test_inputs_are_the_same_wherever_they_are_kept() -> None:
    inline, named = JobDriver(task("A", data=b"x" * 200)), JobDriver(task("A"))
    view = view_of(named)
    view.job.inputs[0] = b"job-2/aa93cae4d5cd8d7d7ae4d4a8a40f4ae5a2ec8cdb0ed56e8d6f6a0a25d4bcabcd"
    view.job.references.add(0)
    assert [one.what for one in compare(view_of(inline), view).tasks[0].differences] == ["input"]


def test_what_was_asked_for() -> None:
    left, right = JobDriver(), JobDriver()
    left.submit(task("A"), labels={"team": "a"})
    right.submit(task("A", retries=2, cluster="gpu"), labels={"team": "b"}, continues=True)
    found = diff(left, right)
    assert [one.what for one in found.job] == ["on_failure", "labels"]
    assert told(found) == {
        "A[0]": [Difference("cluster", "default", "gpu"), Difference("policy", [], ["2 retries"])]
    }


def test_what_a_task_waits_for() -> None:
    left, right = JobDriver(task("Root")), JobDriver(task("Root"))
    left.run(0, task("A"), task("B"), task("C", after=[0]))
    right.run(0, task("A"), task("B"), task("C", after=[1]))
    assert told(diff(left, right)) == {"Root[0]/C[2]": [Difference("depends_on", [1], [2])]}


def test_times_make_no_difference_unless_they_are_asked_for() -> None:
    quick, slow = run(), run(computed(stopped=100))
    assert not diff(quick, slow)
    assert not diff(quick, slow, duration_factor=9)
    assert told(diff(quick, slow, duration_factor=8.9)) == {
        "Root[0]/Load[0]": [Difference("duration", 0.00001, 0.00009)]
    }


def test_a_difference_is_a_line() -> None:
    error = msgspec.structs.replace(ERROR, message="first\nsecond")
    job = JobDriver(task("A"))
    job.claim()
    job.fail(0, error=error)
    assert str(diff(JobDriver(task("A")), job)) == (
        "job: state: SUBMITTED → FAILED, error: none → ValueError: first second\n"
        "A[0]: state: QUEUED → FAILED, attempts: 0 → 1, error: none → ValueError: first second"
    )

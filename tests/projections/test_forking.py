"""What a fork keeps of the job it comes from, what runs again, and what is left out."""

from __future__ import annotations

from random import Random

import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.codec import encode_commit
from jobledger.core.errors import ArgumentError
from jobledger.core.graph import ROOT
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import NO_DEPENDENCIES
from jobledger.projections.forking import plan_fork
from jobledger.projections.history import History
from jobledger.projections.job_changes import changes_of
from jobledger.projections.job_view import JobView
from jobledger.projections.jobs.folding import JobsFold
from jobledger.projections.jobs.row import place_of
from jobledger.projections.jobs.row_fold import RowFold, Step
from support.forks import FORK, edit, plan, view_of, write
from support.histories import ERROR, JOB, JobDriver, task
from support.random_history import committed, random_history

OVER = (TaskState.COMPUTED, TaskState.SKIPPED, TaskState.FAILED_OPTIONAL)


def forked(job: JobDriver, *edited: int, **options: bool) -> JobDriver:
    return write(plan(view_of(job), *edited, **options))


def seen(fork: JobDriver) -> JobView:
    return view_of(fork, job_id=FORK)


def chain() -> JobDriver:
    """0 Root; 1 Load, 2 Clean after it, 3 Store after that; 4 Beside. Clean has submitted 5 and 6; Store 7."""
    job = JobDriver(task("Root"))
    job.run(0, task("Load"), task("Clean", after=[0]), task("Store", after=[1]), task("Beside"))
    job.run(1)
    job.run(2, task("Part"), task("Part"))
    job.run(5)
    job.run(6)
    job.run(3, task("Row"))
    job.run(7)
    job.run(4)
    return job


# -- another input ------------------------------------------------------------------------------------------------


def test_what_is_edited_runs_again_with_its_new_input_and_nothing_else_does() -> None:
    fork = forked(chain(), 4)
    assert fork.states == "CCCCQCCC"
    assert fork.job.inputs[4] == b"edited"
    assert fork.drain() == [4]


def test_what_depends_on_it_runs_again_and_what_those_had_submitted_is_left_out() -> None:
    fork = forked(chain(), 2)
    assert [fork.job.spec_of(number).name for number in range(len(fork.job.graph))] == [
        "Root",
        "Load",
        "Clean",
        "Store",
        "Beside",
    ]
    assert fork.states == "CCQQC"
    fork.run(2, task("Part"))
    fork.run(5)
    assert fork.drain() == [3]


def test_an_edit_below_a_task_makes_run_again_what_waits_for_that_task() -> None:
    fork = forked(chain(), 5)
    assert fork.states == "CCCQCQC"
    assert fork.drain() == [5, 3]


def test_numbers_close_up_where_tasks_are_left_out() -> None:
    """Clean and Beside have submitted tasks; those of Clean are left out, so that those of Beside move up."""
    job = JobDriver(task("Root"))
    job.run(0, task("Clean"), task("Beside"))
    job.run(1, task("Part"), task("Part"))
    job.run(2, task("Row"), task("Row", after=[0]), task("Row", after=[0, 1]))
    job.run(5)
    view = seen(forked(job, 1))
    assert [(one.number, one.origin and one.origin.number) for one in view.tasks] == [
        (0, 0),
        (1, None),
        (2, 2),
        (3, 5),
        (4, None),
        (5, None),
    ]
    assert [one.number for one in view.tasks[5].depends_on] == [3, 4]
    assert [one.number for one in view.tasks[2].children] == [3, 4, 5]


def test_roots_can_be_edited() -> None:
    job = JobDriver(task("A"), task("B"))
    job.drain()
    fork = forked(job, 0)
    assert fork.states == "QC"


def test_several_tasks_can_be_edited() -> None:
    assert forked(chain(), 1, 4).states == "CQQQQ"


def test_another_version_of_its_code_may_be_asked_for() -> None:
    view = view_of(chain())
    fork = write(plan_fork(view, FORK, {4: edit(view, 4, b"7", minor=5)}))
    assert str(fork.job.spec_of(4).identifier) == "Beside v1.5"


@pytest.mark.parametrize("number", [-1, 8])
def test_a_task_that_was_not_there_cannot_be_edited(number: int) -> None:
    view = view_of(chain())
    with pytest.raises(ArgumentError, match=rf"tasks\[{number}\] .* had 8 tasks, 0 to 7"):
        plan_fork(view, FORK, {number: edit(view, 0)})


@pytest.mark.parametrize(("edited", "told"), [((2, 5), 5), ((1, 7), 7), ((0, 4), 4)])
def test_a_task_that_will_be_submitted_anew_cannot_be_edited(edited: tuple[int, int], told: int) -> None:
    with pytest.raises(ArgumentError, match=rf"tasks\[{told}\] .* submitted anew"):
        plan(view_of(chain()), *edited)


# -- how tasks had ended ------------------------------------------------------------------------------------------


def test_what_had_failed_and_what_was_halted_by_that_is_queued() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("Flaky", retries=1), task("After", after=[0]))
    job.claim()
    job.fail(1)
    job.claim()
    job.fail(1)
    assert job.states == "CFQ"
    fork = forked(job)
    assert fork.states == "CQQ"
    assert fork.job.attempt[1] == 0
    fork.claim()
    fork.fail(1)
    assert fork.states == "CQQ", "it has all its retries again"
    assert fork.drain() == [1, 2]


def test_what_was_canceled_or_abandoned_is_queued() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("A"), task("B", after=[0]), task("C"))
    job.cancel_task(1)
    assert job.states == "CXAQ"
    assert forked(job).states == "CQQQ"
    job.cancel()
    assert forked(job).drain() == [1, 2, 3]


def optional_failure() -> JobDriver:
    """1 is optional; below it, 3 has failed, so that 4 and 5 were skipped. 2 came after it."""
    job = JobDriver(task("Root"))
    job.run(0, task("Maybe", optional=True), task("After", after=[0]))
    job.run(1, task("Bad"), task("Worse", after=[0]), task("Beside"))
    job.claim(1)
    job.fail(3)
    job.drain()
    assert job.states == "CCCOSS"
    return job


def test_what_failed_in_an_optional_subtree_is_kept_as_it_is() -> None:
    fork = forked(optional_failure())
    assert fork.states == "CCCOSS"
    assert fork.job.settled
    view = seen(fork)
    assert view.tasks[3].error == ERROR
    assert str(view.tasks[4].cause) == "task 3 (Bad) failed: ValueError: it broke"


def test_an_edit_of_it_takes_back_what_was_skipped_because_of_it() -> None:
    fork = forked(optional_failure(), 3)
    assert fork.states == "CCQQQQ"
    assert sorted(fork.drain()) == [2, 3, 4, 5]


def failure_below() -> JobDriver:
    """0 Root; 1 Clean, 2 Maybe, optional; 3 Part of Clean; 4 Inner and 5 Beside of Maybe; 6 Bad of Inner has failed."""
    job = JobDriver(task("Root"))
    job.run(0, task("Clean"), task("Maybe", optional=True))
    job.run(1, task("Part"))
    job.run(3)
    job.run(2, task("Inner"), task("Beside"))
    job.run(4, task("Bad"))
    job.claim()
    job.fail(6)
    assert job.states == "CCCCCSO"
    return job


def test_what_was_skipped_because_of_a_task_that_is_left_out_is_taken_back() -> None:
    fork = forked(failure_below(), 4)
    assert fork.states == "CCCCQQ"


def test_why_it_was_skipped_is_known_by_the_new_number() -> None:
    view = seen(forked(failure_below(), 1))
    assert [one.state.name for one in view.tasks] == ["COMPUTED", "QUEUED"] + ["COMPUTED"] * 2 + [
        "SKIPPED",
        "FAILED_OPTIONAL",
    ]
    cause = view.tasks[4].cause
    assert cause is not None
    assert (cause.task, cause.text) == (5, "task 5 (Bad) failed: ValueError: it broke")


def test_an_edit_elsewhere_leaves_it_alone() -> None:
    fork = forked(optional_failure(), 2)
    assert fork.states == "CCQOSS"


def test_what_was_reused_stays_reused() -> None:
    job = JobDriver(task("A"), task("B"))
    job.claim()
    job.reuse(0)
    view = seen(forked(job))
    assert view.tasks[0].reused
    assert str(view.tasks[0].source) == "job-0/7"
    assert [attempt.outcome.name for attempt in view.tasks[0].attempts] == ["REUSED"]
    assert view.tasks[0].result == {"answer": 42}


def test_what_was_staged_by_a_task_that_never_ended_is_left_out() -> None:
    job = JobDriver(task("Root"))
    job.claim()
    job.do(c.StageSubtasks(JOB, 0, 1, plan(view_of(chain())).roots))
    assert len(forked(job, requeue_running=True).job.graph) == 1


# -- what ran -----------------------------------------------------------------------------------------------------


def test_a_moment_at_which_tasks_ran_is_refused() -> None:
    job = JobDriver(*[task(f"T{number}") for number in range(9)])
    job.claim(8)
    with pytest.raises(
        ArgumentError, match=r"task 0 \(T0\), .* task 4 \(T4\) and 3 more .* were running.*requeue_running"
    ):
        plan(view_of(job))


def test_what_ran_is_queued_where_that_is_asked_for() -> None:
    job = JobDriver(task("A"), task("B"))
    job.claim(2)
    job.compute(0)
    fork = forked(job, requeue_running=True)
    assert fork.states == "CQ"
    assert fork.job.attempt[1] == 0


def test_what_ran_and_is_edited_or_left_out_is_no_matter() -> None:
    job = JobDriver(task("Root"))
    job.run(0, task("A"), task("B", after=[0]))
    job.claim()
    assert forked(job, 1).states == "CQQ"
    job.compute(1)
    job.claim()
    job.compute(2, task("Part"))
    job.claim()
    assert forked(job, 1).states == "CQQ"


# -- what readers see ---------------------------------------------------------------------------------------------


def told(view: JobView, number: int) -> tuple[object, ...]:
    """Return what is known of a task that came to its end."""
    one = view.tasks[number]
    return (
        one.identifier,
        one.state,
        one.complete,
        one.display,
        one.attempt,
        one.runner,
        one.claimed_at,
        one.started_at,
        one.stopped_at,
        one.execution_duration,
        one.error,
        one.reused,
        one.source,
        view.progressed.get(number),
        view.job.inputs[number],
    )


def test_what_is_kept_reads_as_it_did() -> None:
    for seed in range(12):
        old = random_history(Random(seed), steps=80)
        view = view_of(old)
        fork = view_of(write(plan(view, requeue_running=True)), job_id=FORK)
        kept = [one.number for one in view.tasks if one.state in OVER]
        assert [told(fork, number)[0] for number in kept] == [told(view, number)[0] for number in kept]
        for number in kept:
            given, expected = told(fork, number), told(view, number)
            # whether it is complete may depend on what is to run again; attempts before the last one are not taken over
            assert (*given[:2], *given[3:9], *given[10:]) == (*expected[:2], *expected[3:9], *expected[10:])
            assert fork.tasks[number].origin == (JOB, number)
            assert fork.job.graph.children(number) == view.job.graph.children(number)


def test_what_did_not_run_in_the_fork_does_not_count_as_its_work() -> None:
    view = seen(forked(half_run()))
    stats = view.execution_stats
    assert (stats.first_task_started_at, stats.compute_time.total_seconds()) == (None, 0.0)
    assert view.started_at is None
    assert view.tasks[0].pending_duration == 0.0
    assert stats.tasks_by_state[TaskState.COMPUTED] == 1
    assert view.percent == 50.0


def half_run() -> JobDriver:
    job = JobDriver(task("A"), task("B"))
    job.run(0)
    return job


def test_the_history_says_where_it_comes_from() -> None:
    fork = forked(half_run())
    assert [entry.text for entry in History(committed(fork), lambda number: "")] == [
        "a fork begins: part 1 of what it takes over, 1 finished task",
        "job 'a job' submitted by user@host with 2 root tasks, forked from job job-1 as of its version 4 (position 12)",
    ]
    origin = seen(fork).origin
    assert origin is not None
    assert (origin.job, origin.position, origin.version) == (JOB, 12, 4)


def test_a_fork_can_be_forked() -> None:
    first = forked(chain(), 2)
    first.run(2)
    view = view_of(first, job_id=FORK)
    second = view_of(write(plan(view)), job_id=FORK)
    assert [one.state.name for one in second.tasks] == [
        "COMPUTED",
        "COMPUTED",
        "COMPUTED",
        "QUEUED",
        "COMPUTED",
    ]
    assert [one.started_at for one in second.tasks] == [one.started_at for one in view.tasks]


def test_a_row_of_a_fork_counts_what_was_counted_and_is_there_only_once_it_is_submitted() -> None:
    job = JobDriver(task("A"), task("B"))
    job.claim()
    job.do(c.ReportComputed(JOB, 0, 1, 10, 20, None, None, [e.Progress("rows", 8, 4)]))
    fork = write(plan(view_of(job), part=1))
    row = RowFold(FORK)
    states = []
    for position, version, commit in committed(fork):
        row.apply(Step(position, version, encode_commit(commit)))
        states.append(row.job.state)
    assert [bool(state) for state in states] == [False] * (len(states) - 1) + [True]
    assert row.row().indicators == [("rows", 8, 4)]
    assert (row.row().started, row.row().submitted) == (0, row.job.submitted_at)
    assert row.place == place_of(row.job.submitted_at, row.position)


def test_lists_and_subscribers_hear_of_a_fork_once_it_is_submitted() -> None:
    fork = write(plan(view_of(half_run()), part=1))
    jobs, job, changes = JobsFold(lambda job_id, version: ()), Job(FORK), []
    shown = []
    for position, version, commit in committed(fork):
        jobs.add(FORK, Step(position, version, encode_commit(commit)))
        shown.append([row.state for row in jobs.take().rows])
        changes += changes_of(job, position, commit)
    assert shown == [[]] * (len(shown) - 1) + [[JobState.STARTED]]
    assert [(change.old, change.new) for change in changes] == [(None, JobState.STARTED)]


def test_readers_forget_what_another_fork_had_left_half_written() -> None:
    job = JobDriver(task("A"), task("B"))
    for number in (0, 1):
        job.claim()
        job.do(c.ReportComputed(JOB, number, 1, 10, 20, None, "shown", [e.Progress("rows", 8, 4)]))
    fork = JobDriver()
    for part in plan(view_of(job), part=1).parts:
        fork.do(c.TakeOver(FORK, part))
    write(plan(view_of(job), 0, part=1), fork)
    view, row = JobView(FORK), RowFold(FORK)
    for position, version, commit in committed(fork):
        view.apply(position, version, commit)
        row.apply(Step(position, version, encode_commit(commit)))
    assert [one.display for one in view.tasks] == ["A", "shown"]
    assert view.progress == row.row().progress == [("rows", 8, 4)]
    assert view.taken_over == [], "nothing of it is kept in memory"


# -- objects ------------------------------------------------------------------------------------------------------


def test_a_fork_has_large_values_under_names_of_its_own() -> None:
    job = JobDriver(task("A"), task("B"))
    job.claim()
    job.do(c.ReportComputed(JOB, 0, 1, 10, 20, result=e.Value(object=f"{JOB}/abc", size=9)))
    job.job.references.add(1)
    view = view_of(job)
    view.job.inputs[1] = f"{JOB}/def".encode()
    view.job.references.add(1)
    planned = plan(view)
    assert planned.objects == [f"{JOB}/def", f"{JOB}/abc"]
    fork = write(planned)
    assert fork.job.inputs[1] == f"{FORK}/def".encode()
    assert fork.job.references == {1}
    assert fork.job.results[0].object == f"{FORK}/abc"


# -- any history --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_any_fork_of_any_history_runs_to_its_end(seed: int) -> None:
    """From any point, with any edits that are possible, in parts of any size: what is kept stays, all else runs."""
    random = Random(seed)
    commits = committed(random_history(random, steps=70), random)
    view = JobView(JOB)
    for placed in commits[: random.randint(1, len(commits))]:
        view.apply(*placed)
    if view.deleted:
        return
    total = len(view.job.graph)
    edited = random.sample(range(total), min(total, random.choice([0, 1, 1, 2])))
    try:
        planned = plan(view, *edited, part=random.choice([1, 100, 10_000]), requeue_running=True)
    except ArgumentError:  # one edit is below another: that is another test's
        return
    fork = write(planned)
    fork.now = 2**62
    graph, old = fork.job.graph, view.job.graph
    sources = seen(fork).sources
    kept = {number: sources[number] for number in range(len(sources)) if sources[number] >= 0}
    for number, source in kept.items():
        assert source not in edited
        assert graph.status[number] == old.status[source]
        parent = graph.parent[number]
        assert parent == ROOT or kept[parent] == old.parent[source]
        index = graph.dependencies[number]
        if graph.status[number] == TaskState.COMPUTED.value and index != NO_DEPENDENCIES:
            assert all(graph.is_complete(other) for other in ranges.numbers(graph.members[index]))
    assert len(planned.clusters) <= 1
    fork.job.graph.wake(2**62)
    ran = fork.drain()
    assert not set(ran) & kept.keys()
    assert fork.state.name == "COMPLETED"
    assert len(ran) + len(kept) == len(graph)

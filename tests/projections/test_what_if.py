"""Recorded histories with the code that is installed now. Each difference that is to be found is planted in the code."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest

from jobledger.core import commands as c
from jobledger.core import decisions, job
from jobledger.core import events as e
from jobledger.core.decisions import reports as deciding
from jobledger.core.job import Job, fold
from jobledger.core.job import reports as folding
from jobledger.core.lifecycle import JobState, LifecycleError
from jobledger.core.options import Retry
from jobledger.core.task import Task, TaskMeta
from jobledger.projections.job_view import JobView
from jobledger.projections.whatif import DivergenceKind, JobStates, WhatIf, what_if
from support.forks import FORK, plan, view_of, write
from support.histories import JOB, JobDriver, task
from support.random_history import ClockedDriver, Placed, committed, random_history

Kind = DivergenceKind


def recorded(driver: JobDriver, random: Random | None = None, *, job_id: str = JOB) -> list[Placed]:
    """Return the history of a job as an engine would have written it, with what it says of the job after each commit."""
    state, found = Job(job_id), []
    for placed in committed(driver, random):
        fold(state, [(placed.commit.at, placed.commit.events)])
        found.append(placed._replace(commit=msgspec.structs.replace(placed.commit, settled=state.settled)))
    return found


def asked(commits: list[Placed], *classes: type[Task], saved: JobStates | None = None) -> WhatIf:
    return what_if(JobView(JOB), commits, classes=classes or None, saved=saved)


def told(outcome: WhatIf) -> list[tuple[Kind, str]]:
    return [(one.kind, one.text) for one in outcome.divergences]


def stubborn() -> JobDriver:
    """A root whose subtask fails twice, with a pause of 5 ms, and is computed then."""
    driver = ClockedDriver(task("Root"))
    driver.run(0, task("Flaky", retries=2, delay=5_000), task("After", after=[0]))
    for _ in range(2):
        driver.claim()
        driver.fail(1)
        driver.pass_time(5_000)
    driver.drain()
    assert driver.state is JobState.COMPLETED
    return driver


# -- nothing is different -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_what_this_code_wrote_is_as_recorded(seed: int) -> None:
    random = Random(seed)
    commits = recorded(random_history(random, steps=100), random)
    outcome = asked(commits)
    assert told(outcome) == []
    assert (outcome.job, outcome.name, outcome.version) == (JOB, "a job", len(commits))
    assert not asked(commits, saved=outcome.states)


def test_a_fork_is_as_recorded() -> None:
    fork = write(plan(view_of(stubborn()), 1, part=1))
    fork.drain()
    assert not what_if(JobView(FORK), recorded(fork, job_id=FORK))
    complete = write(plan(view_of(stubborn())))
    assert not what_if(JobView(FORK), recorded(complete, job_id=FORK))


# -- folding ------------------------------------------------------------------------------------------------------


def test_an_event_that_cannot_be_folded_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())

    def forbidden(job: Job, event: e.AttemptFailed, at: int) -> None:
        if event.attempt > 1:
            raise LifecycleError("no attempt fails twice")
        folded(job, event, at)

    folded = job._HANDLERS[e.AttemptFailed]
    monkeypatch.setitem(job._HANDLERS, e.AttemptFailed, forbidden)
    outcome = asked(commits)
    assert [one.kind for one in outcome.divergences] == [Kind.FOLD]
    assert "no attempt fails twice" in outcome.divergences[0].text
    assert outcome.states is None


def test_a_job_that_is_not_settled_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())
    monkeypatch.setitem(job._HANDLERS, e.JobCompleted, lambda job, event, at: None)
    assert told(asked(commits))[:2] == [
        (Kind.OUTCOME, "the job is not settled, and was settled when this was written"),
        (Kind.OUTCOME, "the job is STARTED, and was COMPLETED when this was written"),
    ]


def test_a_job_that_is_settled_though_it_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(JobDriver(task()))
    monkeypatch.setattr(Job, "settled", property(lambda job: True))
    assert told(asked(commits)) == [
        (Kind.OUTCOME, "the job is settled, and was not settled when this was written")
    ]


def test_an_event_of_a_later_version() -> None:
    commits = recorded(JobDriver(task()))
    later = msgspec.structs.replace(
        commits[0].commit, events=[*commits[0].commit.events, e.UnknownEvent(250, [1])]
    )
    assert told(asked([commits[0]._replace(commit=later)])) == [
        (Kind.UNKNOWN_EVENT, "event 250 is not known, and means nothing here: a later version wrote it")
    ]


# -- states that were saved ---------------------------------------------------------------------------------------


def test_states_are_compared_as_of_the_commit_at_which_they_were_saved() -> None:
    driver = JobDriver(task("A"), task("B"))
    driver.run(0)
    saved = asked(recorded(driver)).states
    assert saved is not None
    assert (saved.state, saved.settled, saved.tasks) == ("STARTED", False, "CQ")
    driver.drain()
    assert not asked(recorded(driver), saved=saved)


def skip_instead(job: Job, event: e.TaskComputed, at: int) -> None:
    """Fold as always, but for task 1, which comes to another state."""
    folding.computed(job, event, at)
    if event.task == 1:
        job.graph.status[1] = 5
        job.counts[3] -= 1
        job.counts[5] += 1


def test_a_task_that_folds_to_another_state_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())
    saved = asked(commits).states
    monkeypatch.setitem(job._HANDLERS, e.TaskComputed, skip_instead)
    found = [one for one in asked(commits, saved=saved).divergences if one.kind is Kind.STATE]
    assert [(one.task, one.text) for one in found] == [(1, "task 1 is SKIPPED, and was saved as COMPUTED")]


CHANGES: dict[str, tuple[type, Callable[[Job, Any], object]]] = {
    "attempts": (e.TaskComputed, lambda job, event: job.attempt.__setitem__(0, 9)),
    "results": (e.TaskComputed, lambda job, event: job.results.__setitem__(0, e.Value(b"1"))),
    "inputs": (e.JobSubmitted, lambda job, event: job.inputs.__setitem__(0, b"other")),
    "parents and dependencies": (e.TaskComputed, lambda job, event: job.graph.parent.__setitem__(0, 1)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_else_was_saved_of_it(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(JobDriver(task("A"), task("B")))
    driver = JobDriver(task("A"), task("B"))
    driver.claim()
    driver.compute(0)
    commits = recorded(driver)
    saved = asked(commits).states
    kind, change = CHANGES[what]
    folded = job._HANDLERS[kind]

    def changed(job: Job, event: Any, at: int) -> None:
        folded(job, event, at)
        change(job, event)

    monkeypatch.setitem(job._HANDLERS, kind, changed)
    found = [one.text for one in asked(commits, saved=saved).divergences if one.kind is Kind.STATE]
    assert found == [f"its {what} are not those that were saved"]


def test_a_history_that_is_shorter_than_it_was() -> None:
    driver = stubborn()
    saved = asked(recorded(driver)).states
    outcome = asked(recorded(driver)[:3], saved=saved)
    assert told(outcome) == [(Kind.STATE, "it was saved at version 11, and is known up to version 3")]


# -- deciding -----------------------------------------------------------------------------------------------------


def test_one_retry_less(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())

    def failed(job: Job, command: c.ReportFailed, now: int) -> list[e.Event]:
        command = msgspec.structs.replace(command, final=command.attempt > 1)
        return deciding.failed(job, command, now)

    monkeypatch.setitem(decisions._DECISIONS, c.ReportFailed, failed)
    (only,) = asked(commits).divergences
    assert (only.kind, only.task, only.version) == (Kind.DECISION, 1, 7)
    assert only.text.startswith(
        "now task 1 (Flaky) failed for good at attempt 2: ValueError: it broke; job failed of task 1"
    )
    assert "recorded is: task 1 (Flaky) attempt 2 failed, to be retried at" in only.text


def test_another_pause_before_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())
    monkeypatch.setattr(deciding, "retry_at", lambda policy, failures, now, *, seed: now + 60_000_000)
    assert [one.kind for one in asked(commits).divergences] == [Kind.DECISION] * 2


def test_a_job_that_would_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())
    monkeypatch.setattr(deciding, "with_end", lambda job, events, *, left: events)
    assert told(asked(commits)) == [
        (
            Kind.DECISION,
            (
                "now task 2 (After) computed by attempt 1 in 10 µs; recorded is: task 2 (After) computed by attempt 1 in 10 µs; "
                "job completed"
            ),
        )
    ]


def test_a_report_that_would_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = recorded(stubborn())

    def refused(job: Job, command: c.ReportComputed, now: int) -> list[e.Event]:
        raise decisions.Refusal("stale", "too late")

    monkeypatch.setitem(decisions._DECISIONS, c.ReportComputed, refused)
    assert all("it would be refused (too late)" in text for _, text in told(asked(commits)))


def test_a_lost_runner_is_blamed_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = JobDriver(task("A"))
    for _ in range(11):
        driver.claim()
        driver.expire(0, alone=True)
    assert driver.states == "F"
    commits = recorded(driver)
    assert not asked(commits)
    monkeypatch.setattr(deciding, "MAX_EXPIRIES", 3)
    assert [one.kind for one in asked(commits).divergences].count(Kind.DECISION) == 7


@pytest.mark.parametrize("event", [e.JobCompleted(), e.TasksSkipped([1, 2], 0), e.JobCanceled("")])
def test_what_nobody_asked_for(event: e.Event) -> None:
    """An event that only ever follows from others stands alone."""
    commits = recorded(JobDriver(task("A"), task("B")))
    more = msgspec.structs.replace(commits[0].commit, events=[event], settled=False)
    found = asked([*commits, Placed(9, 2, more)]).divergences
    assert any("nothing would be written" in one.text or one.kind is Kind.FOLD for one in found)


# -- task code ----------------------------------------------------------------------------------------------------


def loading(*inputs: bytes, retries: int = 0, **policy: Any) -> JobDriver:
    return JobDriver(*[task("Load", data=data, retries=retries, **policy) for data in inputs])


def of_version(name: str, version: str, **fields: Any) -> type[Task]:
    """Return a task class as it may be today."""
    options = {name: fields.pop(name) for name in ("retry", "timeout", "on_failure") if name in fields}
    namespace = {
        "__annotations__": fields,
        "identifier": staticmethod(lambda: (name, version)),
        "execute": lambda self, context: None,
    }
    made: Any = TaskMeta(name, (Task,), namespace, **options)
    cls: type[Task] = made
    return cls


def test_code_that_takes_what_was_recorded() -> None:
    assert not asked(recorded(loading(b'"a"')), of_version("Load", "v1.3", path=str))


def test_tasks_that_no_class_runs_any_more() -> None:
    driver = JobDriver(task("Load"), task("Load"), task("Save"))
    outcome = asked(recorded(driver), of_version("Load", "v2.0"))
    assert told(outcome) == [
        (Kind.NO_CODE, "task 0 (Load) and 1 other task: no class runs Load v1.0, only Load v2.0"),
        (Kind.NO_CODE, "task 2 (Save): no class runs Save v1.0, nor any other version"),
    ]
    assert [one.count for one in outcome.divergences] == [2, 1]


def test_inputs_that_do_not_fit_any_more() -> None:
    outcome = asked(recorded(loading(b'"a"', b"7", b'"b"')), of_version("Load", "v1.0", path=int))
    assert told(outcome) == [
        (
            Kind.INPUT,
            "task 0 (Load) and 1 other task: Load v1.0 does not take the recorded input: Expected `int`, got `str`",
        )
    ]
    assert outcome.divergences[0].count == 2


def test_a_timeout_that_would_have_been_exceeded() -> None:
    driver = loading(b'"a"')
    driver.claim()
    driver.do(c.ReportComputed(JOB, 0, 1, 0 + 10, 3_000_010))
    strict, patient = (of_version("Load", "v1.0", path=str, timeout=seconds) for seconds in (1, 5))
    assert told(asked(recorded(driver), strict)) == [
        (Kind.POLICY, "task 0 (Load): ran 3.000 s; with a timeout of 1.000 s it would have failed")
    ]
    assert not asked(recorded(driver), patient)


def test_retries_that_would_have_run_out_and_that_would_not_have() -> None:
    driver = loading(b'"a"', b'"b"', retries=2)
    for _ in range(2):
        driver.claim(specs=[0])
        driver.fail(0)
    driver.claim()
    driver.compute(0)
    for _ in range(3):
        driver.claim()
        driver.fail(1)
    assert driver.states == "CF"
    assert told(asked(recorded(driver), of_version("Load", "v1.0", path=str, retry=Retry(1)))) == [
        (
            Kind.POLICY,
            "task 0 (Load): failed 2 times before it was computed; with 1 retry it would have failed for good",
        )
    ]
    assert told(asked(recorded(driver), of_version("Load", "v1.0", path=str, retry=Retry(5)))) == [
        (
            Kind.POLICY,
            (
                "task 1 (Load): failed 3 times and for good; with 5 retries it would have been tried again (it was submitted "
                "with 2 retries)"
            ),
        )
    ]
    assert not asked(recorded(driver), of_version("Load", "v1.0", path=str, retry=Retry(2)))
    assert not asked(recorded(driver), of_version("Load", "v1.0", path=str)), "it declares nothing"


def test_a_failure_that_would_not_have_halted_the_job() -> None:
    driver = loading(b'"a"')
    driver.claim()
    driver.fail(0)
    assert told(asked(recorded(driver), of_version("Load", "v1.0", path=str, on_failure="continue"))) == [
        (
            Kind.POLICY,
            "task 0 (Load): failed; with on_failure='continue' the job goes on with what does not depend on it",
        )
    ]
    assert not asked(recorded(driver), of_version("Load", "v1.0", path=str, on_failure="halt"))


def test_an_outcome_is_a_line_for_each_divergence() -> None:
    outcome = asked(recorded(loading(b'"a"')), of_version("Other", "v1.0"))
    assert str(outcome) == (
        "job job-1 'a job': 1 divergence\n"
        "job job-1 'a job': no code: task 0 (Load): no class runs Load v1.0, nor any other version"
    )
    assert str(asked(recorded(loading(b'"a"')))) == "job job-1 'a job': as recorded"

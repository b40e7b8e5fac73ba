"""What engines tell: real jobs, and the figures that move by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.adapters.metrics.catalogue import MOST_TASKS, OTHER
from jobledger.adapters.metrics.gathering import Gatherer
from jobledger.adapters.metrics.kinds import KnownTasks
from jobledger.adapters.metrics.tally import Tally, contents_of
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.job import Job, evolve
from jobledger.core.policy import Policy
from jobledger.core.submission import NewTask, TaskSpec
from support.engines import (
    BareRunner,
    EngineHarness,
    command,
    computed,
    failed,
    history,
    refs,
    submission,
    submit,
    task,
)
from support.figures import gathered
from support.waiting import eventually

Start = Callable[..., EngineHarness]


def test_what_is_queued_and_runs_is_told_by_cluster_and_task(engine: EngineHarness, link: Link) -> None:
    root = task("Root")
    submit(link, root)
    submit(link, task("Render", cluster="gpu"), task("Render", cluster="gpu"), task("Later", after=(0,)))
    runner = BareRunner(link, "Root")
    (claimed,) = runner.claim()
    figures = gathered(link)
    queue = {"ready": 2.0, "held": 0.0, "waiting": 0.0}
    for status, number in queue.items():
        assert figures("jobledger_queue_tasks", cluster="gpu", task="Render", status=status) == number
    assert figures("jobledger_queue_tasks", task="Later", status="waiting") == 1
    assert figures("jobledger_queue_tasks", task="Root") == 0
    assert figures("jobledger_running_tasks", cluster="default", task="Root") == 1
    assert figures("jobledger_running_tasks", task="Render") == 0
    assert figures("jobledger_live_jobs", state="running") == 1
    assert figures("jobledger_live_jobs", state="submitted") == 1

    runner.report(computed(claimed))
    figures = gathered(link)
    assert figures("jobledger_running_tasks") == 0
    assert figures("jobledger_live_jobs") == 1


def test_a_task_that_backs_off_is_held(engine: EngineHarness, link: Link) -> None:
    patient = Policy(delay=3_600_000_000)
    submit(link, task(retries=1, policy=patient))
    runner = BareRunner(link)
    (attempt,) = runner.claim()
    runner.report(failed(attempt))
    figures = gathered(link)
    assert figures("jobledger_queue_tasks", status="held") == 1
    assert figures("jobledger_queue_tasks", status="ready") == 0


def test_the_age_of_the_oldest_task_grows_until_it_is_claimed(engine: EngineHarness, link: Link) -> None:
    submit(link)
    first = gathered(link)("jobledger_queue_oldest_seconds", task="Task")
    eventually(lambda: gathered(link)("jobledger_queue_oldest_seconds", task="Task") >= first + 0.5)
    BareRunner(link).claim()
    assert gathered(link).all("jobledger_queue_oldest_seconds", task="Task") == [0.0]


def test_a_task_is_as_old_as_the_time_since_it_could_be_claimed(engine: EngineHarness, link: Link) -> None:
    """One that waited for another is not as old as the job."""
    submit(link, task("First"), task("Second", after=(0,)), task("Third"))
    runner = BareRunner(link, "First")
    (first,) = runner.claim()
    eventually(lambda: gathered(link)("jobledger_queue_oldest_seconds", task="Third") >= 1.5)
    runner.report(computed(first))
    figures = gathered(link)
    assert figures("jobledger_queue_tasks", task="Second", status="ready") == 1
    ages = [figures("jobledger_queue_oldest_seconds", task=name) for name in ("Second", "Third")]
    assert ages[0] <= ages[1] - 1


def test_the_age_of_the_oldest_task_outlasts_the_engine(start_engine: Start, link: Link) -> None:
    first = start_engine().wait_ready()
    job_id = submit(link)
    eventually(lambda: gathered(link)("jobledger_queue_oldest_seconds") >= 1)
    first.stop()
    start_engine().wait_ready()
    assert gathered(link)("jobledger_queue_oldest_seconds") >= 1
    assert len(history(link, job_id)) == 1


def test_outcomes_are_counted_by_cluster_and_task(engine: EngineHarness, link: Link) -> None:
    submit(link, task("Good"))
    submit(link, task("Bad", retries=1))
    runner = BareRunner(link, "Good", "Bad")
    while claimed := runner.claim(limit=2, wait=0.2):
        jobs = {stored.commit.events[0].name for ref in claimed for stored in history(link, ref.job_id)[:1]}
        assert jobs == {"a job"}
        specs = {ref: history(link, ref.job_id)[0].commit.events[0].tasks.specs[0].name for ref in claimed}
        runner.report(*(computed(ref) if specs[ref] == "Good" else failed(ref) for ref in claimed))
    figures = gathered(link)
    assert figures("jobledger_tasks_total", cluster="default", task="Good", outcome="computed") == 1
    assert figures("jobledger_tasks_total", task="Bad", outcome="failed") == 1
    assert figures("jobledger_tasks_total") == 2
    assert figures("jobledger_attempts_total", task="Bad", ending="retried") == 1
    assert figures("jobledger_attempts_total", task="Bad", ending="failed") == 1
    assert figures("jobledger_attempts_total", task="Good", ending="computed") == 1
    assert figures("jobledger_jobs_submitted_total") == 2
    assert figures("jobledger_jobs_settled_total", outcome="completed") == 1
    assert figures("jobledger_jobs_settled_total", outcome="failed") == 1
    assert figures("jobledger_jobs_settled_total", outcome="canceled") == 0


def test_tasks_that_end_without_running_are_counted(engine: EngineHarness, link: Link) -> None:
    optional = NewTask(TaskSpec("Optional", 1, 0, "default", optional=True), b"1", frozenset())
    continues = e.JobOptions(continues=True)
    submit(link, optional, options=continues)
    runner = BareRunner(link, "Optional", "Child", "Fails", "Needs")
    (top,) = runner.claim()
    claimed = refs(runner.exchange(computed(top, task("Child"), task("Child")), limit=1))
    runner.report(failed(claimed[0]))
    submit(link, task("Fails"), task("Needs", after=(0,)), options=continues)
    (fails,) = runner.claim()
    runner.report(failed(fails))
    figures = gathered(link)
    assert figures("jobledger_tasks_total", task="Child", outcome="failed_optional") == 1
    assert figures("jobledger_tasks_total", task="Child", outcome="skipped") == 1
    assert figures("jobledger_tasks_total", task="Needs", outcome="abandoned") == 1


def test_canceled_tasks_and_jobs_reused_results_retries_and_deletions_are_counted(
    engine: EngineHarness, link: Link
) -> None:
    runner = BareRunner(link, "Task", "Reusable")
    canceled = submit(link, task(), task())
    (running,) = runner.claim()
    command(link, c.CancelTask(canceled, "cancel a task", running.task))
    runner.report(c.ReportCanceled(*running, 1, 2))
    command(link, c.CancelTask(canceled, "cancel the other", 1))
    reused = submit(link, task("Reusable"))
    (reusable,) = runner.claim()
    runner.report(c.ReportReused(*reusable, 1, 2, canceled, 0))
    stopped = submit(link)
    command(link, c.CancelJob(stopped, "cancel a job"))
    command(link, c.RetryJob(stopped, "retry it"))
    (again,) = runner.claim()
    runner.report(computed(again))
    command(link, c.DeleteJob(reused, "delete another"))
    figures = gathered(link)
    assert figures("jobledger_tasks_total", task="Task", outcome="canceled") == 2
    assert figures("jobledger_attempts_total", task="Task", ending="canceled") == 1
    assert figures("jobledger_tasks_total", task="Reusable", outcome="reused") == 1
    assert figures("jobledger_jobs_settled_total", outcome="canceled") == 2
    assert figures("jobledger_jobs_settled_total", outcome="completed") == 2
    assert figures("jobledger_jobs_retried_total") == 1
    assert figures("jobledger_jobs_deleted_total") == 1


def test_expired_leases_and_refused_reports_are_counted(start_engine: Start, link: Link) -> None:
    start_engine(lease=0.5).wait_ready()
    submit(link)
    silent = BareRunner(link)
    (lost,) = silent.claim()
    eventually(lambda: gathered(link)("jobledger_lease_expiries_total", task="Task") == 1)
    assert silent.report(computed(lost)) == ["stale"]
    unknown = p.AttemptRef("no-such-job", 0, 1)
    assert silent.report(computed(unknown)) == ["unknown_job"]
    figures = gathered(link)
    assert figures("jobledger_attempts_total", ending="expired") == 1
    assert figures("jobledger_reports_refused_total", reason="stale") == 1
    assert figures("jobledger_reports_refused_total", reason="unknown_job") == 1
    assert figures("jobledger_tasks_total") == 0


def test_a_task_whose_runners_were_lost_too_often_lost_its_lease_once_more() -> None:
    """It fails for that; a task that fails with an exception of that name did not lose it."""
    job = Job("job")
    evolve(job, e.JobSubmitted("a job", submission(task(), task())), 1)
    tally = Tally(KnownTasks())
    lost = e.TaskFailed(0, 4, 7, 7, e.Error("LeaseExpired", "the runner was lost"))
    own = e.TaskFailed(1, 1, 7, 9, e.Error("LeaseExpired", "said by the task itself"))
    tally.count(job, contents_of([[lost], [own]], settled=0))
    assert [sample.value for sample in tally.samples()["jobledger_lease_expiries_total"]] == [1]


def test_runners_their_waits_and_their_claims_are_told(engine: EngineHarness, link: Link) -> None:
    runner = BareRunner(link)
    assert runner.claim(wait=0.1) == []
    assert gathered(link)("jobledger_exchange_wait_seconds_count") == 1

    waiting = asyncio.run_coroutine_threadsafe(runner.exchanging(limit=3, wait=20), shared_portal().loop)
    eventually(lambda: gathered(link)("jobledger_runners_waiting") == 1)
    submit(link, task(), task(), task())
    assert len(refs(waiting.result(10))) == 3  # type: ignore[arg-type]
    figures = gathered(link)
    assert figures("jobledger_runners") == 1
    assert figures("jobledger_runners_waiting") == 0
    assert figures("jobledger_exchange_wait_seconds_count") == 2
    assert figures("jobledger_exchange_wait_seconds_sum") >= 0.1
    assert figures("jobledger_claim_tasks_count") == 1
    assert figures("jobledger_claim_tasks_sum") == 3
    assert figures("jobledger_exchanges_total") == 2


def test_commits_are_measured(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, *[task()] * 20)
    runner = BareRunner(link)
    claimed = runner.claim(limit=20)
    runner.report(*map(computed, claimed))
    figures = gathered(link)
    commits = history(link, job_id)
    events = sum(len(stored.commit.events) for stored in commits)
    for name in ("seconds", "bytes", "events", "decisions"):
        assert figures(f"jobledger_commit_{name}_count") == len(commits)
        assert figures(f"jobledger_commit_{name}_bucket", le="+Inf") == len(commits)
    assert figures("jobledger_commit_events_sum") == events == 23
    assert figures("jobledger_commit_decisions_sum") == 22
    assert figures("jobledger_commit_events_bucket", le="1.0") == 2  # of submitting, and of the claim
    stored = sum(len(encode_message(one.version, one.commit)) for one in commits)
    assert figures("jobledger_commit_bytes_sum") == stored
    assert figures("jobledger_commit_seconds_sum") > 0
    assert figures("jobledger_commits_failed_total") == 0
    assert figures("jobledger_log_messages") == figures("jobledger_log_last_position") == len(commits)
    assert figures("jobledger_log_bytes") > stored
    assert figures.all("jobledger_log_limit_bytes") == []


def test_a_commit_that_somebody_elses_was_in_the_way_of_is_a_conflict(
    engine: EngineHarness, link: Link
) -> None:
    job_id = submit(link)
    (only,) = history(link, job_id)
    foreign = encode_message(2, Commit(bytes(16), only.digest, only.commit.at, "somebody else", False, []))
    shared_portal().run(link.nc.jetstream().publish(link.names.log_subject(job_id), foreign))
    assert BareRunner(link).claim() == [p.AttemptRef(job_id, 0, 1)]
    figures = gathered(link)
    assert figures("jobledger_commits_failed_total", reason="conflict") == 1
    assert figures("jobledger_claim_tasks_count") == 1  # the one that was written


def test_of_two_engines_one_serves_and_nothing_is_counted_twice(start_engine: Start, link: Link) -> None:
    first = start_engine().wait_ready()
    submit(link, task(), task())
    second = start_engine()
    figures = gathered(link, engines=2)
    assert sorted(figures.all("jobledger_engine_serving")) == [0, 1]
    assert figures("jobledger_queue_tasks", status="ready") == 2
    assert figures("jobledger_jobs_submitted_total") == 1
    assert len(figures.all("jobledger_log_messages")) == 1
    assert len(figures.values("jobledger_build_info", "process")) == 2

    first.stop()
    second.wait_ready()
    runner = BareRunner(link)
    runner.report(*map(computed, runner.claim(limit=2)))
    figures = gathered(link)
    assert figures.all("jobledger_engine_serving") == [1]
    assert figures("jobledger_tasks_total", outcome="computed") == 2
    assert figures("jobledger_jobs_submitted_total") == 0  # that was the other one, which has gone
    assert figures("jobledger_processes", kind="engine") == 1


def test_counters_never_fall_while_the_process_lives(start_engine: Start, link: Link) -> None:
    """Also where another engine takes over, and it serves again after that one."""
    start_engine().wait_ready()
    submit(link)
    (first,) = gathered(link).values("jobledger_engine_serving", "engine")
    other = start_engine(takeover=True).wait_ready()

    def serves() -> float:
        return gathered(link, engines=2)("jobledger_engine_serving", engine=first)

    eventually(lambda: not serves())
    figures = gathered(link, engines=2)
    assert figures("jobledger_jobs_submitted_total", engine=first) == 1
    assert figures.all("jobledger_queue_tasks", engine=first) == []
    other.stop()
    eventually(lambda: gathered(link)("jobledger_engine_serving", engine=first))
    submit(link)
    assert gathered(link)("jobledger_jobs_submitted_total", engine=first) == 2


def test_there_are_no_more_names_than_a_page_can_hold(engine: EngineHarness, link: Link) -> None:
    long = "x" * 256
    submit(link, *(task(f"Kind {number:03} {long}"[:256]) for number in range(MOST_TASKS + 7)))
    assert gathered(link)("jobledger_queue_tasks", task=OTHER, status="ready") == 7
    runner = BareRunner(link, f"Kind {MOST_TASKS + 1:03} {long}"[:256])
    runner.report(*map(computed, runner.claim()))
    figures = gathered(link)
    names = figures.values("jobledger_queue_tasks", "task")
    assert OTHER in names
    assert len(names) == MOST_TASKS + 1
    assert max(map(len, names)) == 100
    assert figures("jobledger_queue_tasks", task=OTHER, status="ready") == 6
    assert figures("jobledger_tasks_total", task=OTHER, cluster=OTHER, outcome="computed") == 1
    assert figures("jobledger_queue_tasks", status="ready") == MOST_TASKS + 6


def test_names_may_be_anything(engine: EngineHarness, link: Link) -> None:
    hostile = 'a "name"\nwith \\ and }'
    submit(link, task(hostile))
    assert gathered(link)("jobledger_queue_tasks", task=hostile, status="ready") == 1


def test_a_process_that_has_answered_once_is_waited_for(start_engine: Start, link: Link) -> None:
    """Also where it takes longer than newcomers have; one that has gone is not waited for the next time."""
    engine = start_engine().wait_ready()
    gatherer, portal = Gatherer(link.names, newcomers=0.03), shared_portal()
    eventually(lambda: len(portal.run(gatherer.gather(link.nc))) == 2)
    gatherer._newcomers = 0.0
    assert len(portal.run(gatherer.gather(link.nc))) == 2
    engine.stop()
    figures = gathered(link, engines=0)
    assert figures.all("jobledger_processes", kind="engine") == [0]
    assert figures.all("jobledger_engine_serving") == []
    assert figures("jobledger_log_messages") == 0

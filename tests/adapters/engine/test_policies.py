"""The engine and what users ask of tasks and jobs beyond running them: order, times, limits, canceling, deleting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.policy import Policy
from support.engines import (
    ERROR,
    BareRunner,
    EngineHarness,
    command,
    computed,
    event_names,
    failed,
    folded,
    history,
    refs,
    submission,
    submit,
    task,
)
from support.waiting import eventually

StartEngine = Callable[..., EngineHarness]


@pytest.fixture(autouse=True)
def engine(start_engine: StartEngine) -> EngineHarness:
    return start_engine().wait_ready()


def now() -> int:
    return time.time_ns() // 1000


def state(link: Link, job_id: str) -> JobState:
    return JobState(folded(link, job_id).state)


class Halts:
    """What the engine tells all runners of the default cluster."""

    def __init__(self, link: Link) -> None:
        self.heard: list[p.Halted] = []

        async def hear(message: object) -> None:
            self.heard.append(p.decode_halted(message.data))  # type: ignore[attr-defined]

        shared_portal().run(link.listen(link.names.halted("default"), hear))
        shared_portal().run(link.nc.flush())

    def next(self) -> p.Halted:
        eventually(lambda: bool(self.heard))
        return self.heard.pop(0)


# -- order ------------------------------------------------------------------------------------------------------


def test_urgent_tasks_come_first_whatever_job_they_belong_to(link: Link) -> None:
    early = submit(link, task(), task(policy=Policy(priority=1)))
    late = submit(link, task(policy=Policy(priority=5)))
    runner = BareRunner(link)
    order = [(ref.job_id, ref.task) for _ in range(3) for ref in runner.claim()]
    assert order == [(late, 0), (early, 1), (early, 0)]


# -- times ------------------------------------------------------------------------------------------------------


def test_a_task_is_not_handed_out_before_its_time_and_at_once_when_it_comes(link: Link) -> None:
    due = now() + 400_000
    submit(link, task(policy=Policy(not_before=due)))
    runner = BareRunner(link)
    assert runner.claim(wait=0.0) == []
    (claimed,) = runner.claim(wait=10.0)
    assert now() >= due
    assert claimed.task == 0


def test_a_failed_attempt_is_tried_again_after_its_delay(link: Link) -> None:
    job_id = submit(link, task(retries=1, policy=Policy(delay=300_000)))
    runner = BareRunner(link)
    (first,) = runner.claim()
    before = now()
    assert runner.report(failed(first)) == []
    assert runner.claim(wait=0.0) == []
    (second,) = runner.claim(wait=10.0)
    assert second.attempt == 2
    assert now() >= before + 300_000
    (event,) = [
        one
        for stored in history(link, job_id)
        for one in stored.commit.events
        if isinstance(one, e.AttemptFailed)
    ]
    assert event.retry_at >= before + 300_000


def test_delays_outlast_the_engine(link: Link, engine: EngineHarness, start_engine: StartEngine) -> None:
    submit(link, task(policy=Policy(not_before=now() + 600_000)))
    engine.stop()
    start_engine().wait_ready()
    assert [ref.task for ref in BareRunner(link).claim(wait=10.0)] == [0]


def test_a_job_that_is_not_over_at_its_deadline_fails_and_its_runners_are_told_to_stop(link: Link) -> None:
    halts = Halts(link)
    job_id = submit(link, task(), task(), options=e.JobOptions(deadline=now() + 300_000))
    runner = BareRunner(link)
    (held,) = runner.claim()
    told = halts.next()
    assert (told.job_id, told.tasks, told.canceled) == (job_id, None, True)
    assert told.grace >= 0
    assert state(link, job_id) is JobState.FAILED
    assert event_names(link, job_id)[-1] == "DeadlineExceeded"
    assert runner.report(c.ReportCanceled(*held, 1, 2)) == []
    reply = command(link, p.FollowJob(job_id, settled=True))
    assert isinstance(reply, p.JobStatus)
    assert reply.settled


# -- limits -----------------------------------------------------------------------------------------------------

ONE = Policy(key="door", limit=1)


def test_no_more_tasks_of_a_key_run_than_its_limit_over_all_jobs(link: Link) -> None:
    first, second = submit(link, task(policy=ONE), task(policy=ONE)), submit(link, task(policy=ONE), task())
    runner = BareRunner(link)
    claimed = refs(runner.exchange(limit=10))
    assert {(ref.job_id, ref.task) for ref in claimed} == {(first, 0), (second, 1)}
    holder = next(ref for ref in claimed if ref.job_id == first)
    assert runner.claim(wait=0.0) == []
    assert len(refs(runner.exchange(computed(holder), limit=10))) == 1


def test_a_runner_that_waits_is_given_the_slot_that_another_job_leaves(link: Link) -> None:
    submit(link, task(policy=ONE))
    holder = BareRunner(link)
    (held,) = holder.claim()
    submit(link, task(policy=ONE))
    waiting = BareRunner(link).exchanging(limit=1, wait=10.0)
    answer = asyncio.run_coroutine_threadsafe(waiting, shared_portal().loop)
    assert holder.report(computed(held)) == []
    reply = answer.result(10)
    assert isinstance(reply, p.Exchanged)
    assert len(refs(reply)) == 1


def test_a_slot_is_free_when_the_lease_of_its_holder_ends(
    link: Link, engine: EngineHarness, start_engine: StartEngine
) -> None:
    engine.stop()
    start_engine(lease=0.4).wait_ready()
    submit(link, task(policy=ONE), task(policy=ONE))
    assert len(BareRunner(link).claim(limit=2)) == 1  # and never heard of again
    assert len(BareRunner(link).claim(limit=2, wait=10.0)) == 1


def test_slots_are_counted_anew_after_a_restart(
    link: Link, engine: EngineHarness, start_engine: StartEngine
) -> None:
    submit(link, task(policy=ONE), task(policy=ONE))
    runner = BareRunner(link)
    (held,) = runner.claim()
    engine.stop()
    start_engine().wait_ready()
    assert refs(runner.exchange(limit=5, wait=0.0, holds=[held])) == []
    assert len(refs(runner.exchange(computed(held), limit=5, wait=5.0))) == 1


# -- canceling --------------------------------------------------------------------------------------------------


def test_a_running_task_that_is_canceled_is_told_and_what_depends_on_it_is_abandoned(link: Link) -> None:
    halts = Halts(link)
    job_id = submit(link, task(), task(after=(0,)))
    runner = BareRunner(link)
    (held,) = runner.claim()
    done = command(link, c.CancelTask(job_id, "c1", 0, "me", "no need", 7))
    assert isinstance(done, p.Done)
    assert done.count == 2
    assert halts.next() == p.Halted(job_id, [0, 1], True, "no need", 7)
    assert runner.beat(held).halted == [p.Halted(job_id, [0, 1], True, "no need", 7)]
    assert runner.report(c.ReportCanceled(*held, 1, 2)) == []
    job = folded(link, job_id)
    assert [job.state_of(n) for n in (0, 1)] == [TaskState.CANCELED, TaskState.ABANDONED]
    assert state(link, job_id) is JobState.CANCELED


def test_a_heartbeat_repeats_that_the_job_was_canceled(link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)
    (held,) = runner.claim()
    command(link, c.CancelJob(job_id, "c1", "me", "enough", 5))
    assert runner.beat(held).halted == [p.Halted(job_id, None, True, "enough", 5)]


def test_runners_are_told_when_a_second_cancel_leaves_less_time(link: Link) -> None:
    halts = Halts(link)
    job_id = submit(link, task())
    runner = BareRunner(link)
    (held,) = runner.claim()
    for grace, name in [(-1, "c1"), (5, "c2")]:
        command(link, c.CancelTask(job_id, name, 0, "me", "", grace))
        assert halts.next() == p.Halted(job_id, [0, 1], True, "", grace)
    for grace, name in [(-1, "c3"), (5, "c4"), (0, "c5")]:
        command(link, c.CancelJob(job_id, name, "me", "", grace))
        assert halts.next() == p.Halted(job_id, None, True, "", grace)
    assert runner.beat(held).halted[0] == p.Halted(job_id, None, True, "", 0)


def test_what_still_runs_in_a_failed_job_is_told_to_stop_by_a_cancel(link: Link) -> None:
    halts = Halts(link)
    job_id = submit(link, task(), task())
    runner = BareRunner(link)
    first, second = runner.claim(2)
    runner.report(failed(first))
    assert halts.next() == p.Halted(job_id)
    command(link, c.CancelJob(job_id, "c1", "me", "enough", 5))
    assert halts.next() == p.Halted(job_id, None, True, "enough", 5)
    assert runner.beat(second).halted == [p.Halted(job_id, None, True, "enough", 5)]
    assert runner.report(c.ReportCanceled(*second, 1, 2)) == []
    assert state(link, job_id) is JobState.FAILED


def test_a_task_that_stops_with_its_canceled_job_is_queued_again(link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)
    (held,) = runner.claim()
    command(link, c.CancelJob(job_id, "c1"))
    assert runner.report(c.ReportCanceled(*held, 1, 2)) == []
    assert folded(link, job_id).state_of(0) is TaskState.QUEUED
    done = command(link, c.RetryJob(job_id, "r1"))
    assert isinstance(done, p.Done)
    assert done.count == 1
    assert [ref.attempt for ref in runner.claim()] == [2]


# -- news of running tasks --------------------------------------------------------------------------------------


def test_what_heartbeats_tell_of_running_tasks_is_in_the_log(link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)
    (held,) = runner.claim()
    counted = [e.Progress("", 10, 3)]
    runner.beat(held, running=[c.ReportProgress(*held, 1, counted, "half way")])
    eventually(lambda: event_names(link, job_id)[-1] == "TaskProgressed")
    assert history(link, job_id)[-1].commit.events == [e.TaskProgressed(0, 1, 1, counted, "half way")]


def test_news_of_an_attempt_that_is_over_changes_nothing(link: Link) -> None:
    job_id = submit(link, task(), task())
    runner = BareRunner(link)
    (held,) = runner.claim()
    runner.report(computed(held))
    assert runner.beat(held, running=[c.ReportProgress(*held, 1)]).lost == [held]
    assert "TaskProgressed" not in event_names(link, job_id)


# -- results ----------------------------------------------------------------------------------------------------


def test_a_runner_reads_what_the_tasks_returned_that_its_task_depends_on(link: Link) -> None:
    job_id = submit(link, task(), task(), task(), task(after=(0, 2)))
    runner = BareRunner(link)
    held = runner.claim(limit=3)
    runner.report(*(c.ReportComputed(*ref, 1, 2, result=e.Value(b"%d" % ref.task)) for ref in held[:2]))
    runner.report(computed(held[2]))
    (last,) = runner.claim()
    reply = runner.results(job_id, last.task)
    assert reply == p.Results([(0, e.Value(b"0")), (2, None)])


# -- idempotency ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [False, True])
def test_another_submission_under_the_same_key_is_refused(link: Link, settled: bool) -> None:
    options = e.JobOptions(key="order 7")
    job_id = submit(link, options=options)
    if settled:
        runner = BareRunner(link)
        runner.report(computed(runner.claim()[0]))
    assert submit(link, job_id=job_id, options=options) == job_id
    other = command(link, c.SubmitJob(job_id, "another", submission(task()), "", options))
    assert isinstance(other, p.Refused)
    assert other.code == "conflict"
    assert "order 7" in other.message


# -- deleting ---------------------------------------------------------------------------------------------------


def test_a_settled_job_can_be_deleted_and_is_then_unknown(link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)
    runner.report(computed(runner.claim()[0]))
    assert isinstance(command(link, c.DeleteJob(job_id, "d1")), p.Done)
    assert isinstance(command(link, c.DeleteJob(job_id, "d1")), p.Done)  # a repetition
    again = command(link, c.RetryJob(job_id, "r1"))
    assert isinstance(again, p.Refused)
    assert (again.code, "was deleted" in again.message) == ("unknown_job", True)


def test_a_job_at_work_is_only_deleted_by_force_and_never_comes_back(link: Link) -> None:
    halts = Halts(link)
    job_id = submit(link)
    runner = BareRunner(link)
    (held,) = runner.claim()
    refused = command(link, c.DeleteJob(job_id, "d1"))
    assert isinstance(refused, p.Refused)
    assert refused.code == "not_deletable"
    assert isinstance(command(link, c.DeleteJob(job_id, "d2", force=True)), p.Done)
    assert halts.next().canceled
    assert runner.report(c.ReportFailed(*held, 1, 2, ERROR)) == ["unknown_job"]
    assert runner.heartbeat(held) == [held]
    assert state(link, job_id) is JobState.DELETED

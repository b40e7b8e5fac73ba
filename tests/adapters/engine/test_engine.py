"""The engine on a real server: what it answers, what it writes, and what it never does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import msgspec
import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.lifecycle import JobState
from support.engines import (
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

Start = Callable[..., EngineHarness]


@pytest.fixture
def engine(start_engine: Start) -> EngineHarness:
    return start_engine().wait_ready()


# -- commands -----------------------------------------------------------------------------------------------------


def test_a_job_runs_from_submit_to_settled(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)
    (root,) = runner.claim()
    assert runner.report(computed(root, task(), task(after=(0,)))) == []
    (first,) = runner.claim(limit=5)  # the second one waits for it
    (second,) = refs(runner.exchange(computed(first)))
    assert runner.report(computed(second)) == []
    status = command(link, p.FollowJob(job_id, settled=True))
    assert isinstance(status, p.JobStatus)
    assert status.settled
    assert status.state == JobState.COMPLETED.value
    assert event_names(link, job_id) == [
        "JobSubmitted",
        *("TasksClaimed", "TaskComputed") * 3,
        "JobCompleted",
    ]
    assert folded(link, job_id).settled


def test_a_repeated_submit_makes_one_job(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link)
    assert submit(link, job_id=job_id) == job_id
    assert len(history(link, job_id)) == 1
    runner = BareRunner(link)
    runner.report(*map(computed, runner.claim()))
    # the engine has forgotten the settled job: the log has not
    assert submit(link, job_id=job_id) == job_id
    assert event_names(link, job_id).count("JobSubmitted") == 1


def test_a_repeated_submit_after_a_restart_makes_one_job(start_engine: Start, link: Link) -> None:
    first = start_engine().wait_ready()
    job_id = submit(link)
    runner = BareRunner(link)
    runner.report(*map(computed, runner.claim()))
    first.stop()
    start_engine().wait_ready()
    assert submit(link, job_id=job_id) == job_id
    assert event_names(link, job_id).count("JobSubmitted") == 1


def test_cancel_halts_and_a_second_cancel_changes_nothing(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, task(), task())
    assert command(link, c.CancelJob(job_id, "c1", "me", "enough")) == p.Done(position=2, version=2, count=1)
    assert command(link, c.CancelJob(job_id, "c1", "me", "enough")) == p.Done(position=2, version=2, count=1)
    assert command(link, c.CancelJob(job_id, "c2")) == p.Done(position=2, version=2, count=0)
    assert BareRunner(link).claim(limit=2, wait=0) == []


def test_retry_is_answered_once_and_repeated_with_the_same_count(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, task(), task(), task())
    runner = BareRunner(link)
    runner.report(*map(failed, runner.claim()))
    command(link, p.FollowJob(job_id, settled=True))
    first = command(link, c.RetryJob(job_id, "r1"))
    assert isinstance(first, p.Done)
    assert first.count == 3  # the one that failed and the two it held up
    assert command(link, c.RetryJob(job_id, "r1")) == first
    assert event_names(link, job_id).count("JobRetried") == 1


@pytest.mark.parametrize("state", ["queued", "running", "completed"])
def test_retry_of_a_job_that_has_not_failed_is_refused(engine: EngineHarness, link: Link, state: str) -> None:
    job_id = submit(link)
    if state != "queued":
        runner = BareRunner(link)
        (ref,) = runner.claim()
        if state == "completed":
            runner.report(computed(ref))
    reply = command(link, c.RetryJob(job_id, "r1"))
    assert isinstance(reply, p.Refused)
    assert reply.code == "not_retryable"
    assert "only a FAILED or CANCELED job is retried" in reply.message


@pytest.mark.parametrize("request_", [c.CancelJob("nope", "c"), c.RetryJob("nope", "r"), p.FollowJob("nope")])
def test_an_unknown_job_is_refused(engine: EngineHarness, link: Link, request_: p.CommandRequest) -> None:
    assert command(link, request_) == p.Refused("unknown_job", "there is no job nope")


def test_a_malformed_submission_is_refused_and_leaves_nothing(engine: EngineHarness, link: Link) -> None:
    broken = msgspec.structs.replace(submission(task()), spec_runs=[7, 1])
    reply = command(link, c.SubmitJob("broken", "a job", broken))
    assert isinstance(reply, p.Refused)
    assert reply.code == "invalid"
    assert history(link, "broken") == []


def test_bytes_that_are_no_request_are_refused(engine: EngineHarness, link: Link) -> None:
    for subject in (link.names.command, link.names.exchange("r", "c"), link.names.heartbeat("r", "c")):
        reply = shared_portal().run(link.ask(subject, os.urandom(40), timeout=5, patience=5))
        assert isinstance(reply, p.Refused)
        assert reply.code == "invalid"


# -- runners ------------------------------------------------------------------------------------------------------


def test_a_waiting_runner_is_woken_by_a_submit(engine: EngineHarness, link: Link) -> None:
    runner = BareRunner(link)

    async def wait_and_submit() -> p.Answer:
        waiting = asyncio.ensure_future(runner.exchanging(limit=1, wait=20))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        request = p.encode(c.SubmitJob("woken", "a job", submission(task())))
        await link.ask(link.names.command, request, timeout=5, patience=5)
        return await asyncio.wait_for(waiting, 5)

    reply = shared_portal().run(wait_and_submit())
    assert isinstance(reply, p.Exchanged)
    assert refs(reply) == [p.AttemptRef("woken", 0, 1)]


@pytest.mark.parametrize(
    ("ready", "shares"),
    [(1000, [250, 250, 250, 250]), (200, [64, 64, 64, 8]), (50, [50])],
    ids=["fairly", "not by ones and twos", "few are for one"],
)
def test_what_becomes_ready_is_divided_among_those_who_wait(
    engine: EngineHarness, link: Link, ready: int, shares: list[int]
) -> None:
    """However many each asks for: that says what it ran before, and not how long these take."""
    runner, others = BareRunner(link), [BareRunner(link) for _ in range(3)]
    submit(link, task())
    (root,) = runner.claim()

    async def exchanges() -> list[p.Answer]:
        waiting = [other.exchanging(limit=4000, wait=1) for other in others]
        reporting = runner.exchanging(computed(root, *[task()] * ready), limit=4000)
        return await asyncio.gather(*waiting, reporting)  # in this order, on one connection

    *woken, own = [
        len(refs(reply)) for reply in shared_portal().run(exchanges()) if isinstance(reply, p.Exchanged)
    ]
    assert sorted([own, *woken], reverse=True) == [*shares, *[0] * (4 - len(shares))]
    assert own == shares[0]


def test_a_newer_exchange_of_a_runner_ends_the_one_that_waits(engine: EngineHarness, link: Link) -> None:
    runner = BareRunner(link)

    async def twice() -> p.Answer:
        first = asyncio.ensure_future(runner.exchanging(limit=1, wait=30))
        await asyncio.wait([first], timeout=0.05)
        await runner.exchanging(limit=0)
        return await asyncio.wait_for(first, 5)

    reply = shared_portal().run(twice())
    assert isinstance(reply, p.Exchanged)
    assert refs(reply) == []


def test_runners_get_only_what_they_can_run(engine: EngineHarness, link: Link) -> None:
    submit(link, task("Resize", cluster="gpu"))
    assert BareRunner(link, "Resize").claim(wait=0) == []  # another cluster
    assert BareRunner(link, "Crop", cluster="gpu").claim(wait=0) == []  # another task
    assert BareRunner(link, "Resize", cluster="gpu", version=(2, 0)).claim(wait=0) == []  # another major
    assert BareRunner(link, "Resize", cluster="gpu", version=(0, 9)).claim(wait=0) == []
    assert len(BareRunner(link, "Resize", cluster="gpu", version=(1, 4)).claim(wait=0)) == 1


def test_jobs_take_turns(engine: EngineHarness, link: Link) -> None:
    big = submit(link, *[task() for _ in range(50)])
    small = submit(link)
    runner = BareRunner(link)
    owners = [ref.job_id for _ in range(3) for ref in runner.claim(limit=2)]
    assert small in owners
    assert owners.count(big) >= 4


def test_a_stale_report_is_refused_and_changes_nothing(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link)
    slow, quick = BareRunner(link), BareRunner(link)
    (ref,) = slow.claim()
    slow.report(c.ReleaseTask(*ref, "no time"))
    (again,) = quick.claim()
    assert again.attempt == 2
    assert slow.report(computed(ref)) == ["stale"]
    assert quick.report(computed(again)) == []
    assert quick.report(computed(again)) == []  # a repetition is no news, and no error
    assert event_names(link, job_id).count("TaskComputed") == 1


def test_what_was_claimed_for_a_lost_answer_is_handed_out_again(engine: EngineHarness, link: Link) -> None:
    submit(link, task(), task(), task())
    runner = BareRunner(link)
    first, lost, lost_too = runner.claim(limit=3)
    again = runner.exchange(limit=0, holds=[first])
    assert refs(again) == [lost, lost_too]
    assert refs(runner.exchange(computed(lost), limit=0, holds=[first])) == [lost_too]


def test_a_silent_runner_loses_its_tasks_and_another_gets_them(start_engine: Start, link: Link) -> None:
    start_engine(lease=0.3).wait_ready()
    job_id = submit(link)
    silent, other = BareRunner(link), BareRunner(link)
    (ref,) = silent.claim()
    (again,) = other.claim(wait=10)
    assert again == p.AttemptRef(job_id, 0, 2)
    assert silent.heartbeat(ref) == [ref]
    assert "LeaseExpired" in event_names(link, job_id)


def test_heartbeats_keep_a_lease_alive_and_out_of_the_log(start_engine: Start, link: Link) -> None:
    start_engine(lease=0.4).wait_ready()
    job_id = submit(link)
    runner = BareRunner(link)
    (ref,) = runner.claim()
    for _ in range(40):
        assert runner.heartbeat(ref) == []
        assert BareRunner(link).claim(wait=0.05) == []  # also the pause between two heartbeats
    assert event_names(link, job_id) == ["JobSubmitted", "TasksClaimed"]


def test_a_huge_submission_arrives_in_chunks(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)
    (root,) = runner.claim()
    whole = submission(*[task() for _ in range(30)])
    for start in (0, 10):
        part = msgspec.structs.replace(whole, inputs=whole.inputs[:10], spec_runs=[0, 10], start=start)
        assert runner.report(c.StageSubtasks(*root, part)) == []
        assert runner.report(c.StageSubtasks(*root, part)) == []  # a repetition
    assert len(folded(link, job_id).graph) == 1  # staged, not there yet
    last = msgspec.structs.replace(whole, inputs=whole.inputs[:10], spec_runs=[0, 10], start=20)
    assert runner.report(c.ReportComputed(*root, 1, 2, last)) == []
    assert len(folded(link, job_id).graph) == 31


# -- the log ------------------------------------------------------------------------------------------------------


def test_many_reports_of_one_tick_are_few_commits(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, *[task() for _ in range(200)])
    runner = BareRunner(link)
    claimed = runner.claim(limit=200)
    runner.report(*[computed(ref) for ref in claimed])
    commits = history(link, job_id)
    assert len(commits) == 3
    assert len(commits[-1].commit.events) == 201
    assert [commit.version for commit in commits] == [1, 2, 3]
    assert commits[-1].commit.settled
    assert not commits[1].commit.settled


def test_a_foreign_commit_is_noticed_and_taken_in(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link, task(), task())
    (only,) = history(link, job_id)
    foreign = Commit(os.urandom(16), only.digest, 5, "someone", False, [e.TasksClaimed("ghost", 1, [0, 1])])
    shared_portal().run(
        link.nc.jetstream().publish(link.names.log_subject(job_id), encode_message(2, foreign))
    )
    (ref,) = BareRunner(link).claim(limit=2)
    assert ref.task == 1  # task 0 is the ghost's
    assert [commit.version for commit in history(link, job_id)] == [1, 2, 3]


def test_damage_is_reported_for_that_job_alone(start_engine: Start, link: Link) -> None:
    first = start_engine().wait_ready()
    damaged, sound = submit(link), submit(link)
    first.stop()
    publish = link.nc.jetstream().publish(link.names.log_subject(damaged), b"\x93 nonsense")
    position = shared_portal().run(publish).seq
    start_engine().wait_ready()
    reply = command(link, c.CancelJob(damaged, "c"))
    assert isinstance(reply, p.Refused)
    assert reply.code == "damaged"
    assert f"position {position}" in reply.message
    assert damaged in reply.message
    assert command(link, c.CancelJob(sound, "c")) == p.Done(position=position + 1, version=2, count=1)


def test_a_successor_goes_on_where_the_log_ends(start_engine: Start, link: Link) -> None:
    first = start_engine().wait_ready()
    job_id = submit(link, task(), task())
    runner = BareRunner(link)
    held, done = runner.claim(limit=2)
    runner.report(computed(done))
    first.stop()
    start_engine().wait_ready()
    assert runner.heartbeat(held) == []  # the claim is still its own
    assert runner.report(computed(held)) == []
    assert folded(link, job_id).settled


def test_a_second_engine_stands_by(start_engine: Start, link: Link) -> None:
    first = start_engine().wait_ready()
    second = start_engine()
    job_id = submit(link)
    assert not second.ready.is_set()
    first.stop()
    second.wait_ready()
    assert command(link, c.CancelJob(job_id, "c")) == p.Done(position=2, version=2, count=1)


def test_a_takeover_does_not_wait_and_the_deposed_engine_leaves(start_engine: Start, link: Link) -> None:
    start_engine().wait_ready()
    start_engine(takeover=True).wait_ready()
    job_id = submit(link)
    runner = BareRunner(link)
    assert runner.report(*map(computed, runner.claim())) == []
    eventually(lambda: folded(link, job_id).settled)


def test_followers_hear_of_every_commit(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link)
    runner = BareRunner(link)

    async def follow() -> p.Answer:
        request = p.encode(p.FollowJob(job_id, after=1, wait=20))
        news = asyncio.ensure_future(link.ask(link.names.command, request, timeout=25, patience=25))
        await asyncio.wait([news], timeout=0.05)
        await runner.exchanging(limit=1)
        return await asyncio.wait_for(news, 5)

    status = shared_portal().run(follow())
    assert isinstance(status, p.JobStatus)
    assert (status.version, status.state) == (2, JobState.RUNNING.value)


def test_following_ends_when_its_time_is_up(engine: EngineHarness, link: Link) -> None:
    job_id = submit(link)
    status = command(link, p.FollowJob(job_id, settled=True, wait=0.05))
    assert isinstance(status, p.JobStatus)
    assert not status.settled


def test_what_a_dead_runner_was_to_be_handed_goes_to_another_at_once(
    engine: EngineHarness, link: Link
) -> None:
    dead, other = BareRunner(link), BareRunner(link)

    async def ask_and_die() -> None:
        inbox = link.nc.new_inbox()
        request = p.encode(p.Exchange("default", [("Task", 1, 0)], limit=1, wait=30))
        await link.nc.publish(
            link.names.exchange(dead.name, "default"), request, reply=inbox
        )  # and nobody listens there
        await link.nc.flush()

    shared_portal().run(ask_and_die())
    job_id = submit(link)
    (ref,) = other.claim(wait=5)
    assert ref == p.AttemptRef(job_id, 0, 2)
    assert event_names(link, job_id) == ["JobSubmitted", "TasksClaimed", "TaskReleased", "TasksClaimed"]

"""What an engine says while a decision is on its way to the log rests on the log, too: also a refusal, and what is lost.

The disk of this world takes a second for every commit. So what is asked meanwhile is asked in the middle of things, each
time; on a real server that is a matter of luck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.service import Engine
from jobledger.adapters.link import Link
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import decode_record
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import decode_commit
from jobledger.core.errors import ServerUnavailable
from jobledger.core.policy import Policy
from simulation.engine import ENDPOINT, NAMESPACE, engine
from simulation.leaks import left_in, noted
from simulation.world import World
from support.engines import BareRunner, computed, failed, refs, submission, task

NAMES = Names(NAMESPACE)
JOB = "018bcfe5-6800-7000-8000-000000000001"
LEASE = 5.0  # virtual seconds
SOON = 0.3  # virtual seconds: less than a commit takes


@pytest.fixture
def world() -> Iterator[World]:
    with World(1) as world:
        engine(world, "engine", lease=LEASE).start()
        yield world


Script = Callable[[Link], Coroutine[object, object, None]]


def play(world: World, script: Script) -> None:
    """Run this as a process of the world, to its end."""
    failures: list[BaseException] = []

    async def process() -> None:
        link = Link(lambda: ENDPOINT, NAMES, "test")
        await link.open()
        try:
            await script(link)
        except BaseException as error:  # noqa: BLE001  it is raised by the test
            failures.append(error)

    node = world.node("test", process)
    node.start()
    assert world.run(lambda: not node.running, seconds=60)
    if failures:
        raise failures[0]
    assert world.failures == []


def slow(world: World) -> None:
    """Have every commit take a second from now on."""
    world.server.sync = (1.0, 0.0)


def history(world: World) -> list[str]:
    """Return the names of the events that are in the log."""
    stored = world.server.streams[NAMES.log_stream].messages.values()
    commits = [decode_commit(decode_record(message.payload).state) for message in stored]
    return [type(event).__name__ for commit in commits for event in commit.events]


async def ask(link: Link, command: p.CommandRequest) -> p.Answer:
    return await link.ask_about(command.job_id, p.encode(command), timeout=20, patience=30)


def submitted(key: str = "", name: str = "a job") -> c.SubmitJob:
    return c.SubmitJob(JOB, name, submission(task()), "", e.JobOptions(key=key) if key else None)


def test_a_report_is_refused_once_the_log_says_why(world: World) -> None:
    async def script(link: Link) -> None:
        await ask(link, submitted())
        runner = BareRunner(link)
        [ref] = refs(await exchanged(runner, limit=1))
        slow(world)
        given_back = asyncio.ensure_future(exchanged(runner, c.ReleaseTask(*ref, "stopping"), limit=0))
        await asyncio.sleep(SOON)
        answer = await exchanged(runner, computed(ref), limit=0)
        assert [refusal.code for refusal in answer.refused] == ["stale"]
        assert history(world)[-1] == "TaskReleased"
        await given_back

    play(world, script)


def test_an_attempt_is_lost_once_the_log_says_so(world: World) -> None:
    async def script(link: Link) -> None:
        await ask(link, submitted())
        runner = BareRunner(link)
        [ref] = refs(await exchanged(runner, limit=1))
        slow(world)
        given_back = asyncio.ensure_future(exchanged(runner, c.ReleaseTask(*ref, "stopping"), limit=0))
        await asyncio.sleep(SOON)
        seen = await beat(link, runner, ref, patience=30.0)
        assert isinstance(seen, p.HeartbeatSeen)
        assert seen.lost == [ref]
        assert history(world)[-1] == "TaskReleased"
        await given_back

    play(world, script)


def test_a_command_is_refused_once_the_log_says_why(world: World) -> None:
    async def script(link: Link) -> None:
        await ask(link, submitted())
        runner = BareRunner(link)
        [ref] = refs(await exchanged(runner, limit=1))
        await exchanged(runner, failed(ref), limit=0)
        slow(world)
        first = asyncio.ensure_future(ask(link, c.RetryJob(JOB, "retry-1")))
        await asyncio.sleep(SOON)
        second = await ask(link, c.RetryJob(JOB, "retry-2"))
        assert isinstance(second, p.Refused)
        assert second.code == "not_retryable"
        assert history(world)[-1] == "JobRetried"
        await first

    play(world, script)


def test_another_submission_under_a_key_is_refused_once_the_first_is_in_the_log_and_does_not_harm_it(
    world: World,
) -> None:
    async def script(link: Link) -> None:
        slow(world)
        first = asyncio.ensure_future(ask(link, submitted("today")))
        await asyncio.sleep(SOON)
        other = await ask(link, submitted("today", "another job"))
        assert isinstance(other, p.Refused)
        assert other.code == "conflict"
        assert history(world) == ["JobSubmitted"]
        assert isinstance(await first, p.Done)
        # Nobody has asked for the job since: it is handed out all the same.
        assert len(refs(await exchanged(BareRunner(link), limit=1, wait=0.0))) == 1

    play(world, script)


def test_two_submissions_under_a_key_at_once_are_one(world: World) -> None:
    async def script(link: Link) -> None:
        slow(world)
        answers = await asyncio.gather(*(ask(link, submitted("today")) for _ in range(2)))
        assert answers == [p.Done(1, 1), p.Done(1, 1)]
        assert history(world) == ["JobSubmitted"]

    play(world, script)


def test_a_job_that_settles_while_its_submission_is_asked_for_again_leaves_no_slot_behind(
    world: World,
) -> None:
    engines: list[Engine] = []

    async def script(link: Link) -> None:
        limited = submission(task(policy=Policy(key="api", limit=1)))
        command = c.SubmitJob(JOB, "a job", limited)
        await ask(link, command)
        runner = BareRunner(link)
        [ref] = refs(await exchanged(runner, limit=1))
        slow(world)
        done = asyncio.ensure_future(exchanged(runner, computed(ref), limit=0))
        await asyncio.sleep(SOON)
        assert isinstance(await ask(link, command), p.Done)
        await done
        assert [left_in(engine) for engine in engines] == [""]

    with noted(engines):
        play(world, script)
    assert len(engines) == 1


def test_a_lease_is_not_renewed_for_what_expires_as_soon_as_the_log_has_room(world: World) -> None:
    """Its runner would begin it all the same, while somebody else has it already."""

    async def script(link: Link) -> None:
        await ask(link, submitted())
        runner = BareRunner(link)
        [ref] = refs(await exchanged(runner, limit=1))
        stream = world.server.streams[NAMES.log_stream]
        stream.full = True
        await asyncio.sleep(2 * LEASE)  # without a sign of life
        with pytest.raises(ServerUnavailable, match="room in the log"):
            await beat(link, runner, ref, patience=1.0)
        stream.full = False
        seen = await beat(link, runner, ref, patience=30.0)
        assert isinstance(seen, p.HeartbeatSeen)
        assert seen.lost == [ref]
        assert history(world)[-1] == "LeaseExpired"

    play(world, script)


def test_a_claim_that_waits_for_room_in_the_log_does_not_expire_before_it_can_be_handed_out(
    world: World,
) -> None:
    async def script(link: Link) -> None:
        await ask(link, submitted())
        stream = world.server.streams[NAMES.log_stream]
        stream.full = True
        runner = BareRunner(link)
        request = p.encode(p.Exchange("default", [("Task", 1, 0)], limit=1))
        answer = await link.nc.request(NAMES.exchange(runner.name, "default"), request, timeout=20)
        assert isinstance(p.decode_reply(answer.data), p.Unavailable)
        await asyncio.sleep(2 * LEASE)
        stream.full = False
        assert len(refs(await exchanged(runner, limit=0, holds=[]))) == 1
        assert history(world) == ["JobSubmitted", "TasksClaimed"]

    play(world, script)


async def beat(link: Link, runner: BareRunner, ref: p.AttemptRef, *, patience: float) -> p.Answer:
    subject = NAMES.heartbeat(runner.name, "default")
    return await link.ask(subject, p.encode(p.Heartbeat([ref])), timeout=20, patience=patience)


async def exchanged(
    runner: BareRunner, *reports: c.Report, limit: int, wait: float = 5.0, **fields: Any
) -> p.Exchanged:
    answer = await runner.exchanging(*reports, limit=limit, wait=wait, **fields)
    assert isinstance(answer, p.Exchanged), answer
    return answer

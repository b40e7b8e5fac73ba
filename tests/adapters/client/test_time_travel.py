"""One job as it was at a moment of the past: exact, read-only, whatever became of it since."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from jobledger import (
    ArgumentError,
    AsyncClient,
    Client,
    ExecutionContext,
    Job,
    JobState,
    NotFoundError,
    Task,
    TaskState,
)
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.data import PastJob
from jobledger.projections.job_view import JobView
from jobledger.testing import InlineClient, VirtualClock
from support.projectors import ProjectorHarness
from support.servers import NatsServer
from support.views import facts

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Greet(Task):
    name: str = "world"

    def execute(self, context: ExecutionContext) -> str:
        context.current_task.display = f"Hello, {self.name}"
        context.progress("words").add(2)
        context.progress("words").done(1)
        if self.name == "nobody":
            raise ValueError("nobody is there")
        return f"Hello, {self.name}!"


class Party(Task):
    guests: int

    def execute(self, context: ExecutionContext) -> None:
        first = context.submit_subtask(Greet("the host"))
        context.submit_subtasks([Greet(f"guest {number}") for number in range(self.guests)], depends_on=first)


class Large(Task):
    def execute(self, context: ExecutionContext) -> str:
        return "x" * 3_000_000


def run(client: Client, *tasks: Task, **options: Any) -> Job:
    job = client.jobs().submit("greetings", list(tasks), **options)
    client.runner(tasks=[Greet, Party, Large]).run_all()
    return job.wait(30, raise_on_failure=False)


def positions(job: Job) -> list[int]:
    return list(dict.fromkeys(entry.position for entry in job.history))


def commits(client: Client, job: Job) -> list[Any]:
    return shared_portal().run(client._session.read(str(job.id)))


def shown(past: PastJob) -> dict[str, Any]:
    """Return everything a reader can see of it and its tasks."""
    return facts(past._look(lambda view: view))


# -- exact ------------------------------------------------------------------------------------------------------------


def test_at_every_position_it_is_what_folding_that_much_of_the_history_makes_of_it(client: Client) -> None:
    job = run(client, Party(5), Greet("nobody"))
    client.jobs().retry(job)
    client.runner(tasks=[Greet, Party]).run_all()
    stored = commits(client, job)
    assert len(stored) > 4
    for position in range(stored[0].position, stored[-1].position + 1):
        past = job.at(position)
        view = JobView(str(job.id), fetch=client._session.fetch)
        for one in stored:
            if one.position <= position:
                view.apply(one.position, one.version, one.commit)
        assert shown(past) == facts(view)
        assert [str(entry) for entry in past.history] == [
            str(entry) for entry in job.history if entry.position <= position
        ]


@pytest.mark.parametrize("seed", range(5))
def test_at_every_time_it_is_what_it_was_when_it_was_looked_at_then(seed: int) -> None:
    random, clock = Random(seed), VirtualClock()
    inline = InlineClient(clock=clock)
    job = inline.jobs().submit("greetings", [Party(3), Greet("nobody"), Greet()], on_failure="continue")
    runner = inline.runner(tasks=[Greet, Party])
    seen: list[tuple[datetime, dict[str, Any]]] = []
    for number in range(25):
        clock.advance(random.choice([0.5, 7, 3600]))
        match random.random():
            case roll if roll < 0.7:
                runner.run_one()
            case roll if roll < 0.8:
                inline.jobs().cancel(job.tasks[random.randrange(len(job.tasks))], reason=str(number))
            case _ if job.state in (JobState.FAILED, JobState.CANCELED):
                inline.jobs().retry(job)
        clock.advance(random.choice([0, 1.5]))
        seen.append((clock.now, facts(job._look(lambda view: view.at(clock.micros)))))
        clock.advance(0.000001)
    for now, then in seen:
        assert shown(job.at(now)) == then


def test_everything_that_is_known_of_a_job_is_known_of_it_in_the_past(client: Client) -> None:
    job = run(client, Greet("you"), labels={"team": "blue"})
    last = job.at(positions(job)[-1])
    names = [name for name in dir(Job) if isinstance(getattr(Job, name), property) and name[0] != "_"]
    assert "progress" in names
    for name in names:
        if name not in ("history", "tasks"):
            assert getattr(last, name) == getattr(job, name), name
    assert str(last.history) == str(job.history)
    assert last.tasks[0].result == "Hello, you!"
    first = job.at(positions(job)[0])
    assert (first.state, first.percent, first.result, first.settled) == (JobState.SUBMITTED, 0.0, None, False)
    assert (first.started_at, first.progress, first.labels) == (None, [], {"team": "blue"})
    assert (first.version, first.position) == (1, positions(job)[0])


def test_between_its_commits_it_is_as_the_earlier_one_left_it(client: Client) -> None:
    one, other = client.jobs().submit("one", Greet()), client.jobs().submit("other", Greet())
    between = positions(other)[0]
    client.runner(tasks=[Greet]).run_all()
    assert positions(one)[0] < between < positions(one)[1]
    assert one.at(between).state is JobState.SUBMITTED
    assert one.at(between).as_of == other.history[0].at  # what time it was there
    assert one.at(one.wait(10).history[-1].at).state is JobState.COMPLETED


def test_what_ran_had_run_so_long_by_then() -> None:
    clock = VirtualClock()
    inline = InlineClient(clock=clock)
    moments: list[datetime] = []

    class Slow(Task):
        def execute(self, context: ExecutionContext) -> None:
            clock.advance(30)
            context.progress().add(1)
            moments.append(clock.now)
            clock.advance(60)

    job = inline.jobs().submit("slow", [Slow(), Slow()])
    clock.advance(10)
    inline.runner(tasks=[Slow]).run_one()
    clock.advance(1_000_000)
    half = job.at(moments[0])
    assert half.tasks[0].state is TaskState.RUNNING
    assert half.tasks[0].pending_duration + half.tasks[0].execution_duration == 40.0
    assert half.tasks[1].pending_duration == 40.0
    assert half.as_of == moments[0]
    assert job.tasks[1].pending_duration > 1_000_000


def test_it_never_changes(client: Client) -> None:
    job = client.jobs().submit("greetings", Greet())
    past = job.at(positions(job)[0])
    before = shown(past)
    client.runner(tasks=[Greet]).run_all()
    job.wait(10)
    assert shown(past) == before
    assert not hasattr(past, "wait")
    assert not hasattr(past, "refresh")


# -- as an object -----------------------------------------------------------------------------------------------------


def test_two_are_equal_if_they_are_the_same_job_at_the_same_version(client: Client) -> None:
    job = run(client, Greet())
    first, *_, last = positions(job)
    assert job.at(first) == job.at(job.submitted_at)
    assert len({job.at(first), job.at(job.submitted_at), job.at(last)}) == 2
    assert job.at(last) != job
    assert job != job.at(last)


def test_it_is_shown_as_it_was(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    job = run(client, Greet("you"))
    past = job.at(positions(job)[0])
    assert repr(past) == f"<PastJob 'greetings' {job.id} SUBMITTED at position {positions(job)[0]}>"
    assert str(past) == f"job 'greetings' ({job.id}): SUBMITTED, tasks: 1 QUEUED"
    client.jobs().display(past)
    assert capsys.readouterr().out.splitlines()[0] == "greetings · SUBMITTED · 1 task"
    assert "Hello, you" not in client.jobs().visualize(past)
    assert "Hello, you" in client.jobs().visualize(job)
    assert "SUBMITTED" in past._repr_mimebundle_()["text/plain"]
    with pytest.raises(NotImplementedError):  # which has IPython show the bundle, and nothing live
        past.tasks[0]._ipython_display_()
    with pytest.raises(TypeError):
        pickle.dumps(past)


def test_what_is_large_is_read_where_it_lies(client: Client) -> None:
    job = run(client, Large())
    first, *_, last = positions(job)
    assert job.at(first).result is None
    assert job.at(last).result == "x" * 3_000_000


# -- deleted, not yet there, and no moment at all ---------------------------------------------------------------------


def test_a_job_that_was_deleted_is_there_before_that(client: Client) -> None:
    job = run(client, Greet("you"))
    *_, last = positions(job)
    client.jobs().delete(job, reason="of no use")
    past = client.jobs().find(job.id, at=last)
    assert isinstance(past, PastJob)
    assert (past.state, past.result) == (JobState.COMPLETED, "Hello, you!")
    assert job.at(last) == past
    replay = client.jobs().replay(job.id)
    gone = replay.seek(version=-1)
    assert (gone.old, gone.new, replay.job.state) == (JobState.COMPLETED, JobState.DELETED, JobState.DELETED)
    with pytest.raises(NotFoundError, match=f"was deleted at .* of no use.*at={gone.position - 1} shows"):
        client.jobs().find(job.id, at=gone.position)


def test_before_it_was_submitted_it_is_told_since_when_it_is_there(client: Client) -> None:
    client.jobs().submit("another", Greet())
    job = client.jobs().submit("greetings", Greet())
    (first,) = positions(job)
    told = f"job {job.id} did not exist at position {first - 1}: it begins at position {first}, 2"
    with pytest.raises(NotFoundError, match=told):
        job.at(first - 1)
    with pytest.raises(
        NotFoundError, match=r"did not exist at 2020-01-01 00:00:00\.000Z: it begins at position"
    ):
        client.jobs().find(job.id, at=LONG_AGO)


def test_a_position_beyond_the_log_is_refused_with_where_it_ends(client: Client) -> None:
    job = client.jobs().submit("greetings", Greet())
    end = positions(client.jobs().submit("another", Greet()))[-1]
    assert job.at(end).state is JobState.SUBMITTED
    with pytest.raises(
        ArgumentError, match=f"at={end + 1} is beyond the end of the log: its newest .* {end}$"
    ):
        job.at(end + 1)


def test_a_time_in_the_future_is_refused_but_not_what_clocks_may_differ_by(client: Client) -> None:
    job = client.jobs().submit("greetings", Greet())
    with pytest.raises(ArgumentError, match="lies in the future"):
        job.at(datetime.now(UTC) + timedelta(hours=1))
    assert job.at(datetime.now(UTC) + timedelta(seconds=5)).state is JobState.SUBMITTED


@pytest.mark.parametrize("at", [0, -3, 1.5, "2026-01-01", True, datetime(2026, 1, 1)])
def test_what_is_no_moment_is_refused(client: Client, at: Any) -> None:
    job = client.jobs().submit("greetings", Greet())
    for travel in (job.at, lambda at: client.jobs().find(job.id, at=at), lambda at: job.replay().seek(at)):
        with pytest.raises(ArgumentError, match="at="):
            travel(at)


def test_a_job_that_never_was_is_not_found_in_the_past(client: Client) -> None:
    nobody = "018dd029-58ca-74e5-8b58-b4f99d610f9a"
    for travel in (lambda: client.jobs().find(nobody, at=LONG_AGO), lambda: client.jobs().replay(nobody)):
        with pytest.raises(NotFoundError, match=f"there is no job {nobody}"):
            travel()


# -- many jobs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def projector(nats_server: NatsServer, names: Names, tmp_path: Path) -> Iterator[ProjectorHarness]:
    projector = ProjectorHarness(nats_server.url, names, f"sqlite:///{tmp_path}/jobs.sqlite3").start()
    yield projector
    projector.stop()


@pytest.mark.usefixtures("projector")
def test_jobs_are_found_by_what_they_were(client: Client) -> None:
    jobs = client.jobs()
    gone, failed = (
        jobs.submit("gone", Greet()),
        jobs.submit("failed", Greet("nobody"), labels={"team": "blue"}),
    )
    at = positions(failed)[-1]
    client.runner(tasks=[Greet]).run_all()
    failed.wait(30, raise_on_failure=False)
    gone.wait(30)
    jobs.delete(gone)
    jobs.submit("later", Greet())
    found = jobs.query(at=at)
    assert [type(job) for job in found] == [PastJob, PastJob]
    assert [(job.name, job.state) for job in found] == [
        ("failed", JobState.SUBMITTED),
        ("gone", JobState.SUBMITTED),
    ]
    assert found == [failed.at(at), jobs.find(gone.id, at=at)]
    assert jobs.query(at=at, job_states=JobState.FAILED) == []
    assert jobs.count(at=at, task_states=TaskState.QUEUED) == 2
    assert [row.name for row in jobs.rows(at=at, labels={"team": "blue"}, limit=1)] == ["failed"]
    assert jobs.count(name="failed", job_states=JobState.FAILED) == 1
    with pytest.raises(ArgumentError, match="at=99999 is beyond the end of the log: its newest commit is at"):
        jobs.rows(at=99999)
    with pytest.raises(ArgumentError, match="lies in the future"):
        jobs.count(at=datetime.now(UTC) + timedelta(hours=1))
    assert jobs.query(at=LONG_AGO) == []


# -- asynchronously ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("projector")
def test_the_same_can_be_awaited(nats_server: NatsServer, names: Names, client: Client) -> None:
    job = run(client, Greet("you"))
    first = positions(job)[0]

    async def travel() -> None:
        async with AsyncClient(nats_server.url, namespace=names.namespace) as other:
            live = await other.jobs().find(job.id)
            past = await live.at(first)
            assert (past.state, past.tasks[0].state) == (JobState.SUBMITTED, TaskState.QUEUED)
            assert await other.jobs().find(job.id, at=first) == past
            assert await other.jobs().query(at=first) == [past]
            assert (await other.jobs().query(at=first))[0].name == "greetings"
            replay = await live.replay()
            assert [step.version for step in replay] == [*range(1, len(replay) + 1)]
            assert replay.job.result == "Hello, you!"
            with pytest.raises(NotFoundError, match="did not exist"):
                await live.at(LONG_AGO)

    asyncio.run(travel())


# -- replay -----------------------------------------------------------------------------------------------------------


def test_the_job_of_a_replay_is_a_copy_that_stays(client: Client) -> None:
    job = run(client, Party(3))
    replay = job.replay()
    with pytest.raises(ArgumentError, match="before the first commit"):
        _ = replay.job
    pasts = [replay.job for _ in replay]
    assert pasts == [job.at(position) for position in positions(job)]
    for past, position in zip(pasts, positions(job), strict=True):
        assert shown(past) == shown(job.at(position))
        assert str(past.history) == str(job.at(position).history)


def test_a_replay_holds_what_there_was_when_it_was_made(client: Client) -> None:
    job = client.jobs().submit("greetings", Greet())
    replay = job.replay()
    client.runner(tasks=[Greet]).run_all()
    assert len(replay) == 1
    assert len(job.replay()) > 1

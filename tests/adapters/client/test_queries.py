"""Finding jobs, counting them, and stepping in with many at once: on a real engine, projector and view."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobledger import Client, ExecutionContext, JobState, Task, TaskState
from jobledger.adapters.client.query import queries, viewing
from jobledger.adapters.nats.names import Names
from jobledger.core.errors import ArgumentError, JobNotRetryable, ServerUnavailable
from support.projectors import ProjectorHarness
from support.servers import NatsServer


class Greet(Task):
    name: str = ""

    def execute(self, context: ExecutionContext) -> None:
        if self.name == "nobody":
            raise ValueError("nobody is there")


class Other(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Greet())


@pytest.fixture
def projector(nats_server: NatsServer, names: Names, tmp_path: Path) -> Iterator[ProjectorHarness]:
    projector = ProjectorHarness(nats_server.url, names, f"sqlite:///{tmp_path}/jobs.sqlite3").start()
    yield projector
    projector.stop()


@pytest.fixture
def jobs(client: Client, projector: ProjectorHarness) -> Any:
    return client.jobs()


def run_all(client: Client) -> None:
    client.runner(tasks=[Greet, Other]).run_all()


def test_what_was_just_done_is_found(jobs: Any) -> None:
    for number in range(20):
        job = jobs.submit(f"job {number}", Greet())
        assert jobs.query(limit=1) == [job]
        jobs.cancel(job)
        assert jobs.query(job_states=JobState.CANCELED, limit=1) == [job]
        jobs.delete(job)
        assert jobs.query() == []


def test_a_job_that_was_waited_for_is_found_as_it_ended(client: Client, jobs: Any) -> None:
    job = jobs.submit("greetings", Greet())
    run_all(client)
    job.wait(10)
    (row,) = jobs.rows()
    assert (row.state, row.id) == (JobState.COMPLETED, str(job.id))


def test_what_others_have_done_before_the_question_is_found(client: Client, jobs: Any) -> None:
    for number in range(10):
        job = jobs.submit(f"job {number}", Greet())
        run_all(client)  # of which this client is told nothing
        assert jobs.query(job_states=JobState.COMPLETED, limit=1) == [job]


def test_the_newest_come_first_and_a_limit_cuts(jobs: Any) -> None:
    submitted = [jobs.submit(f"job {number}", Greet()) for number in range(5)]
    assert jobs.query() == submitted[::-1]
    assert jobs.query(limit=2) == submitted[:2:-1]
    assert [row.name for row in jobs.rows(limit=1)] == ["job 4"]


def test_all_pages_are_walked(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE", 3)
    submitted = [jobs.submit(f"job {number}", Greet()) for number in range(10)]
    assert jobs.query() == submitted[::-1]
    assert jobs.query(limit=7) == submitted[:2:-1]
    assert jobs.query(name="job", limit=10) == submitted[::-1]


def test_each_condition_by_itself_and_all_together(client: Client, jobs: Any) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    blue = jobs.submit("Blue import", Greet("nobody"), labels={"team": "blue"})
    red = jobs.submit("red import", Other(), labels={"team": "red", "stage": "prod"})
    run_all(client)
    waiting = jobs.submit("something else", [Greet()])
    after = datetime.now(UTC) + timedelta(seconds=1)

    assert jobs.query((before, after)) == [waiting, red, blue]
    assert jobs.query((after, None)) == []
    assert jobs.query((red.id, waiting.id)) == [waiting, red]
    assert jobs.query(red.submitted_at) == [red]
    assert jobs.query(job_states=[JobState.FAILED, JobState.COMPLETED]) == [red, blue]
    assert jobs.query(task_states=TaskState.FAILED) == [blue]
    assert jobs.query(name="IMPORT") == [red, blue]
    assert jobs.query(clusters="default") == [waiting, red, blue]
    assert jobs.query(clusters="gpu") == []
    assert jobs.query(labels={"team": ["blue", "red"]}) == [red, blue]
    assert jobs.query(labels={"team": ["blue", "red"], "stage": "prod"}) == [red]
    assert jobs.query(tasks=Other) == [red]
    together = {
        "name": "import",
        "labels": {"team": "red"},
        "job_states": JobState.COMPLETED,
        "tasks": "Greet",
    }
    assert jobs.query((before, after), **together) == [red]
    assert jobs.count((before, after), **together) == 1
    assert jobs.count() == 3


def test_the_latest_job_of_a_task(client: Client, jobs: Any) -> None:
    assert jobs.latest(Greet) is None
    first = jobs.submit("first", Greet())
    second = jobs.submit("second", Other())
    assert (jobs.latest(Greet), jobs.latest("Other"), jobs.latest(Other())) == (first, second, second)
    run_all(client)  # of which comes a Greet
    assert jobs.latest(Greet) == second


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3"])
def test_a_limit_that_is_none(jobs: Any, limit: Any) -> None:
    with pytest.raises(ArgumentError, match=f"limit={limit!r} is no number of jobs"):
        jobs.query(limit=limit)


# -- many at once ----------------------------------------------------------------------------------------------------


def test_to_cancel_many(client: Client, jobs: Any) -> None:
    submitted = [jobs.submit(f"wrong {number}", Greet()) for number in range(30)]
    right = jobs.submit("right", Greet())
    jobs.cancel(submitted[0])
    preview = jobs.cancel_all(name="wrong", dry_run=True)
    assert (preview.count, str(preview)) == (29, "29 jobs would be canceled")
    assert submitted[1].state is JobState.SUBMITTED
    outcomes = jobs.cancel_all(name="wrong", reason="wrong input")
    assert (len(outcomes), str(outcomes), outcomes.failed) == (29, "29 of 29 jobs canceled", [])
    assert jobs.count(job_states=JobState.CANCELED) == 30
    assert right.state is JobState.SUBMITTED
    assert jobs.cancel_all(name="wrong").count == 0


def test_to_retry_many(client: Client, jobs: Any) -> None:
    failed = jobs.submit("failed", Greet("nobody"))
    done = jobs.submit("done", Greet())
    run_all(client)
    canceled = jobs.submit("canceled", [Greet(), Greet()])
    jobs.cancel(canceled)
    outcomes = jobs.retry_all(everything=True)
    assert [(outcome.job.name, outcome.affected) for outcome in outcomes] == [("canceled", 2), ("failed", 1)]
    assert (failed.state, canceled.state, done.state) == (
        JobState.RUNNING,
        JobState.SUBMITTED,
        JobState.COMPLETED,
    )


def test_what_is_not_possible_for_one_is_told_and_does_not_keep_the_others(client: Client, jobs: Any) -> None:
    jobs.submit("a done", Greet())
    jobs.submit("a failed", Greet("nobody"))
    run_all(client)
    outcomes = jobs.retry_all(name="a ", job_states=[JobState.COMPLETED, JobState.FAILED])
    assert [(outcome.job.name, outcome.affected, type(outcome.error)) for outcome in outcomes] == [
        ("a failed", 1, type(None)),
        ("a done", 0, JobNotRetryable),
    ]
    assert str(outcomes) == "1 of 2 jobs retried, 1 failed"


def test_to_delete_many(client: Client, jobs: Any) -> None:
    jobs.submit("done", Greet())
    run_all(client)
    waiting = jobs.submit("waiting", Greet())
    assert jobs.delete_all(everything=True).count == 1
    assert jobs.query() == [waiting]
    assert str(jobs.delete_all(name="waiting", force=True, reason="a test")) == "1 of 1 job deleted"
    assert jobs.query() == []


@pytest.mark.parametrize("do", ["cancel_all", "retry_all", "delete_all"])
def test_all_jobs_have_to_be_meant(jobs: Any, do: str) -> None:
    for nothing in ({}, {"name": ""}, {"labels": None}):
        with pytest.raises(ArgumentError, match=r"no job is selected: .* everything=True"):
            getattr(jobs, do)(**nothing)
    with pytest.raises(ArgumentError, match="everything=True goes with no selection"):
        getattr(jobs, do)(name="x", everything=True)


# -- what stands between ---------------------------------------------------------------------------------------------


def test_without_a_projector_it_is_told_how_to_start_one(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "_APPEARANCE", 0.1)
    for ask in (client.jobs().query, client.jobs().count, client.jobs().rows):
        with pytest.raises(
            ServerUnavailable, match=r"no projector serves namespace 't\d+': .* jobledger projector --url"
        ):
            ask()


def test_a_projector_that_comes_late_is_waited_for(
    client: Client, nats_server: NatsServer, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.jobs().submit("greetings", Greet())
    projector = ProjectorHarness(nats_server.url, names, f"sqlite:///{tmp_path}/jobs.sqlite3")
    ask = viewing.ask_view
    asked: list[object] = []

    async def starting(*args: Any) -> Any:
        if not asked:
            asked.append(args)
            projector.begin()
        return await ask(*args)

    monkeypatch.setattr(queries, "ask_view", starting)
    assert client.jobs().query() == [job]
    projector.stop()


def test_a_view_that_stays_behind_is_told(client: Client, jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "_WAIT", 0.01)
    jobs.submit("greetings", Greet())
    client._session.seen = 1000
    client._session.patience = 0.1
    with pytest.raises(ServerUnavailable, match="has to come to 1,000 first"):
        jobs.query()

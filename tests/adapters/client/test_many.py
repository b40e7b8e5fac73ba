"""Submitting many jobs with one call, and waiting for many."""

from __future__ import annotations

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from nats.aio.msg import Msg

from jobledger import (
    ArgumentError,
    AsyncClient,
    Client,
    ExecutionContext,
    Job,
    JobCanceled,
    JobClient,
    JobFailed,
    JobState,
    NewJob,
    NotFoundError,
    ServerUnavailable,
    Task,
)
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.errors import NotAllSubmitted
from support.engines import BareRunner, EngineHarness, computed, failed
from support.servers import NatsServer


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> None:
        """Nothing is left to do."""


def runs_all(runner: BareRunner, count: int) -> None:
    """Compute as many tasks."""
    while count:
        refs = runner.claim(limit=count)
        runner.report(*(computed(ref) for ref in refs))
        count -= len(refs)


@pytest.fixture
def nowhere() -> JobClient:
    """Of a client whose server does not exist: a request would raise ServerUnavailable."""
    return Client("nats://127.0.0.1:1", patience=0).jobs()


# -- submitting ---------------------------------------------------------------------------------------------------


def test_jobs_come_back_in_the_order_in_which_they_were_given(client: Client) -> None:
    jobs = client.jobs().submit_many(NewJob(f"adding {n}", Add(n), labels={"n": str(n)}) for n in range(600))
    assert [job.name for job in jobs] == [f"adding {n}" for n in range(600)]
    assert len(set(jobs)) == 600
    last = client.jobs().find(jobs[-1].id)
    assert (last.state, last.labels, last.tasks[0].input_json) == (JobState.SUBMITTED, {"n": "599"}, 599)


def test_none_at_all_need_no_server(nowhere: JobClient) -> None:
    assert (nowhere.submit_many([]), nowhere.wait_all([])) == ([], [])


def test_what_was_submitted_under_its_key_is_not_started_again(client: Client) -> None:
    new = [NewJob("adding", Add(n), idempotency_key=f"order {n % 50}") for n in range(50)]
    first = client.jobs().submit_many(new)
    assert client.jobs().submit_many(new) == first
    twice = [NewJob("adding", Add(1), idempotency_key="one")] * 2
    one, same = client.jobs().submit_many(twice)
    assert (one, len(one.tasks)) == (same, 1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (NewJob("", Add(1)), "jobs[1]: name='' is empty"),
        (NewJob("adding", Add), "jobs[1]: root_task_or_tasks is the class Add"),  # type: ignore[arg-type]
        (NewJob("adding", Add(1), priority="high"), "jobs[1]: priority='high'"),  # type: ignore[arg-type]
        (NewJob("adding", Add(1), encrypt=1), "jobs[1]: encrypt=1 is neither True nor False"),  # type: ignore[arg-type]
        (Add(1), "jobs[1] is Add(left=1), a Add: pass a NewJob for each"),
    ],
)
def test_a_wrong_argument_is_told_with_its_place_before_anything_is_sent(
    nowhere: JobClient, wrong: Any, says: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        nowhere.submit_many([NewJob("adding", Add(1)), wrong])
    assert str(caught.value).startswith(says)


def test_those_that_are_refused_do_not_hold_up_the_others(client: Client) -> None:
    jobs = client.jobs()
    taken = jobs.submit("adding", Add(1), idempotency_key="taken")
    new = [NewJob(f"adding {n}", Add(n), idempotency_key="taken" if n == 1 else None) for n in range(3)]
    with pytest.raises(NotAllSubmitted) as caught:
        jobs.submit_many([*new, NewJob("elsewhere", Add(1), cluster="nowhere")])
    error = caught.value
    assert str(error).startswith("2 of 4 jobs were not submitted, the first at place 1 ('adding 1'): ")
    assert {place: type(why) for place, why in error.errors.items()} == {1: ArgumentError, 3: NotFoundError}
    names = [None if job_id is None else jobs.find(job_id).name for job_id in error.job_ids]
    assert names == ["adding 0", None, "adding 2", None]
    assert jobs.find(taken).name == "adding"
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.job_ids) == (str(error), error.job_ids)


def test_a_server_that_is_away_is_waited_for_once(nats_server: NatsServer, names: Names) -> None:
    with (
        Client(nats_server.url, namespace=names.namespace, patience=0.1) as client,
        pytest.raises(NotAllSubmitted, match="no engine serves this namespace") as caught,
    ):
        client.jobs().submit_many([NewJob("adding", Add(n)) for n in range(5000)])
    assert len(caught.value.errors) == 5000
    assert isinstance(caught.value.errors[4999], ServerUnavailable)


def test_sealed_jobs_are_submitted_among_others(client: Client) -> None:
    sealed, plain = client.jobs().submit_many(
        [NewJob("secret", Add(1), encrypt=True), NewJob("known", Add(2))]
    )
    assert (sealed.sealed, plain.sealed) == (True, False)
    assert [job.tasks[0].input_json for job in (sealed, plain)] == [1, 2]


def test_large_inputs_are_kept_beside_the_log(client: Client) -> None:
    class Keep(Task):
        text: str

    jobs = client.jobs().submit_many(NewJob("keeping", Keep(str(n) * 300_000)) for n in range(3))
    assert [job.tasks[0].input_json for job in jobs] == [str(n) * 300_000 for n in range(3)]


# -- waiting ------------------------------------------------------------------------------------------------------


def test_many_are_waited_for_until_the_last_is_settled(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs().submit_many(NewJob(f"adding {n}", Add(n)) for n in range(300))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.jobs().wait_all, [*jobs[1:], jobs[0].id])
        runs_all(bare_runner, 299)
        assert not waiting.done()
        runs_all(bare_runner, 1)
        settled = waiting.result(10)
    assert settled == [*jobs[1:], jobs[0]]
    assert {job.state for job in settled} == {JobState.COMPLETED}


def test_a_completed_job_is_waited_for_without_reading_its_history(
    client: Client, bare_runner: BareRunner
) -> None:
    job = client.jobs().submit("adding", Add(1))
    runs_all(bare_runner, 1)
    asked: list[str] = []

    async def note(message: Msg) -> None:
        asked.append(message.subject)

    async def listen() -> None:
        link = await client._session.link()
        await link.listen("$JS.API.DIRECT.GET.>", note)

    shared_portal().run(listen())
    job.wait()
    client.jobs().wait_all([job])
    assert repr(job).endswith("COMPLETED>")
    assert not [subject for subject in asked if client._session.names.log_stream in subject]
    assert (job.state, job.tasks_by_state[job.tasks[0].state], job.history[-1].text) == (
        JobState.COMPLETED,
        1,
        "job completed",
    )


def test_a_job_that_goes_on_again_is_waited_for_again(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1))
    jobs.cancel(job)
    assert jobs.wait_all([job], raise_on_failure=False)[0].canceled
    jobs.retry(job)
    with pytest.raises(TimeoutError):
        jobs.wait_all([job], timeout=0)
    runs_all(bare_runner, 1)
    assert jobs.wait_all([job], timeout=5)[0].state is JobState.COMPLETED


def test_the_first_that_has_failed_is_raised_once_all_are_settled(
    client: Client, bare_runner: BareRunner
) -> None:
    jobs = client.jobs()
    good, canceled, broken = jobs.submit_many(NewJob(name, Add(1)) for name in ("good", "canceled", "broken"))
    jobs.cancel(canceled)
    for ref in bare_runner.claim(limit=2):
        bare_runner.report(failed(ref) if ref.job_id == str(broken.id) else computed(ref))
    with pytest.raises(JobCanceled) as caught:
        jobs.wait_all([good, canceled, broken])
    assert caught.value.__notes__ == ["2 of 3 jobs have failed, or were canceled"]
    with pytest.raises(JobFailed, match="job 'broken'"):
        jobs.wait_all([good, canceled, broken], raise_on_cancel=False)
    states = [job.state.name for job in jobs.wait_all([good, canceled, broken], raise_on_failure=False)]
    assert states == ["COMPLETED", "CANCELED", "FAILED"]


def test_a_job_that_was_deleted_is_not_there(client: Client) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1))
    jobs.delete(job, force=True)
    with pytest.raises(NotFoundError, match="was deleted"):
        jobs.wait_all([job])


def test_time_runs_out_with_how_many_are_left(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    many = jobs.submit_many(NewJob("adding", Add(n)) for n in range(3))
    bare_runner.report(computed(bare_runner.claim()[0]))
    with pytest.raises(
        TimeoutError, match=r"2 of 3 jobs are not settled after 0.1 s, the first of them job .*\. They"
    ):
        jobs.wait_all(many, timeout=0.1)


@pytest.mark.parametrize("jobs", ["an id", "018dd029-58ca-74e5-8b58-b4f99d610f9a"])
def test_a_single_job_is_not_many(nowhere: JobClient, jobs: str) -> None:
    with pytest.raises(ArgumentError, match="is a single job: pass several"):
        nowhere.wait_all(jobs)


def test_many_are_awaited(nats_server: NatsServer, names: Names, engine: EngineHarness) -> None:
    async def states() -> tuple[list[str], list[str]]:
        async with AsyncClient(nats_server.url, namespace=names.namespace) as client:
            many = await client.jobs().submit_many(NewJob("adding", Add(n)) for n in range(3))
            before = [job.state.name for job in many]
            await client.runner(tasks=[Add]).run_all()
            await client.jobs().wait_all(many)
            return before, [job.state.name for job in many]

    assert asyncio.run(states()) == (["SUBMITTED"] * 3, ["COMPLETED"] * 3)


def test_a_job_is_known_by_the_object_that_was_given(client: Client, bare_runner: BareRunner) -> None:
    job: Job = client.jobs().submit("adding", Add(1))
    runs_all(bare_runner, 1)
    client.jobs().wait_all([job])
    assert repr(job).endswith("COMPLETED>")

"""The asynchronous client: the same words on the caller's event loop, and runners beside it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from jobledger import (
    ArgumentError,
    AsyncClient,
    AsyncJob,
    AsyncJobClient,
    Client,
    ExecutionContext,
    Job,
    JobClient,
    JobFailed,
    JobState,
    NotFoundError,
    Task,
    TaskState,
)
from jobledger.adapters.nats.names import Names
from jobledger.errors import JobLedgerError
from support.engines import EngineHarness
from support.servers import NatsServer


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> int:
        return self.left + 1


class Long(Task):
    def execute(self, context: ExecutionContext) -> str:
        return 100_000 * "x"


class Broken(Task):
    def execute(self, context: ExecutionContext) -> None:
        raise ValueError("it broke")


Program = Callable[[AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture
def run(nats_server: NatsServer, names: Names, engine: EngineHarness) -> Callable[[Program], None]:
    """Run a program on an event loop of its own, with a client."""

    async def connected(program: Program) -> None:
        async with AsyncClient(nats_server.url, namespace=names.namespace) as client:
            await program(client)

    return lambda program: asyncio.run(connected(program))


def state(job: AsyncJob) -> JobState:
    """A type checker that has seen `job.state` once believes that it stays so."""
    return job.state


def test_a_job_is_submitted_run_and_read(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        jobs = client.jobs()
        job = await jobs.submit("adding", [Add(1), Add(2)], labels={"a": "b"})
        assert repr(job) == f"<AsyncJob 'adding' {job.id} SUBMITTED>"
        assert (state(job), job.labels, len(job.tasks)) == (JobState.SUBMITTED, {"a": "b"}, 2)
        await client.runner(tasks=[Add], concurrency=2).run_all()
        assert state(job) is JobState.SUBMITTED  # as of its latest reading
        assert await job.refresh() is job
        assert (state(job), job.percent, await job.result()) == (JobState.COMPLETED, 100, [2, 3])
        assert await job.wait(timeout=5) is job
        assert (await job.history())[-1].text == "job completed"
        found = await jobs.find(job)
        assert found == job
        assert found is not job
        assert str(found) == f"job 'adding' ({job.id}): COMPLETED, tasks: 2 COMPUTED"

    run(program)


def test_stepping_in(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        jobs = client.jobs()
        job = await jobs.submit("adding", [Add(1), Add(2)])
        assert await jobs.cancel(job.tasks[0]) == 1
        assert await jobs.cancel(job, "not needed") is True
        assert (await job.refresh()).canceled
        assert await jobs.retry(job) == 2
        assert not await jobs.deletable(job)
        await jobs.delete(job, force=True)
        with pytest.raises(NotFoundError, match="was deleted"):
            await job.refresh()
        with pytest.raises(ArgumentError, match="name='' is empty"):
            await jobs.submit("", Add(1))

    run(program)


def test_watching_and_failing(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        job = await client.jobs().submit("broken", Broken())
        runner = asyncio.create_task(client.runner(tasks=[Broken]).run_forever())
        seen = [same.state async for same in job.watch(timeout=10)]
        assert (seen[0], seen[-1]) == (JobState.SUBMITTED, JobState.FAILED)
        with pytest.raises(JobFailed, match="it broke"):
            await job.wait()
        await job.wait(raise_on_failure=False)
        with pytest.raises(ArgumentError, match="interval=0"):
            job.watch(interval=0)
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runner

    run(program)


def test_many_things_at_a_time(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        jobs = [client.jobs().submit(f"adding {n}", Add(n)) for n in range(20)]
        submitted = await asyncio.gather(*jobs)
        runner = client.runner(tasks=[Add])
        await asyncio.gather(runner.run_all(), *(job.wait(timeout=20) for job in submitted))
        assert [await job.result() for job in submitted] == [n + 1 for n in range(20)]

    run(program)


def test_a_picture_is_drawn_and_printed(
    run: Callable[[Program], None], capsys: pytest.CaptureFixture[str]
) -> None:
    async def program(client: AsyncClient) -> None:
        job = await client.jobs().submit("adding", Add(1))
        assert (await client.jobs().visualize(job)).startswith("<svg")
        await client.jobs().display(job.id)

    run(program)
    assert capsys.readouterr().out.startswith("adding · SUBMITTED · 1 task\n")


def test_a_large_result_is_read_without_holding_up_the_loop(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        job = await client.jobs().submit("long", Long())
        await client.runner(tasks=[Long]).run_all()
        assert len(await job.result()) == 100_000
        task = job.tasks[0]
        with pytest.raises(JobLedgerError, match=r"await asyncio\.to_thread\(lambda: task\.result\)"):
            _ = task.result
        assert len(await asyncio.to_thread(lambda: task.result)) == 100_000

    run(program)


def test_a_large_result_is_read_by_a_program_that_blocks(client: Client) -> None:
    job = client.jobs().submit("long", Long())
    client.runner(tasks=[Long]).run_all()
    assert len(job.result) == len(job.tasks[0].result) == 100_000


def test_a_runner_that_is_canceled_gives_back_what_it_holds(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        runner = client.runner(tasks=[Add])
        assert [str(one.name) for one in runner.tasks_to_run] == ["Add"]
        job = await client.jobs().submit("adding", Add(1))
        for _ in range(2):  # a runner may be used again
            running = asyncio.create_task(runner.run_forever(grace=1))
            await job.wait(timeout=10)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        running = asyncio.create_task(runner.run_forever())
        await asyncio.sleep(0)
        running.cancel()  # before it has begun
        with pytest.raises(asyncio.CancelledError):
            await running
        running = asyncio.create_task(runner.run_forever())
        other = await client.jobs().submit("adding", Add(2))
        await other.wait(timeout=10)
        runner.stop()
        await running

    run(program)


def test_a_wait_that_is_given_up_leaves_the_client_usable(run: Callable[[Program], None]) -> None:
    async def program(client: AsyncClient) -> None:
        job = await client.jobs().submit("adding", Add(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await job.wait()
        async for _ in job.watch():
            break
        assert job.tasks_by_state[TaskState.QUEUED] == 1
        assert await client.jobs().cancel(job) is True

    run(program)


def test_a_client_belongs_to_one_event_loop(
    nats_server: NatsServer, names: Names, engine: EngineHarness
) -> None:
    client = AsyncClient(nats_server.url, namespace=names.namespace)
    assert repr(client).startswith("AsyncClient('nats://")

    async def submit() -> AsyncJob:
        return await client.jobs().submit("adding", Add(1))

    async def elsewhere() -> None:
        def on_another_loop() -> None:
            asyncio.run(submit())

        await submit()
        with pytest.raises(RuntimeError, match="in use on another event loop: make a client for each loop"):
            await asyncio.to_thread(on_another_loop)
        await client.close()

    asyncio.run(elsewhere())


def test_jobs_of_one_client_are_known_to_another(
    nats_server: NatsServer, names: Names, client: Client, run: Callable[[Program], None]
) -> None:
    job = client.jobs().submit("adding", Add(1))

    async def program(other: AsyncClient) -> None:
        assert (await other.jobs().find(job)).id == job.id
        assert await other.jobs().cancel(job) is True
        assert (await other.jobs().visualize(job)).startswith("<svg")

    run(program)
    assert job.canceled


# -- one source ---------------------------------------------------------------------------------------------------


def public(of: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers_static(of) if not name.startswith("_")}


@pytest.mark.parametrize(("blocking", "awaited"), [(JobClient, AsyncJobClient), (Job, AsyncJob)])
def test_both_clients_have_the_same_words_with_the_same_parameters(blocking: type, awaited: type) -> None:
    ours, theirs = public(blocking), public(awaited)
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        # what blocks to read may be a property; what is awaited is called
        if callable(method) and name != "subscribe":
            signatures = inspect.signature(method), inspect.signature(theirs[name])
            assert signatures[0].parameters == signatures[1].parameters, name
            assert inspect.getdoc(method) == inspect.getdoc(theirs[name]), name
        assert inspect.getdoc(method), name


def test_help_shows_what_a_method_takes() -> None:
    signature = str(inspect.signature(JobClient.submit))
    assert signature.startswith("(self, name: 'str', root_task_or_tasks: 'Tasks', cluster: ")
    assert "session" not in signature
    assert str(inspect.signature(Client("nats://h").jobs().find)) == (
        "(job_or_id: 'JobOrId', *, at: 'At | None' = None) -> 'Job | PastJob'"
    )
    for method, returns in (
        (AsyncJobClient.submit, "AsyncJob"),
        (AsyncJobClient.subscribe, "AsyncSubscription"),
        (JobClient.subscribe, "Subscription"),
        (JobClient.display, "None"),
        (Job.watch, "Iterator[Self]"),
        (AsyncJob.wait, "Self"),
    ):
        assert inspect.signature(method).return_annotation == returns
    with pytest.raises(TypeError, match=r"submit\(\) missing 1 required positional argument"):
        Client("nats://h").jobs().submit("a name")  # type: ignore[call-arg]

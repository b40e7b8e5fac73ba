"""`jobs.fork`: a new job from any point of an old one."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from jobledger import AsyncClient, Client
from jobledger.adapters.client import requests
from jobledger.adapters.client.history import forking
from jobledger.adapters.client.submit.submission import keyed_id
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.lifecycle import JobState
from jobledger.core.task import ExecutionContext, InputError, Task
from jobledger.projections import forking as planning
from jobledger.projections.forking import plan_fork
from jobledger.testing import InlineClient
from support.engines import EngineHarness
from support.servers import NatsServer

ran: list[str] = []


class Load(Task):
    path: str

    def execute(self, context: ExecutionContext) -> str:
        ran.append(f"load {self.path}")
        context.job_cache[f"loaded/{self.path}"] = self.path.encode()
        context.current_task.display = self.path
        if self.path == "missing":
            raise FileNotFoundError(self.path)
        return self.path.upper()


class Join(Task):
    def execute(self, context: ExecutionContext) -> list[str]:
        ran.append("join")
        return sorted(value.decode() for _, value in context.job_cache.group("loaded").items())


class Import(Task):
    paths: list[str]

    def execute(self, context: ExecutionContext) -> None:
        ran.append("import")
        loads = context.submit_subtasks([Load(path) for path in self.paths])
        context.submit_subtask(Join(), depends_on=loads)


class Blob(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        ran.append("blob")
        return self.text * 2


TASKS = [Import, Load, Join, Blob]


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def run(client: Client, *paths: str, name: str = "importing", **options: Any) -> Any:
    job = client.jobs().submit(name, Import(list(paths)), **options)
    go_on(client)
    return job.refresh()


def go_on(client: Client) -> None:
    client.runner(tasks=TASKS).run_all()


# -- what it is for -----------------------------------------------------------------------------------------------


def test_a_failed_job_goes_on_with_another_input(client: Client) -> None:
    job = run(client, "a", "missing")
    assert job.state is JobState.FAILED
    fork = client.jobs().fork(job, tasks={2: Load("b")})
    assert fork.state is JobState.STARTED
    ran.clear()
    go_on(client)
    assert ran == ["load b", "join"]
    assert fork.wait().state is JobState.COMPLETED
    assert fork.tasks[1].result == "A", "what was computed is kept, with its result"
    assert fork.tasks[3].result == ["a", "b", "missing"], "and what it had put into the cache"
    assert job.refresh().state is JobState.FAILED, "the old job is as it was"
    spans = [(span.name, span.task) for span in client.jobs().query_spans(fork)]
    assert spans == [("job/importing", None), ("task/Load", 2), ("task/Join", 3)], "of what ran here"


def test_it_says_where_it_comes_from(client: Client) -> None:
    job = run(client, "a", labels={"team": "maps"})
    fork = client.jobs().fork(job)
    last = job.history[-1]
    assert fork.origin is not None
    assert (fork.origin.job, fork.origin.position, fork.origin.version) == (
        str(job.id),
        last.position,
        last.version,
    )
    assert fork.tasks[1].origin == (str(job.id), 1)
    assert f"forked from job {job.id} as of its version {last.version}" in fork.history[1].text
    assert (fork.name, fork.labels) == ("importing", {"team": "maps"})
    assert str(job.id) in fork._repr_mimebundle_()["text/plain"]


def test_options_of_its_own(client: Client) -> None:
    job = run(client, "a", labels={"team": "maps"})
    fork = client.jobs().fork(
        job,
        tasks={0: Import(["b"])},
        name="again",
        labels={},
        deadline=3600,
        on_failure="continue",
        force=True,
    )
    assert (fork.name, fork.labels, fork.on_failure, fork.force) == ("again", {}, "continue", True)
    assert fork.deadline is not None


def test_from_any_point(client: Client) -> None:
    """One runner claims a task when it reports the one before: between two commits something always runs."""
    job = run(client, "a", "b")
    for entry in job.history:
        fork = client.jobs().fork(job, at=entry.position, requeue_running=True)
        there = job.at(entry.position)
        kept = [task.number for task in there.tasks if task.state.name == "COMPUTED"]
        assert [task.number for task in fork.tasks if task.origin] == kept
    at_time = client.jobs().fork(job, at=job.submitted_at)
    assert [task.state.name for task in at_time.tasks] == ["QUEUED"]
    go_on(client)
    assert at_time.wait().state is JobState.COMPLETED


def test_a_job_as_it_was_is_forked_as_it_was(client: Client) -> None:
    job = run(client, "a")
    fork = client.jobs().fork(job.at(job.submitted_at))
    assert [task.state.name for task in fork.tasks] == ["QUEUED"]
    with pytest.raises(ArgumentError, match="each name a moment"):
        client.jobs().fork(job.at(job.submitted_at), at=job.history[-1].position)
    client.jobs().cancel(fork)


def test_json_data_is_an_input_too(client: Client) -> None:
    job = run(client, "a", "missing")
    fork = client.jobs().fork(job, tasks={job.tasks[2]: "b"})
    go_on(client)
    assert fork.wait().tasks[2].result == "B"


def test_whatever_the_old_job_is(client: Client) -> None:
    canceled = client.jobs().submit("importing", Import(["a"]))
    client.jobs().cancel(canceled)
    fork = client.jobs().fork(canceled)
    again = client.jobs().fork(fork)
    go_on(client)
    assert [job.wait().state for job in (fork, again)] == [JobState.COMPLETED] * 2
    assert again.origin is not None
    assert again.origin.job == str(fork.id)
    assert client.jobs().fork(again, tasks={1: Load("z")}).state is JobState.STARTED


def test_an_inline_client_forks(client: Client) -> None:
    inline = InlineClient()
    job = inline.run(Import(["a", "missing"]), Load, Join)
    fork = inline.jobs().fork(job, tasks={2: Load("b")})
    inline.runner(tasks=TASKS).run_all()
    assert fork.refresh().state is JobState.COMPLETED
    assert inline.submitted == [job, fork]


async def forking_asynchronously(url: str, namespace: str, job_id: UUID) -> tuple[str, str]:
    async with AsyncClient(url, namespace=namespace) as client:
        fork = await client.jobs().fork(job_id, tasks={2: Load("b")})
        assert fork.origin is not None
        return fork.origin.job, fork.state.name


def test_an_asynchronous_client_forks(client: Client, nats_server: NatsServer, names: Names) -> None:
    job = run(client, "a", "missing")
    forked = asyncio.run(forking_asynchronously(nats_server.url, names.namespace, job.id))
    assert forked == (str(job.id), "STARTED")


# -- it needs nothing of the old job ------------------------------------------------------------------------------


def test_it_outlives_the_old_job(client: Client) -> None:
    text = "x" * 200_000
    job = client.jobs().submit("blobs", [Blob(text), Blob("y" * 200_000)])
    go_on(client)
    fork = client.jobs().fork(job, tasks={1: Blob("z" * 300_000)})
    client.jobs().delete(job)
    ran.clear()
    go_on(client)
    assert ran == ["blob"]
    assert fork.wait().result == [text * 2, "z" * 600_000]
    assert fork.tasks[0].input_json == text
    again = client.jobs().fork(fork)
    client.jobs().delete(fork)
    assert again.result[0] == text * 2


def test_a_deleted_job_is_forked_as_it_was_before(client: Client) -> None:
    job = run(client, "a")
    client.jobs().delete(job)
    with pytest.raises(NotFoundError, match="was deleted"):
        client.jobs().fork(job)
    position = shared_portal().run(client._session.read(str(job.id)))[-2].position
    fork = client.jobs().fork(job, at=position)
    assert fork.state is JobState.COMPLETED


def test_a_sealed_job_is_not_forked(client: Client) -> None:
    job = client.jobs().submit("secret", Blob("x"), encrypt=True)
    go_on(client)
    with pytest.raises(ArgumentError, match=r"is sealed: .* Submit its tasks anew"):
        client.jobs().fork(job)
    assert not client.jobs().diff(job, client.jobs().find(job.id))


def test_large_values_that_are_gone_are_missed(client: Client) -> None:
    job = client.jobs().submit("blobs", Blob("x" * 200_000))
    go_on(client)
    client.jobs().delete(job)
    position = shared_portal().run(client._session.read(str(job.id)))[-2].position
    with pytest.raises(NotFoundError, match="object"):
        client.jobs().fork(job, at=position)


# -- all or nothing -----------------------------------------------------------------------------------------------


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(*args: Any, **options: Any) -> planning.Fork:
        return plan_fork(*args, **options, part=1)

    monkeypatch.setattr(forking, "plan_fork", plan)


class Interrupted(Exception):
    pass


@pytest.mark.usefixtures("in_small_parts")
def test_a_fork_is_there_once_all_of_it_is_and_whoever_is_interrupted_repeats_it(
    client: Client,
    engine: EngineHarness,
    nats_server: NatsServer,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = run(client, "a", "b", "missing")
    sent: list[str] = []

    async def interrupted(session: Any, command: Any) -> Any:
        if isinstance(command, c.ForkJob):
            raise Interrupted
        sent.append(command.job_id)
        return await requests.do(session, command)

    monkeypatch.setattr(forking, "do", interrupted)
    with pytest.raises(Interrupted):
        client.jobs().fork(job, tasks={3: Load("c")}, idempotency_key="once")
    monkeypatch.undo()

    fork_id = keyed_id(names.namespace, "once")
    assert sent == [str(fork_id)] * len(sent)
    assert len(sent) > 2
    ran.clear()
    go_on(client)
    assert ran == [], "nothing of it runs"
    for look in (client.jobs().find, client.jobs().cancel, client.jobs().delete):
        with pytest.raises(NotFoundError):
            look(fork_id)

    engine.stop()  # another one finds the parts in the log
    other = EngineHarness(nats_server.url, names).wait_ready()
    fork = client.jobs().fork(job, tasks={3: Load("c")}, idempotency_key="once")
    assert fork.id == fork_id
    go_on(client)
    assert ran == ["load c", "join"]
    assert client.jobs().fork(job, tasks={3: Load("c")}, idempotency_key="once") == fork
    with pytest.raises(ArgumentError, match="forked from something else"):
        client.jobs().fork(job, tasks={3: Load("d")}, idempotency_key="once")
    other.stop()


@pytest.mark.usefixtures("in_small_parts")
def test_what_a_fork_has_cached_stays_when_it_is_asked_for_again(client: Client) -> None:
    job = run(client, "a", "missing")
    fork = client.jobs().fork(job, tasks={2: Load("b")}, idempotency_key="once")
    go_on(client)
    assert client.jobs().fork(job, tasks={2: Load("b")}, idempotency_key="once") == fork
    assert fork.wait().tasks[3].result == ["a", "b", "missing"]


# -- what makes no sense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"tasks": {9: Load("b")}}, ArgumentError, r"tasks\[9\] .* had 4 tasks, 0 to 3"),
        ({"tasks": {-1: Load("b")}}, ArgumentError, r"tasks\[-1\] .* had 4 tasks"),
        ({"tasks": {"1": Load("b")}}, ArgumentError, r"tasks\['1'\] names no task"),
        ({"tasks": {True: Load("b")}}, ArgumentError, "names no task"),
        ({"tasks": [Load("b")]}, ArgumentError, "is no dict"),
        ({"tasks": {1: Join()}}, ArgumentError, r"tasks\[1\] is a Join, and task 1 .* is a Load"),
        ({"tasks": {1: Load}}, InputError, r"tasks\[1\] is the class Load: pass an instance"),
        ({"tasks": {1: Load(7)}}, InputError, r"tasks\[1\]: Load.path does not take 7"),  # type: ignore[arg-type]
        ({"tasks": {1: object()}}, InputError, r"tasks\[1\]=.* is no JSON data"),
        ({"tasks": {3: 5}}, InputError, r"tasks\[3\]=5: task 3 is a Join, which has no input"),
        ({"tasks": {0: Import([]), 1: Load("b")}}, ArgumentError, r"tasks\[1\] .* submitted anew"),
        ({"at": 0}, ArgumentError, "positions count from 1"),
        ({"at": 10**9}, ArgumentError, "beyond the end of the log"),
        ({"at": "yesterday"}, ArgumentError, "neither a position"),
        ({"name": ""}, ArgumentError, "name=''"),
        ({"labels": 5}, ArgumentError, "labels=5"),
        ({"on_failure": "stop"}, ArgumentError, "on_failure='stop'"),
        ({"force": 1}, ArgumentError, "force=1"),
        ({"requeue_running": None}, ArgumentError, "requeue_running=None"),
        ({"deadline": -5}, ArgumentError, "deadline"),
        ({"idempotency_key": ""}, ArgumentError, "idempotency_key"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_started(
    old: tuple[Client, Any], options: dict[str, Any], error: type[Exception], told: str
) -> None:
    client, job = old
    with pytest.raises(error, match=told):
        client.jobs().fork(job, **options)


def test_there_must_be_a_job(old: tuple[Client, Any]) -> None:
    client, job = old
    with pytest.raises(ArgumentError, match="not a job"):
        client.jobs().fork("x")
    with pytest.raises(NotFoundError):
        client.jobs().fork(UUID(int=1))
    with pytest.raises(NotFoundError, match="did not exist"):
        client.jobs().fork(job, at=1)
    with pytest.raises(ArgumentError, match="is a task of job"):
        client.jobs().fork(job, tasks={run(client, "b").tasks[1]: Load("b")})


def test_a_moment_at_which_tasks_ran_is_refused(old: tuple[Client, Any]) -> None:
    client, job = old
    claimed = next(entry for entry in job.history if "claimed" in entry.text)
    with pytest.raises(ArgumentError, match=r"task 0 \(Import\) .* was running.*requeue_running") as refused:
        client.jobs().fork(job, at=claimed.position)
    before, behind = (f"position {job.history[0].position + further}" for further in (0, 2))
    assert str(refused.value).endswith(f". Nothing was running at {before} and at {behind}")


@pytest.fixture(scope="module")
def old() -> tuple[InlineClient, Any]:
    """A job that nobody changes, behind another one in its log."""
    client = InlineClient()
    client.run(Join())
    return client, client.run(Import(["a", "b"]), Load, Join)

"""Whole jobs of users with few rights, over TLS with certificates on both sides, in a log of two partitions: every program
finds all it needs in the file that `jobledger access` wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from jobledger import Client
from jobledger.adapters.nats.asking import NotAllowed
from jobledger.core.errors import KeyUnavailable
from jobledger.data import JobState
from support import secured_tasks as t
from support.secured import NAMESPACE, SecuredServer, complaints
from support.waiting import eventually

RUNNERS = ("runner.gpu.g1", "runner.cpu.c1")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredServer]:
    folder = tmp_path_factory.mktemp("whole")
    server = SecuredServer(folder).start()
    try:
        server.serve("engine.e", "engine", "--partitions", "2")
        server.serve("projector.p", "projector", "--store", f"sqlite:///{folder}/views.sqlite3")
        server.serve("publisher.f", "feed", "run")
        with Client(server.url, namespace=NAMESPACE, **server.login("client.c")) as client:
            for who in RUNNERS:
                cluster = who.split(".")[1]
                client.clusters().create(cluster, slug=cluster)
                server.serve(who, "runner", "start", "support.secured_tasks:runner", "--cluster", cluster)
        yield server
    finally:
        said = server.stop()
    assert complaints(said) == {}


@pytest.fixture
def as_user(site: SecuredServer) -> Iterator[Callable[[str], Client]]:
    """Make clients that log in as a user."""
    clients = []

    def client(who: str) -> Client:
        clients.append(Client(site.url, namespace=NAMESPACE, patience=20, **site.login(who)))
        return clients[-1]

    yield client
    for one in clients:
        one.close()


AsUser = Callable[[str], Client]


def test_a_job_of_two_clusters_runs_with_all_it_needs(as_user: AsUser) -> None:
    client, auditor = as_user("client.c"), as_user("auditor.a")
    jobs = [client.jobs().submit("whole", t.Root(), cluster="gpu") for _ in range(4)]  # in both partitions
    for job in jobs:
        assert job.wait(30).state is JobState.COMPLETED, [task.error for task in job.tasks]
        assert job.tasks[-1].result == t.TOTAL
    seen = auditor.jobs().find(jobs[0].id)
    assert seen.state is JobState.COMPLETED
    assert seen.tasks[1].result == jobs[0].tasks[1].result
    assert auditor.audit().verify().ok
    assert eventually(lambda: [line.body for line in client.jobs().query_logs(jobs[0])] == ["a leaf"] * 2)
    assert {job.id for job in auditor.jobs().query(limit=10)} >= {job.id for job in jobs}


def test_a_program_finds_server_login_and_namespace_in_its_environment(
    site: SecuredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in site.variables("client.c").items():
        monkeypatch.setenv(name, value)
    with Client() as client:
        job = client.jobs().submit("by the environment", t.Leaf(1), cluster="gpu")
        assert job.wait(30).state is JobState.COMPLETED


def test_jobs_are_followed_by_who_may_read_them(as_user: AsUser) -> None:
    heard: list[str] = []
    with as_user("auditor.a").jobs().subscribe(lambda change: heard.append(change.name)):
        as_user("client.c").jobs().submit("followed", t.Leaf(1), cluster="gpu")
        assert eventually(lambda: "followed" in heard)


def test_what_runs_is_stopped_at_once_when_it_is_canceled(as_user: AsUser) -> None:
    client = as_user("client.c")
    job = client.jobs().submit("long", t.Waits(), cluster="gpu")
    eventually(lambda: job.tasks[0].state.name == "RUNNING")
    client.jobs().cancel(job, reason="not wanted any more")
    assert eventually(lambda: job.settled)
    assert job.state is JobState.CANCELED


def test_a_sealed_job_is_read_by_its_client_and_by_no_auditor(as_user: AsUser) -> None:
    client, auditor = as_user("client.c"), as_user("auditor.a")
    job = client.jobs().submit("secret", t.Leaf(1), cluster="gpu", encrypt=True).wait(30)
    assert job.tasks[0].result == "y" * 10
    with pytest.raises(KeyUnavailable):
        _ = auditor.jobs().find(job.id).tasks[0].result


def test_auditors_and_runners_are_told_what_they_may_not_do(as_user: AsUser) -> None:
    job = as_user("client.c").jobs().submit("whole", t.Leaf(1), cluster="gpu").wait(30)
    auditor, runner, figures = as_user("auditor.a"), as_user("runner.cpu.c1"), as_user("metrics.m")
    for attempt in (
        lambda: auditor.jobs().submit("mine", t.Leaf(1)),
        lambda: auditor.jobs().delete(job.id),
        lambda: auditor.clusters().create("mine"),
        lambda: runner.jobs().find(job.id),
        lambda: runner.jobs().submit("mine", t.Leaf(1)),
        lambda: runner.clusters().create("mine"),
        lambda: figures.jobs().find(job.id),
    ):
        with pytest.raises(NotAllowed):
            attempt()


def test_figures_are_read_by_who_is_there_for_them(site: SecuredServer) -> None:
    program = site.run("metrics.m", "-m", "jobledger.adapters.cli", "metrics")
    said, _ = program.communicate(timeout=20)
    assert program.returncode == 0, said
    assert 'jobledger_processes{kind="engine"' in said or "jobledger_tasks" in said, said


def test_the_feed_is_heard_by_its_subscribers(site: SecuredServer, as_user: AsUser) -> None:
    import asyncio

    from jobledger.adapters.nats.connection import open_connection
    from jobledger.adapters.nats.names import Names

    async def hear() -> dict[str, object]:
        connection = await open_connection(site.endpoint("subscriber.s"), name="a subscriber")
        try:
            heard = await connection.subscribe(Names(NAMESPACE).feed_subjects)
            await connection.flush()
            await asyncio.to_thread(as_user("client.c").jobs().submit, "heard", t.Leaf(1), cluster="gpu")
            event: dict[str, object] = json.loads((await heard.next_msg(20)).data)
            return event
        finally:
            await connection.close()

    assert asyncio.run(hear())["specversion"] == "1.0"


def test_users_that_go_by_the_gate_wait_for_an_engine(site: SecuredServer, as_user: AsUser) -> None:
    client = as_user("client.c")
    job = client.jobs().submit("before", t.Leaf(1), cluster="gpu").wait(30)
    site.restart("engine.e")
    assert client.jobs().find(job.id).state is JobState.COMPLETED
    assert client.jobs().submit("after", t.Leaf(1), cluster="gpu").wait(30).state is JobState.COMPLETED

"""Clusters: made, found, changed and deleted by clients, without an engine; and where a task or a runner needs one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobledger import ArgumentError, Client, ExecutionContext, NotFoundError, ServerUnavailable, Task
from jobledger.adapters.client.client import AsyncClient
from jobledger.adapters.client.clusters import ClusterClient
from jobledger.adapters.nats.clusters import Change, append_change, decode_change, encode_change
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import RecordError
from jobledger.adapters.nats.streams import StreamSettingsError, log_settings
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.views.run import run_projector
from jobledger.core.clusters import ClusterCreated, ClusterDeleted, ClusterUpdated
from jobledger.core.events import UnknownEvent
from jobledger.data import JobState
from jobledger.errors import JobLedgerError
from jobledger.projections.clusters import Cluster
from support.engines import BareRunner, EngineHarness
from support.relay import Relay
from support.servers import NatsServer
from support.waiting import eventually

Connect = Callable[..., Client]


class Add(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None: ...


class Scatter(Task):
    cluster: str

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Add(1))
        context.submit_subtask(Add(2), cluster=self.cluster)


@pytest.fixture
def connect(nats_server: NatsServer, names: Names) -> Iterator[Connect]:
    """Connect a client, to this test's namespace, on which no engine serves."""
    clients: list[Client] = []

    def connected(url: str = nats_server.url, **options: object) -> Client:
        clients.append(Client(url, namespace=names.namespace, **options))  # type: ignore[arg-type]
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def lone_client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def clusters(lone_client: Client) -> ClusterClient:
    return lone_client.clusters()


# -- life -------------------------------------------------------------------------------------------------------------


def test_at_first_there_is_the_default_cluster(clusters: ClusterClient) -> None:
    default = Cluster("default", "default", "", deletable=False, created_at=None)
    assert clusters.all() == [default]
    assert clusters.find("default") == clusters.find("") == clusters.find(default) == default
    assert clusters.history(default) == []


def test_a_cluster_is_created_found_changed_and_deleted(clusters: ClusterClient) -> None:
    created = clusters.create("GPU pool", "two cards each", slug="gpu")
    assert created.created_at is not None
    assert timedelta(0) <= datetime.now(UTC) - created.created_at < timedelta(minutes=1)
    assert created == Cluster("gpu", "GPU pool", "two cards each", True, created.created_at)
    assert clusters.find("gpu") == clusters.find(created) == created
    assert [cluster.slug for cluster in clusters.all()] == ["default", "gpu"]

    changed = clusters.update(created, description="four cards each")
    assert changed == Cluster("gpu", "GPU pool", "four cards each", True, created.created_at)
    assert clusters.update("gpu", name="GPUs", description="").display_name == "GPUs"
    assert clusters.find("gpu").description == ""

    clusters.delete(created, force=True)
    assert [str(cluster) for cluster in clusters.all()] == ["default"]
    for use in (clusters.find, clusters.delete, lambda slug: clusters.update(slug, name="x")):
        with pytest.raises(
            NotFoundError, match=r"no cluster 'gpu' any more: it was deleted\. There are 'default'"
        ):
            use("gpu")


def test_a_slug_is_made_of_the_name_unless_one_is_given(clusters: ClusterClient) -> None:
    first, second = clusters.create("GPU pool"), clusters.create("GPU pool")
    assert first.slug.startswith("gpu-pool-")
    assert second.slug.startswith("gpu-pool-")
    assert first.slug != second.slug


def test_who_changed_a_cluster_and_when_is_kept_also_when_it_is_gone(clusters: ClusterClient) -> None:
    clusters.create("GPU pool", "two\ncards " + 80 * "x", slug="gpu")
    clusters.update("gpu", name="GPUs", description="")
    clusters.update("gpu", description="one card")
    clusters.delete("gpu", force=True)
    clusters.create("again", slug="gpu")
    history = clusters.history("gpu")
    assert [entry.version for entry in history] == [1, 2, 3, 4, 5]
    assert history == sorted(history, key=lambda entry: entry.at)
    assert [entry.text for entry in history] == [
        f"created as 'GPU pool': 'two cards {70 * 'x'}…'",
        "renamed to 'GPUs', description removed",
        "described as 'one card'",
        "deleted",
        "created as 'again'",
    ]
    assert all(str(entry).endswith(f"{entry.text}, by {entry.by}") and "@" in entry.by for entry in history)
    assert clusters.find("gpu").created_at == history[-1].at


def test_what_changes_nothing_leaves_no_trace(clusters: ClusterClient) -> None:
    clusters.create("GPU pool", slug="gpu")
    clusters.update("gpu", name="GPU pool")
    assert len(clusters.history("gpu")) == 1


def test_the_default_cluster_can_be_described_and_not_deleted(clusters: ClusterClient) -> None:
    assert clusters.update("default", description="everything else").description == "everything else"
    assert clusters.find(None).description == "everything else"  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="the cluster 'default' cannot be deleted"):
        clusters.delete("default")


# -- what cannot be done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            "gpuu",
            r"no cluster 'gpuu'\. Did you mean 'gpu'\? Otherwise create it: client\.clusters\(\)\.create\('gpuu', ",
        ),
        ("GPU pool", "That is a display name; clusters are named by their slug, here 'gpu'"),
        ("GPU pol", "Did you mean 'gpu'"),
        ("elsewhere", r"There are 'c-0', .*'c-7' and 4 more: use one of them, or create it"),
        ("far away", r"create it: client\.clusters\(\)\.create\('far away'\)$"),
        ("a.b", r"no cluster 'a\.b'"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_with_what_is(
    clusters: ClusterClient, wanted: str, says: str
) -> None:
    clusters.create("GPU pool", slug="gpu")
    for number in range(10):
        clusters.create("one of many", slug=f"c-{number}")
    with pytest.raises(NotFoundError, match=says):
        clusters.find(wanted)


def test_what_cannot_be_used_is_refused_by_name(clusters: ClusterClient) -> None:
    clusters.create("GPU pool", slug="gpu")
    attempts: list[tuple[Callable[[], object], str]] = [
        (lambda: clusters.create("x", slug="gpu"), "a cluster with the slug 'gpu' already"),
        (lambda: clusters.create("x", slug="a b"), "slug='a b' cannot be the slug"),
        (lambda: clusters.create("x", slug=""), "slug='' cannot be the slug"),
        (lambda: clusters.create(" "), "name=' ' is blank"),
        (lambda: clusters.create(7), "name=7 is a int"),  # type: ignore[arg-type]
        (lambda: clusters.create("x", None), "description=None is a NoneType"),  # type: ignore[arg-type]
        (lambda: clusters.update("gpu"), "nothing to update: pass name=, description=, or both"),
        (lambda: clusters.update("gpu", name=""), "name='' is blank"),
        (lambda: clusters.find(7), "cluster=7 is a int"),  # type: ignore[arg-type]
        (lambda: clusters.find(101 * "x"), "cluster has 101 characters"),
    ]
    for use, says in attempts:
        with pytest.raises(ArgumentError, match=says):
            use()
    assert [cluster.slug for cluster in clusters.all()] == ["default", "gpu"]
    assert len(clusters.history("gpu")) == 1


def test_a_server_that_does_not_let_this_user_keep_clusters_says_so(tmp_path: Path, names: Names) -> None:
    rights = f'publish: {{ allow: ["$JS.API.INFO", "$JS.API.STREAM.INFO.{names.clusters_stream}"] }}'
    server = NatsServer(
        tmp_path,
        more_configuration=f"authorization {{ users: [{{ user: u, password: p, permissions: {{ {rights} }} }}] }}",
    ).start()
    try:
        with Client(server.url, namespace=names.namespace, user="u", password="p") as client:
            assert [cluster.slug for cluster in client.clusters().all()] == ["default"]
            with pytest.raises(ServerUnavailable, match=r"may not do that .*permissions violation.*Grant it"):
                client.clusters().create("GPU pool")
    finally:
        server.stop()


def test_a_stream_that_would_forget_is_not_used(connect: Connect, names: Names) -> None:
    client = connect()
    clusters = client.clusters()
    forgetful = log_settings(names.clusters_stream, [names.cluster_subjects])
    forgetful.max_age = 3600
    link = shared_portal().run(client._session.link())
    shared_portal().run(link.nc.jetstream().add_stream(forgetful))
    with pytest.raises(StreamSettingsError, match="max_age"):
        clusters.create("GPU pool")


# -- several at a time ------------------------------------------------------------------------------------------------


def test_of_several_who_create_the_same_slug_one_succeeds(connect: Connect) -> None:
    gate = threading.Barrier(6)

    def create(number: int) -> str:
        clusters = connect().clusters()
        gate.wait(10)
        with contextlib.suppress(ArgumentError):
            return clusters.create(f"number {number}", slug="gpu").display_name
        return ""

    with ThreadPoolExecutor(6) as threads:
        created = [name for name in threads.map(create, range(6)) if name]
    (entry,) = connect().clusters().history("gpu")
    assert created == [entry.event.name]  # type: ignore[union-attr]


def test_of_changes_at_the_same_time_none_is_lost(connect: Connect) -> None:
    connect().clusters().create("GPU pool", slug="gpu")
    gate = threading.Barrier(6)

    def update(number: int) -> None:
        clusters = connect().clusters()
        gate.wait(10)
        clusters.update("gpu", description=f"by {number}")

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(update, range(6)))
    history = connect().clusters().history("gpu")
    assert {entry.text for entry in history[1:]} == {f"described as 'by {number}'" for number in range(6)}
    assert [entry.version for entry in history] == list(range(1, 8))


def test_a_change_whose_acknowledgement_is_lost_is_made_once(
    nats_server: NatsServer, connect: Connect, names: Names
) -> None:
    direct = connect().clusters()
    with Relay(nats_server.port) as relay, ThreadPoolExecutor(1) as threads:
        clusters = connect(relay.url).clusters()
        relay.lose_answers(to=f"HPUB {names.cluster_subject('gpu')} ".encode())
        creating = threads.submit(clusters.create, "GPU pool", slug="gpu")
        assert relay.lost.wait(10)
        eventually(lambda: direct.history("gpu") if len(direct.all()) > 1 else [])
        relay.mend()
        assert creating.result(20).slug == "gpu"
    assert [entry.text for entry in direct.history("gpu")] == ["created as 'GPU pool'"]


def test_a_server_that_is_away_is_waited_for(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path).start()
    with Client(server.url, namespace=names.namespace) as client, ThreadPoolExecutor(1) as threads:
        client.clusters().create("GPU pool", slug="gpu")
        server.kill()
        creating = threads.submit(client.clusters().create, "another", slug="other")
        server.start()
        assert creating.result(20).slug == "other"
        assert [str(cluster) for cluster in client.clusters().all()] == ["default", "gpu", "other"]
    server.stop()


def test_a_server_that_comes_back_without_its_data_has_no_clusters(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path).start()
    with Client(server.url, namespace=names.namespace) as client:
        client.clusters().create("GPU pool", slug="gpu")
        server.stop()
        shutil.rmtree(tmp_path / "jetstream")
        server.start()
        assert [str(cluster) for cluster in client.clusters().all()] == ["default"]
        assert client.clusters().create("GPU pool", slug="gpu").slug == "gpu"
    server.stop()


def test_a_server_that_stays_away_is_told(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path).start()
    with Client(server.url, namespace=names.namespace, patience=0.2) as client:
        client.clusters().all()
        server.kill()
        with pytest.raises(ServerUnavailable):
            client.clusters().all()


def test_the_same_words_awaited(nats_server: NatsServer, names: Names) -> None:
    async def main() -> None:
        async with AsyncClient(nats_server.url, namespace=names.namespace) as client:
            clusters = client.clusters()
            gpu = await clusters.create("GPU pool", slug="gpu")
            assert await clusters.find("gpu") == gpu
            assert (await clusters.update(gpu, name="GPUs")).display_name == "GPUs"
            await clusters.delete(gpu, force=True)
            assert [str(cluster) for cluster in await clusters.all()] == ["default"]
            assert len(await clusters.history("gpu")) == 3

    asyncio.run(main())


# -- what is in use ---------------------------------------------------------------------------------------------------


@pytest.fixture
def projector(nats_server: NatsServer, names: Names, engine: EngineHarness, tmp_path: Path) -> Iterator[None]:
    """What answers questions across jobs, on an event loop of its own."""
    ready = threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    view = f"sqlite:///{tmp_path}/jobs.sqlite3"
    work = run_projector(Endpoint(nats_server.url), names.namespace, view, stop=stop, on_ready=ready.set)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(work)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.usefixtures("projector")
def test_a_cluster_is_not_deleted_while_tasks_wait_there(client: Client) -> None:
    clusters, jobs = client.clusters(), client.jobs()
    for slug in ("gpu", "cpu", "idle"):
        clusters.create(slug, slug=slug)
    job = jobs.submit("needs both", [Add(1), Add(2), Add(3)], cluster=["gpu", "gpu", "cpu"])
    with pytest.raises(
        ArgumentError, match=rf"'gpu' was not deleted: 2 of the tasks of job 'needs both' \({job.id}\)"
    ):
        clusters.delete("gpu")
    clusters.delete("idle")

    client.runner(cluster="gpu", tasks=[Add]).run_all()
    assert job.state is JobState.STARTED
    clusters.delete("gpu")  # nothing of the job is left there
    with pytest.raises(ArgumentError, match="'cpu' was not deleted: 1 of the tasks"):
        clusters.delete("cpu")
    jobs.cancel(job)
    clusters.delete("cpu")
    assert [str(cluster) for cluster in clusters.all()] == ["default"]


@pytest.mark.usefixtures("projector")
def test_a_cluster_is_not_deleted_under_a_running_task_unless_forced(client: Client) -> None:
    clusters = client.clusters()
    clusters.create("GPU pool", slug="gpu")
    job = client.jobs().submit("runs", Add(1), cluster="gpu")
    link = shared_portal().run(client._session.link())
    claimed = BareRunner(link, "Add", cluster="gpu", version=(0, 0)).claim()
    assert len(claimed) == 1
    client.jobs().cancel(job)  # which does not end it
    with pytest.raises(ArgumentError, match="1 of the tasks of job 'runs'"):
        clusters.delete("gpu")
    clusters.delete("gpu", force=True)
    with pytest.raises(NotFoundError):
        clusters.find("gpu")


def test_where_nobody_can_tell_a_cluster_is_deleted_by_force_only(
    connect: Connect, engine: EngineHarness
) -> None:
    clusters = connect(patience=0.1).clusters()
    clusters.create("GPU pool", slug="gpu")
    with pytest.raises(
        ServerUnavailable, match=r"'gpu' was not deleted, as it is not known .*force=True\) does not"
    ):
        clusters.delete("gpu")
    clusters.delete("gpu", force=True)


# -- where one is needed ----------------------------------------------------------------------------------------------


def test_nothing_is_sent_to_a_cluster_that_is_not_there(client: Client) -> None:
    client.clusters().create("GPU pool", slug="gpu")
    for cluster, tasks in (("gpuu", Add(1)), (["gpu", "gpuu"], [Add(1), Add(2)])):
        with pytest.raises(NotFoundError, match=r"no cluster 'gpuu'\. Did you mean 'gpu'"):
            client.jobs().submit("lost", tasks, cluster=cluster)
    with pytest.raises(NotFoundError, match="no cluster 'gpuu'"):
        client.runner(cluster="gpuu", tasks=[Add])

    job = client.jobs().submit("sent", [Add(1), Add(2)], cluster=[client.clusters().find("gpu"), None])
    assert [task.cluster for task in job.tasks] == ["gpu", "default"]
    client.runner(cluster=client.clusters().find("gpu"), tasks=[Add]).run_all()
    client.runner(tasks=[Add]).run_all()
    assert job.state is JobState.COMPLETED


def test_a_task_that_sends_a_subtask_to_no_cluster_fails_and_says_why(client: Client) -> None:
    client.clusters().create("GPU pool", slug="gpu")
    lost, sent = client.jobs().submit("lost", Scatter("gpuu")), client.jobs().submit("sent", Scatter("gpu"))
    client.runner(tasks=[Scatter, Add]).run_all()
    assert lost.state is JobState.FAILED
    assert len(lost.tasks) == 1  # the subtask that was submitted before the failure is none
    assert lost.error is not None
    assert lost.error.reason == "NotFoundError"
    assert lost.error.message.startswith(
        "there is no cluster 'gpuu'. Did you mean 'gpu'? Otherwise create it: "
    )
    assert [task.cluster for task in sent.tasks] == ["default", "default", "gpu"]


def test_nobody_sends_to_a_cluster_that_somebody_else_has_deleted(client: Client, connect: Connect) -> None:
    somebody_else = connect().clusters()
    somebody_else.create("GPU pool", slug="gpu")
    client.runner(cluster="gpu", tasks=[Add])
    somebody_else.delete("gpu", force=True)

    def refused() -> bool:
        try:
            client.runner(cluster="gpu", tasks=[Add])
        except NotFoundError as error:
            return "any more" in str(error)
        return False

    eventually(refused)
    somebody_else.create("GPU pool", slug="gpu")
    client.runner(cluster="gpu", tasks=[Add])


def test_a_runner_made_before_its_cluster_was_deleted_is_not_started(client: Client) -> None:
    client.clusters().create("GPU pool", slug="gpu")
    runner = client.runner(cluster="gpu", tasks=[Add])
    client.clusters().delete("gpu", force=True)
    with pytest.raises(NotFoundError, match="no cluster 'gpu' any more"):
        runner.run_all()


def test_a_known_cluster_costs_no_request_and_the_default_one_never_does(connect: Connect) -> None:
    client = connect()
    client.clusters().create("GPU pool", slug="gpu")
    client.runner(cluster="gpu", tasks=[Add])
    link = shared_portal().run(client._session.link())
    before = link.nc.stats["out_msgs"]
    for cluster in ("gpu", "default", "", None):
        client.runner(cluster=cluster, tasks=[Add])
    assert link.nc.stats["out_msgs"] == before


def test_what_is_known_is_read_anew_after_the_connection_broke(
    nats_server: NatsServer, connect: Connect
) -> None:
    direct = connect().clusters()
    direct.create("GPU pool", slug="gpu")
    with Relay(nats_server.port) as relay:
        client = connect(relay.url)
        client.runner(cluster="gpu", tasks=[Add])
        relay.lose_answers()  # so that it does not hear of the deletion
        direct.delete("gpu", force=True)
        assert relay.lost.wait(10)
        relay.mend()
        link = shared_portal().run(client._session.link())
        eventually(lambda: link.nc.stats["reconnects"] and link.nc.is_connected)
        with pytest.raises(NotFoundError, match="no cluster 'gpu' any more"):
            client.runner(cluster="gpu", tasks=[Add])
        client.close()


# -- bytes ------------------------------------------------------------------------------------------------------------


CHANGES = {
    "created": Change(bytes(16), 5, "me@here", ClusterCreated("GPU pool", "fast")),
    "updated": Change(bytes(16), 5, "me@here", ClusterUpdated(None, "slow")),
    "deleted": Change(bytes(16), 5, "", ClusterDeleted()),
    "from a later version": Change(bytes(16), 5, "", UnknownEvent(99, ["x", 1])),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_read_as_it_was_written(change: Change) -> None:
    event = change.event
    written = (
        Change(change.id, change.at, change.by, [99, "x", 1]) if isinstance(event, UnknownEvent) else change
    )
    assert decode_change(encode_change(3, written)) == (3, change)


def test_the_bytes_of_a_change_never_change() -> None:
    assert encode_change(1, CHANGES["created"]).hex() == (
        "940101b46a6f626c65646765722e636c75737465722e7631c42c94c41000000000000000000000000000000000"
        "05a76d6540686572659301a847505520706f6f6ca466617374"
    )


@pytest.mark.parametrize("payload", [b"", b"x", encode_change(1, CHANGES["created"])[:-3]])
def test_what_is_no_change_is_refused(payload: bytes) -> None:
    with pytest.raises(RecordError):
        decode_change(payload)


def test_what_a_later_version_wrote_is_shown_and_changes_nothing(connect: Connect, names: Names) -> None:
    client = connect()
    clusters = client.clusters()
    clusters.create("GPU pool", slug="gpu")
    link = shared_portal().run(client._session.link())
    later = Change(bytes(16), 5, "", [99, "x"])
    shared_portal().run(append_change(link.nc, names, "gpu", 2, later, after=1))
    assert clusters.find("gpu").display_name == "GPU pool"
    assert clusters.history("gpu")[1].text == "event 99, which a later version of jobledger wrote"


def test_a_damaged_history_is_told_by_its_position(connect: Connect, names: Names) -> None:
    client = connect()
    client.clusters().create("GPU pool", slug="gpu")
    link = shared_portal().run(client._session.link())
    shared_portal().run(link.nc.jetstream().publish(names.cluster_subject("gpu"), b"rubbish"))
    with pytest.raises(JobLedgerError, match="damaged at position 2, in cluster 'gpu'"):
        client.clusters().all()

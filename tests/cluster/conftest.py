"""Three servers for all tests of this folder, each of which leaves them running and caught up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from cluster.deployed import PASSWORD, USER, authority_of, nodes
from faults import tasks
from faults.record import Record
from jobledger import Client
from jobledger.adapters.nats.asking import jetstream
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.core.errors import JobLedgerError
from support.processes import PythonProcess
from support.waiting import eventually

ELECTION = 60.0  # seconds; up to nine where nothing else runs


class Three:
    """The cluster, and how it stands."""

    def __init__(self, folder: Path) -> None:
        self.servers = nodes(folder)
        self.first = next(iter(self.servers))
        self._ca = authority_of(folder)
        for server in self.servers.values():
            server.start()
        self.url = ",".join(server.url for server in self.servers.values())

    def stop(self) -> None:
        for server in self.servers.values():
            server.kill()

    def connect(self, namespace: str, *, server: str = "", patience: float = 60.0) -> Client:
        """Return a client that knows all servers, or this one at first."""
        return Client(
            self.servers[server].url if server else self.url,
            namespace=namespace,
            patience=patience,
            user=USER,
            password=PASSWORD,
            tls_ca=self._ca,
        )

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.url, user=USER, password=PASSWORD, tls_ca=self._ca)

    def environment(self, namespace: str, *, server: str) -> dict[str, str]:
        """Return in what environment a program finds a namespace, and knows one server at first."""
        return {
            "JOBLEDGER_URL": self.servers[server].url,
            "JOBLEDGER_NAMESPACE": namespace,
            "JOBLEDGER_USER": USER,
            "JOBLEDGER_PASSWORD": PASSWORD,
            "JOBLEDGER_TLS_CA": str(self._ca),
        }

    def info(self, client: Client, stream: str) -> dict[str, Any]:
        """Return what the leader of a stream says of it; {} while there is none."""
        try:
            return shared_portal().run(jetstream(wire(client), f"STREAM.INFO.{stream}", {}))
        except (JobLedgerError, nats.errors.Error):
            return {}

    def leader(self, client: Client, stream: str) -> str:
        """Return the name of the server that leads a stream."""
        return eventually(
            lambda: str(self.info(client, stream).get("cluster", {}).get("leader", "")), ELECTION
        )

    def have_lead(self, client: Client, stream: str, name: str) -> None:
        """Have a server lead a stream."""

        def leads() -> bool:
            if self.info(client, stream).get("cluster", {}).get("leader") == name:
                return True
            with contextlib.suppress(JobLedgerError):
                wish = {"placement": {"preferred": name}}
                shared_portal().run(jetstream(wire(client), f"STREAM.LEADER.STEPDOWN.{stream}", wish))
            return False

        eventually(leads, within=ELECTION)

    def mend(self, client: Client, stream: str) -> None:
        """Start whatever does not run, and return once all three have what the stream holds."""
        for server in self.servers.values():
            if not server.alive:
                server.start()

        def whole() -> bool:
            cluster = self.info(client, stream).get("cluster", {})
            replicas = cluster.get("replicas") or []
            return bool(cluster.get("leader")) and [one["current"] for one in replicas] == [True, True]

        eventually(whole, within=ELECTION)


def wire(client: Client) -> Wire:
    return shared_portal().run(client._session.link()).nc


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Three servers that hold streams together."""
    servers = Three(tmp_path_factory.mktemp("three"))

    def serves() -> bool:
        """Electing a first leader takes the servers some seconds."""
        with contextlib.suppress(JobLedgerError), servers.connect("probe") as client:
            return bool(wire(client))
        return False

    try:
        eventually(serves, within=ELECTION)
        yield servers
    finally:
        servers.stop()


class Site:
    """One namespace with two engines and a runner, all of which know one server at first: the others tell of themselves."""

    def __init__(self, three: Three, namespace: str, record: Path, ends: ExitStack) -> None:
        self.three = three
        self.names = Names(namespace)
        self.record = Record(record)
        self._ends = ends
        self._environment = {
            **three.environment(namespace, server=three.first),
            tasks.RECORD: str(record),
        }
        self.client = self.connect()
        self.engines = [self.engine().wait_ready(), self.engine()]
        self.runner = self._start(
            "-m", "faults.runner_program", "--namespace", namespace, ready="runner ready"
        )

    def connect(self, *, patience: float = 60.0) -> Client:
        client = self.three.connect(self.names.namespace, patience=patience)
        self._ends.callback(client.close)
        return client

    def engine(self) -> PythonProcess:
        command = ("-c", "from jobledger.adapters.cli import main; main()", "engine")
        return self._start(*command, "--replicas", "3", "--partitions", "2", ready="serving namespace")

    def _start(self, *arguments: str, ready: str) -> PythonProcess:
        process = PythonProcess(*arguments, ready=ready, environment=self._environment)
        self._ends.callback(lambda: print(f"--- {' '.join(arguments)}\n{process.log}"))  # shown of a failure
        self._ends.callback(process.kill)
        return process.launch()


@pytest.fixture(scope="session")
def site(three: Three, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all tests that take servers from it."""
    with ExitStack() as ends:
        yield Site(three, "site", tmp_path_factory.mktemp("record") / "record", ends)

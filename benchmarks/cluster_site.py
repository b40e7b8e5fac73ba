"""A cluster of NATS servers on this machine, with engines and runners in processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nats.errors

from benchmarks.accounting import Usage
from benchmarks.peers.servers import process
from benchmarks.tasks import SERVED, FanOut
from jobledger import Client
from jobledger.adapters.embedded.nats_process import find_program
from jobledger.adapters.engine.partitions.fleet import look
from jobledger.adapters.link import Link
from jobledger.adapters.nats.streams import log_settings
from jobledger.adapters.portal import shared_portal
from jobledger.core.errors import JobLedgerError, ServerUnavailable

ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 60.0  # seconds until what was started serves
_LOOK = 0.05  # seconds between two looks whether it does


class Site:
    """One namespace of a cluster that runs."""

    def __init__(self, urls: str, servers: dict[str, int], namespace: str, folder: Path) -> None:
        self.urls = urls
        self.namespace = namespace
        self._servers = servers
        self._folder = folder
        self._started: dict[str, list[subprocess.Popen[bytes]]] = {"engine": [], "runner": []}
        self.client = Client(urls, namespace=namespace, name="benchmark", patience=_PATIENCE)
        self.jobs = self.client.jobs()

    @property
    def link(self) -> Link:
        return shared_portal().run(self.client._session.link())

    def engine(self, *options: str) -> subprocess.Popen[bytes]:
        """Start an engine."""
        main = "from jobledger.adapters.cli import main; main()"
        return self._start("engine", ["-c", main, "engine", *self._address, *options])

    def runner(self) -> subprocess.Popen[bytes]:
        """Start a runner."""
        return self._start("runner", ["-m", "benchmarks.cluster_site", self.urls, self.namespace])

    def owners(self) -> dict[int, str]:
        """Return the id of the engine that owns each partition. Errors: ServerUnavailable while nothing is there."""
        return shared_portal().run(look(self.link.nc, self.link.names)).owners

    def shares(self) -> list[int]:
        """Return how many partitions the engines own, the most first. Errors: as `owners`."""
        return sorted(Counter(self.owners().values()).values(), reverse=True)

    def commits(self) -> int:
        """Return how many commits the log has."""
        js = self.link.nc.jetstream()
        return shared_portal().run(js.stream_info(self.link.names.log_stream)).state.last_seq

    def until_spread(self, engines: int, partitions: int) -> float:
        """Return the seconds until each of so many engines owns its share. Errors: TimeoutError."""
        least, more = divmod(partitions, engines)
        wanted = [least + (place < more) for place in range(engines)]

        def spread() -> bool:
            ended = [one for one in self._started["engine"] if one.poll() is not None]
            if ended:
                raise RuntimeError(f"an engine ended with {ended[0].returncode}: {ended[0].args!r}")
            try:
                return self.shares() == wanted
            except ServerUnavailable:  # nothing is there yet
                return False

        return until(spread, f"{partitions} partitions to be spread over {engines} engines")

    def warm(self) -> None:
        """Return when a job has gone through."""
        self.jobs.submit("warm", FanOut(100)).wait(_PATIENCE)

    def kill(self, engine: subprocess.Popen[bytes]) -> None:
        """End an engine as a crash would."""
        engine.kill()
        engine.wait()
        self._started["engine"].remove(engine)

    def usage(self) -> Usage:
        """Return what sums up the processor time of each kind of process."""
        return Usage(
            lambda: {
                "nats-server": list(self._servers.values()),
                **{kind: [one.pid for one in started] for kind, started in self._started.items()},
                "client": [os.getpid()],
            }
        )

    def close(self) -> None:
        self.client.close()
        everyone = [one for started in self._started.values() for one in started]
        for one in everyone:
            one.send_signal(signal.SIGTERM)
        for one in everyone:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()

    @property
    def _address(self) -> list[str]:
        return ["--url", self.urls, "--namespace", self.namespace]

    def _start(self, kind: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        number = len(self._started[kind])
        with (self._folder / f"{self.namespace}-{kind}-{number}.log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._started[kind].append(started)
        return started


class Cluster:
    """Nodes that hold streams together. Every message is on the disk of a majority before it is acknowledged."""

    def __init__(self, urls: str, servers: dict[str, int], folder: Path) -> None:
        self.urls = urls
        self._servers = servers
        self._folder = folder

    @contextmanager
    def site(self, namespace: str) -> Iterator[Site]:
        site = Site(self.urls, self._servers, namespace, self._folder)
        try:
            yield site
        finally:
            site.close()


@contextmanager
def cluster(nodes: int, sync: str) -> Iterator[Cluster]:
    """Have so many nodes that can hold streams together, on free ports of 127.0.0.1.

    Shape:  `sync` is `sync_interval`, such as "always". One node is no cluster, and starts at once.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="jobledger-cluster-")))
        free = _free_ports(2 * nodes)
        ports = {f"n{number}": (free.pop(), free.pop()) for number in range(1, nodes + 1)}
        routes = ", ".join(f'"nats://127.0.0.1:{route}"' for _, route in ports.values())
        servers: dict[str, int] = {}
        for name, (port, route) in ports.items():
            together = f'cluster {{ name: "c", listen: "127.0.0.1:{route}", routes: [{routes}] }}\n'
            configuration = folder / f"{name}.conf"
            configuration.write_text(
                f'server_name: {name}\nlisten: "127.0.0.1:{port}"\nmax_payload: 8MB\n'
                f"{together if nodes > 1 else ''}"
                f'jetstream {{ store_dir: "{folder / name}", sync_interval: {sync} }}\n',
                encoding="utf-8",
            )
            command = [str(find_program()), "-c", str(configuration)]
            servers[name] = held.enter_context(process(command, folder / f"{name}.log", listening_on=port))
        urls = ",".join(f"nats://127.0.0.1:{port}" for port, _ in ports.values())
        until(lambda: _holds_streams(urls, nodes), "the nodes to elect a leader")
        yield Cluster(urls, servers, folder)


def _free_ports(count: int) -> list[int]:
    """Return ports nobody listens on, each another one: found while all of them are held."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def until(found: Callable[[], bool], what: str) -> float:
    """Return the seconds until `found` says so. Errors: TimeoutError."""
    began = time.perf_counter()
    while not found():
        if time.perf_counter() - began > _PATIENCE:
            raise TimeoutError(f"waited {_PATIENCE:g} s for {what}")
        time.sleep(_LOOK)
    return time.perf_counter() - began


def _holds_streams(urls: str, nodes: int) -> bool:
    """Electing a first leader takes the servers some seconds."""
    portal = shared_portal()
    try:
        with Client(urls, namespace="probe") as client:
            js = portal.run(client._session.link()).nc.jetstream()
            portal.run(js.add_stream(log_settings("probe", ["probe.*"], replicas=nodes)))
            return bool(portal.run(js.delete_stream("probe")))
    except (JobLedgerError, nats.errors.Error):
        return False


def _run_tasks(urls: str, namespace: str) -> None:
    """What a runner's process does."""
    with Client(urls, namespace=namespace, name="benchmark runner") as client:
        client.runner(tasks=SERVED).run_forever()


if __name__ == "__main__":
    _run_tasks(sys.argv[1], sys.argv[2])

"""Three servers that hold a log together, watched by a tracer each, and what is left when all of them lose power at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Self

import nats
import nats.errors
import nats.js.errors

from jobledger.adapters.embedded.nats_process import find_program
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.streams import log_settings
from support.waiting import eventually

from . import appends, journal
from .disk import Disk, FileSystem, Survivors, put
from .server import TRACER

_SERVERS = ("n1", "n2", "n3")
_ELECTED = (
    100.0  # seconds in which there must be a leader and everybody has what it has; 5 on an idle machine
)
_COMMITS, _LARGEST = 300, 20_000


class Cluster:
    """Three servers, on a folder each. Their end is a kill."""

    def __init__(self, place: Path, *, sync_interval: str, traced: bool = False) -> None:
        self._place = place
        self._sync_interval = sync_interval
        self._traced = traced
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        clients, routes = _free_ports(), _free_ports()
        listed = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        for name, client, route in zip(_SERVERS, clients, routes, strict=True):
            store = self._place / name / "store"
            store.mkdir(parents=True, exist_ok=True)
            configuration = store.with_name("nats-server.conf")
            configuration.write_text(
                f'server_name: {name}\nlisten: "127.0.0.1:{client}"\nmax_payload: 8MB\n'
                f'jetstream {{ store_dir: "{store}", sync_interval: "{self._sync_interval}" }}\n'
                f'cluster {{ name: c, listen: "127.0.0.1:{route}", routes: [{listed}] }}\n'
            )
            command = [find_program(), "-c", str(configuration)]
            if self._traced:
                kept = str(store.with_name("journal"))
                command = [sys.executable, str(TRACER), str(store), kept, *command]
            with store.with_name("said").open("wb") as said:
                self._processes.append(subprocess.Popen(command, stdout=said, stderr=said))
        self.endpoint = Endpoint(tuple(f"nats://127.0.0.1:{port}" for port in clients))
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def wait_for_log(self, *, made: bool) -> bool:
        """Return whether there is a log that all three have, with everything in it; it is made first where it is to be."""

        def there() -> bool:
            return asyncio.run(_has_log(self.endpoint, made=made))

        try:
            return eventually(there, within=_ELECTED)
        except AssertionError:
            return False


async def _has_log(endpoint: Endpoint, *, made: bool) -> bool:
    async def hush(_: Exception) -> None:
        """A server that is not there yet is nothing to tell of."""

    names = appends.NAMES
    try:
        client = await nats.connect(list(endpoint.urls), max_reconnect_attempts=1, error_cb=hush)
    except (nats.errors.Error, OSError):
        return False
    try:
        stream = client.jetstream(timeout=5.0)
        if made:
            await stream.add_stream(log_settings(names.log_stream, [names.log_subjects], replicas=3))
        cluster = (await stream.stream_info(names.log_stream)).cluster
    except (nats.errors.Error, nats.js.errors.Error):
        return False
    finally:
        await client.close()
    replicas = (cluster.replicas if cluster else None) or []
    return bool(cluster and cluster.leader) and len(replicas) == 2 and all(one.current for one in replicas)


def lost_by_cluster(random: Random, *, failures: int, sync_interval: str = "always") -> list[str]:
    """Let three servers work, and return what they have lost after failures of all of them at once, at random moments."""
    found = []
    with tempfile.TemporaryDirectory(prefix="jobledger-power-") as name:
        place = Path(name)
        with Cluster(place / "run", sync_interval=sync_interval, traced=True) as cluster:
            assert cluster.wait_for_log(made=True), "no leader was elected"
            appended = asyncio.run(appends.append(cluster.endpoint, random, _COMMITS, largest=_LARGEST))
        done = {one: list(journal.read(place / "run" / one / "journal")) for one in _SERVERS}
        for number in range(failures):
            at = random.choice(appended).at
            survivors = (Survivors.NOTHING, Survivors.SOME)[number % 2]
            for server, operations in done.items():
                disk = Disk(FileSystem.JOURNALED)
                for operation in operations:
                    if operation.at <= at:
                        disk.apply(operation)
                put(disk.after_power_loss(survivors, random), place / f"{number}" / server / "store")
            with Cluster(place / f"{number}", sync_interval=sync_interval) as cluster:
                there = cluster.wait_for_log(made=False)
                loss = asyncio.run(appends.loss(cluster.endpoint, appended, at)) if there else None
            if loss is None:
                found.append(f"at {at:.6f} ({survivors.value} survives): the log is gone")
            elif loss:
                found.append(
                    f"at {at:.6f} ({survivors.value} survives): {len(loss.lost)} commits lost, torn: {loss.torn}"
                )
    return found


def _free_ports() -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in _SERVERS]
        return [found.getsockname()[1] for found in sockets]

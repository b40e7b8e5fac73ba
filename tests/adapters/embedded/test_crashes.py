"""Whatever is killed, and whatever it leaves behind, the next request finds a server with the same data."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobledger.adapters.embedded.locks import FileLock, is_locked
from jobledger.adapters.embedded.start import ensure_server, server_status, stop_server
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.wire import Wire
from jobledger.core.errors import ServerUnavailable
from support.waiting import eventually

from .conftest import Home


async def _write(client: Wire, payload: bytes) -> None:
    await client.jetstream().add_stream(name="S", subjects=["s"])
    await client.jetstream().publish("s", payload)


async def _read(client: Wire) -> bytes | None:
    return (await client.jetstream().get_last_msg("S", "s")).data


def _written(endpoint: Endpoint) -> bytes | None:
    async def read() -> bytes | None:
        client = await connect(endpoint, name="reader")
        try:
            return await _read(client)
        finally:
            await client.close()

    return asyncio.run(read())


def _start_with(home: Home, payload: bytes) -> Endpoint:
    endpoint = ensure_server(home.path)

    async def write() -> None:
        client = await connect(endpoint, name="writer")
        await _write(client, payload)
        await client.close()

    asyncio.run(write())
    return endpoint


def test_a_killed_supervisor_is_replaced_and_its_server_taken_over(home: Home) -> None:
    endpoint = _start_with(home, b"kept")
    first, server = home.supervisors(), home.servers()
    home.kill(first)
    eventually(
        lambda: server_status(home.path).state == "stopped"
    )  # whatever held its lock an instant longer
    assert ensure_server(home.path) == endpoint
    assert home.servers() == server
    assert len(home.supervisors()) == 1
    assert home.supervisors() != first
    assert _written(endpoint) == b"kept"


def test_a_supervisor_that_is_killed_as_it_starts_is_started_again_for_who_waits_for_it(home: Home) -> None:
    """Also several times: nothing speaks against another start, and there is time."""
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(ensure_server, home.path)
        for _ in range(3):
            beginning = eventually(lambda: [] if starting.done() else home.supervisors())
            home.kill([pid for pid in beginning if is_locked(home.data.lock)])
        endpoint = starting.result(timeout=30)
    assert server_status(home.path).running
    assert _start_with(home, b"kept") == endpoint


def test_a_server_that_was_taken_over_is_watched_and_ended_too(home: Home) -> None:
    endpoint = _start_with(home, b"kept")
    home.kill(home.supervisors())
    ensure_server(home.path)
    adopted = home.servers()
    home.kill(adopted)
    eventually(lambda: home.servers() not in ([], adopted) and server_status(home.path).running)
    assert _written(endpoint) == b"kept"
    assert stop_server(home.path)
    assert home.servers() == []


def test_a_server_left_alone_that_does_not_answer_is_replaced(home: Home) -> None:
    endpoint = _start_with(home, b"kept")
    wedged = home.servers()
    home.kill(home.supervisors())
    for pid in wedged:
        os.kill(pid, signal.SIGSTOP)
    assert ensure_server(home.path).url == endpoint.url
    assert home.servers() != wedged
    assert _written(endpoint) == b"kept"


def test_a_killed_server_comes_back_on_its_port_and_clients_reconnect(home: Home) -> None:
    endpoint = ensure_server(home.path)

    async def survive() -> None:
        lost, back = asyncio.Event(), asyncio.Event()
        client = await connect(endpoint, name="test", on_lost=lost.set, on_back=back.set)
        await _write(client, b"before")
        killed = home.servers()
        home.kill(killed)
        await asyncio.wait_for(lost.wait(), 10)
        await asyncio.wait_for(back.wait(), 10)
        assert home.servers() not in ([], killed)
        assert await _read(client) == b"before"
        await _write(client, b"after")
        assert await _read(client) == b"after"
        await client.close()

    asyncio.run(survive())
    assert ensure_server(home.path) == endpoint
    eventually(lambda: (record := server_status(home.path).record) and [record.server_pid] == home.servers())


def test_everything_killed_at_once_starts_again_with_its_data(home: Home) -> None:
    endpoint = _start_with(home, b"kept")
    home.kill(home.supervisors() + home.servers())
    assert ensure_server(home.path) == endpoint
    assert _written(endpoint) == b"kept"


def test_stop_ends_what_a_killed_supervisor_left(home: Home) -> None:
    ensure_server(home.path)
    home.kill(home.supervisors())
    assert home.servers() != []
    assert stop_server(home.path)
    assert home.servers() == []


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A living process that has nothing to do with any server."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)


def test_files_left_behind_block_nothing_and_harm_nobody(
    home: Home, stranger: subprocess.Popen[bytes]
) -> None:
    endpoint = _start_with(home, b"kept")
    record = json.loads((home.path / "server.json").read_text())
    home.kill(home.supervisors() + home.servers())
    pid = stranger.pid
    (home.path / "supervisor.lock").write_text(str(pid))
    (home.path / "nats-server.lock").write_text(str(pid))
    (home.path / "server.json").write_text(json.dumps(record | {"supervisor_pid": pid, "server_pid": pid}))
    eventually(
        lambda: server_status(home.path).state == "stopped"
    )  # whatever held its lock an instant longer
    assert not stop_server(home.path)
    assert ensure_server(home.path) == endpoint
    assert stop_server(home.path)
    assert stranger.poll() is None
    assert _written(ensure_server(home.path)) == b"kept"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}', "\0\xff", "-1", "99999999999999"])
def test_damaged_files_block_nothing(home: Home, content: str) -> None:
    home.data.create()
    for name in ("server.json", "credentials.json", "port", "nats-server.conf", "supervisor.lock"):
        (home.path / name).write_text(content)
    ensure_server(home.path)
    assert server_status(home.path).running


def test_a_port_taken_by_others_is_left_to_them(home: Home) -> None:
    endpoint = ensure_server(home.path)
    stop_server(home.path)
    other = Home(home.path.with_name("other"))
    (other.path).mkdir(mode=0o700)
    # The other folder used the same port last, and is the first to use it again.
    (other.path / "port").write_text((home.path / "port").read_text())
    (other.path / "supervisor.lock").touch()
    try:
        assert ensure_server(other.path).url == endpoint.url
        moved = ensure_server(home.path)
        assert moved.url != endpoint.url
        assert len(home.servers()) == len(other.servers()) == 1
    finally:
        stop_server(other.path)


def test_a_lock_held_by_a_process_of_another_kind_is_reported(home: Home) -> None:
    home.data.create()
    lock = FileLock(home.data.lock)
    assert lock.acquire()
    try:
        with pytest.raises(ServerUnavailable, match="does not answer after"):
            ensure_server(home.path, deadline=0.2)
        with pytest.raises(ServerUnavailable, match="cannot be seen from here"):
            stop_server(home.path)
        assert server_status(home.path).state == "starting"
    finally:
        lock.release()


def test_a_lock_that_a_dead_supervisor_left_to_a_child_is_no_supervisor(home: Home) -> None:
    ensure_server(home.path)
    (dead,) = home.supervisors()
    home.kill([dead])
    heir = FileLock(home.data.lock)
    assert heir.acquire(patience=5.0)
    with pytest.raises(ServerUnavailable, match="does not answer after"):
        ensure_server(home.path, deadline=0.2)
    heir.release()
    ensure_server(home.path)
    assert [pid for pid in home.supervisors() if pid != dead] == home.supervisors()
    assert (len(home.supervisors()), len(home.servers())) == (1, 1)


def test_a_store_in_use_is_never_served_twice(home: Home) -> None:
    home.data.create()
    lock = FileLock(home.data.server_lock)
    assert lock.acquire()
    try:
        with pytest.raises(ServerUnavailable, match="another nats-server uses"):
            ensure_server(home.path)
        assert home.servers() == []
    finally:
        lock.release()

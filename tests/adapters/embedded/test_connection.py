"""A server that cannot serve is found out at the first connect, and the message says what to do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats.js.api import AccountInfo

from jobledger.adapters.embedded.start import ensure_server
from jobledger.adapters.nats import suitability
from jobledger.adapters.nats.connection import connect, open_connection
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.core.errors import ArgumentError, JobLedgerError, ServerUnavailable, ServerUnsuitable
from support.waiting import eventually_async

from .conftest import Home


def _refusal(endpoint: Endpoint) -> JobLedgerError:
    """Return why connecting fails, within the few seconds it may take."""
    started = time.monotonic()
    with pytest.raises(JobLedgerError) as failure:
        asyncio.run(connect(endpoint, name="test"))
    assert time.monotonic() - started < 6
    return failure.value


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refusal = _refusal(Endpoint(f"nats://127.0.0.1:{free.getsockname()[1]}"))
    assert isinstance(refusal, ServerUnavailable | ConnectionError)
    assert "no NATS server answers at nats://127.0.0.1:" in str(refusal)
    assert "Check the address" in str(refusal)


def test_an_unknown_host() -> None:
    refusal = _refusal(Endpoint("nats://me:hidden@nowhere.invalid"))
    assert isinstance(refusal, ServerUnavailable)
    assert "nats://nowhere.invalid" in str(refusal)
    assert "hidden" not in str(refusal)


def test_somebody_who_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refusal = _refusal(Endpoint(f"nats://127.0.0.1:{silent.getsockname()[1]}"))
    assert isinstance(refusal, ServerUnavailable)


def test_wrong_credentials(home: Home) -> None:
    url = ensure_server(home.path).url
    for endpoint in (
        Endpoint(url, user="client", password="wrong"),
        Endpoint(url),
        Endpoint(url, token="wrong"),
    ):
        refusal = _refusal(endpoint)
        assert isinstance(refusal, ServerUnavailable)
        assert "refused the login" in str(refusal)
        assert "wrong" not in str(refusal)


def test_no_jetstream(bare_server: Callable[[str], str]) -> None:
    refusal = _refusal(Endpoint(bare_server("")))
    assert isinstance(refusal, ServerUnsuitable)
    assert "has no JetStream" in str(refusal)


def test_jetstream_that_is_missing_for_a_moment_is_waited_for(
    bare_server: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a server that is ending, or just starting."""
    monkeypatch.setattr(suitability, "_SURE", 20.0)
    told = tmp_path / "pid"
    url = bare_server(f'pid_file: "{told}"\n')
    configuration = tmp_path / "bare-0.conf"

    async def meet() -> None:
        connecting = asyncio.ensure_future(connect(Endpoint(url), name="test", timeout=20.0))
        refused = account_infos(monkeypatch)

        async def refused_again() -> bool:
            return len(refused) > 1

        await eventually_async(refused_again)
        assert not connecting.done()
        with configuration.open("a") as file:
            file.write(f'jetstream {{ store_dir: "{tmp_path}" }}\n')
        os.kill(int(told.read_text()), signal.SIGHUP)  # read the configuration again
        client = await connecting
        await client.close()

    asyncio.run(meet())


def account_infos(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every time that the account is asked about."""
    asked: list[int] = []
    ask = JetStreamContext.account_info

    async def noted(self: JetStreamContext) -> AccountInfo:
        asked.append(1)
        return await ask(self)

    monkeypatch.setattr(JetStreamContext, "account_info", noted)
    return asked


def test_no_jetstream_for_the_account(bare_server: Callable[[str], str], tmp_path: object) -> None:
    url = bare_server(
        f'jetstream: {{ store_dir: "{tmp_path}/js" }}\n'
        "accounts { A { jetstream: enabled, users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }"
    )
    refusal = _refusal(Endpoint(url, user="b", password="b"))
    assert isinstance(refusal, ServerUnsuitable)
    assert "has no JetStream for this account" in str(refusal)


def test_no_permission_for_jetstream(bare_server: Callable[[str], str], tmp_path: object) -> None:
    url = bare_server(
        f'jetstream: {{ store_dir: "{tmp_path}/js" }}\n'
        'authorization { users: [{user: a, password: a, permissions: {publish: "x", subscribe: "_INBOX.>"}}] }'
    )
    refusal = _refusal(Endpoint(url, user="a", password="a"))
    assert isinstance(refusal, ServerUnavailable)
    assert "permissions violation for publish" in str(refusal).lower()


class _Greeter:
    """Greets as a server of 2022 does, and as rudely as told: what no real server next to this one can be made to do."""

    INFO = {"server_id": "OLD", "version": "2.9.25", "headers": True, "max_payload": 1048576}

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self.hang_ups = 0  #: how many of the next connections to end without a word
        self.current: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def drop(self) -> None:
        assert self.current is not None
        self.current.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed by the test
            while True:
                connection, _ = self._listener.accept()
                with connection, connection.makefile("rb") as lines:
                    if self.hang_ups:
                        self.hang_ups -= 1
                        continue
                    self.current = connection
                    connection.sendall(b"INFO " + json.dumps(self.INFO).encode() + b"\r\n")
                    for line in lines:
                        if line.startswith(b"PING"):
                            connection.sendall(b"PONG\r\n")


@pytest.fixture
def greeter() -> Iterator[_Greeter]:
    greeter = _Greeter()
    yield greeter
    greeter.close()


def test_attempts_that_fail_half_way_leave_no_sockets_behind(greeter: _Greeter) -> None:
    async def scenario() -> None:
        back = asyncio.Event()
        client = await open_connection(Endpoint(greeter.url), name="test", on_back=back.set)
        greeter.hang_ups = 3
        greeter.drop()
        await asyncio.wait_for(back.wait(), 10)
        assert greeter.hang_ups == 0
        await client.close()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(scenario())
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_too_old(greeter: _Greeter) -> None:
    refusal = _refusal(Endpoint(greeter.url))
    assert isinstance(refusal, ServerUnsuitable)
    assert "has version 2.9.25, 2.12.0 or newer is needed" in str(refusal)


def test_one_living_server_of_several_is_enough(home: Home) -> None:
    endpoint = ensure_server(home.path)
    several = Endpoint(("nats://127.0.0.1:1", *endpoint.urls), user=endpoint.user, password=endpoint.password)

    async def scenario() -> bool:
        client = await connect(several, name="test")
        try:
            return client.is_connected
        finally:
            await client.close()

    assert asyncio.run(scenario())


def test_a_connection_that_broke_badly_is_closed_like_any_other(home: Home) -> None:
    endpoint = ensure_server(home.path)

    async def scenario(*, leaving: bool) -> bool:
        """Return whether closing was canceled."""
        client = await connect(endpoint, name="test")
        # what a killed server may leave behind: nobody is going to tell that the socket is closed
        client._transport._io_writer._protocol._closed.cancel()  # type: ignore[union-attr]
        closing = asyncio.create_task(client.close())
        if leaving:
            await asyncio.sleep(0)
            closing.cancel()
        await asyncio.wait({closing})
        assert client.is_closed
        client._transport.close()  # type: ignore[union-attr]  # which the one that left did not come to
        await asyncio.sleep(0.01)
        return closing.cancelled()

    assert not asyncio.run(scenario(leaving=False))
    assert asyncio.run(scenario(leaving=True))


def test_reconnecting_says_nothing_on_stderr(home: Home) -> None:
    script = """
import asyncio, os, signal, sys
sys.path[:0] = sys.argv[2:]
from jobledger.adapters.embedded.start import ensure_server, server_status
from jobledger.adapters.nats.connection import connect, open_connection
from support.waiting import eventually_async

async def main():
    back = asyncio.Event()
    client = await connect(ensure_server(sys.argv[1]), name="test", on_back=back.set)
    os.kill(server_status(sys.argv[1]).record.server_pid, signal.SIGKILL)
    await asyncio.wait_for(back.wait(), 10)
    await client.close()

asyncio.run(main())
"""
    paths = [path for path in sys.path if path.endswith(("/src", "/tests"))]
    done = subprocess.run(
        [sys.executable, "-c", script, str(home.path), *paths], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_a_connection_outlives_its_server_for_as_long_as_it_takes(home: Home) -> None:
    endpoint = ensure_server(home.path)

    async def scenario() -> None:
        lost, back = asyncio.Event(), asyncio.Event()
        client = await connect(endpoint, name="test", on_lost=lost.set, on_back=back.set)
        home.kill(home.supervisors() + home.servers())
        await asyncio.wait_for(lost.wait(), 10)
        # Enough refused attempts for a client that gives up to have given up.
        await eventually_async(lambda: asyncio.sleep(0, client.server_pool[0].reconnects > 5))
        await asyncio.to_thread(ensure_server, home.path)
        await asyncio.wait_for(back.wait(), 10)
        await client.flush()
        await client.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "url",
    ["", "nats://", "http://host", "nats://host:port", "nats://host:99999", "nats://[::1", "nats://a b"],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ArgumentError, match="is not the address of a NATS server"):
        Endpoint(url)


def test_an_endpoint_takes_what_people_write_and_hides_what_is_secret() -> None:
    assert Endpoint("host").urls == ("nats://host",)
    assert Endpoint("a:1, tls://b").urls == ("nats://a:1", "tls://b")
    assert Endpoint(("a", "b")).urls == ("nats://a", "nats://b")
    shown = repr(
        Endpoint("nats://me:hidden@host", user="u", password="hidden", token="hidden", credentials="file")
    )
    assert shown == "Endpoint('nats://host', user='u', password=…, token=…, credentials='file')"
    with pytest.raises(ArgumentError, match="give both or neither"):
        Endpoint("host", user="u")
    with pytest.raises(ArgumentError) as failure:
        Endpoint("http://me:hidden@host")
    assert "hidden" not in str(failure.value)


def test_a_credentials_file_that_cannot_be_read(tmp_path: object) -> None:
    refusal = _refusal(Endpoint("host", credentials=f"{tmp_path}/missing.creds"))
    assert isinstance(refusal, ArgumentError)
    assert "missing.creds" in str(refusal)

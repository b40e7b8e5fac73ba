"""The projector of a data folder: there when it is asked, started again, gone with the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from jobledger import Client, Task
from jobledger.adapters.embedded.folder import DataFolder, ServerRecord
from jobledger.adapters.embedded.locks import FileLock
from jobledger.adapters.embedded.start import ensure_server, stop_server
from jobledger.adapters.embedded.supervision import Supervision
from jobledger.adapters.nats.endpoint import Endpoint
from support.waiting import eventually, eventually_async

from .conftest import Engines, Home


class Greet(Task):
    pass


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(data_folder=home.path) as client:
        yield client


def test_the_first_question_waits_for_it(home: Home, client: Client) -> None:
    job = client.jobs().submit("greetings", Greet())
    assert client.jobs().query() == [job]
    (view,) = client.jobs().views()
    assert view.store == f"sqlite:///{home.data.path}/views/jobs.sqlite3"
    assert len(home.projectors()) == 1


def test_one_that_was_killed_is_started_again(home: Home, client: Client) -> None:
    jobs = [client.jobs().submit("greetings", Greet())]
    assert client.jobs().query() == jobs
    killed = home.projectors()
    home.kill(killed)
    jobs.append(client.jobs().submit("greetings", Greet()))
    assert client.jobs().query() == jobs[::-1]
    assert home.projectors() != killed


def test_it_ends_with_the_server(home: Home) -> None:
    ensure_server(home.path)
    eventually(home.projectors)
    assert stop_server(home.path)
    assert home.projectors() == []


def test_it_does_not_outlive_a_supervisor_that_is_killed(home: Home) -> None:
    ensure_server(home.path)
    eventually(home.projectors)
    home.kill(home.supervisors())
    eventually(lambda: not home.projectors())


def test_a_view_that_was_deleted_comes_back(home: Home) -> None:
    with Client(data_folder=home.path) as client:
        job = client.jobs().submit("greetings", Greet())
        assert client.jobs().query() == [job]
    stop_server(home.path)
    for file in home.data.views.iterdir():
        file.unlink()
    with Client(data_folder=home.path) as client:
        assert client.jobs().query() == [job]


def test_nobody_can_read_the_view_but_its_owner(home: Home, client: Client) -> None:
    client.jobs().submit("greetings", Greet())
    client.jobs().count()
    assert home.data.views.stat().st_mode & 0o077 == 0
    assert [file.stat().st_mode & 0o077 for file in home.data.views.iterdir()] != []
    assert not any(file.stat().st_mode & 0o077 for file in home.data.views.iterdir())


class Projectors:
    """Projectors that end when they are told to; counts their starts."""

    def __init__(self) -> None:
        self.starts = 0
        self.end = asyncio.Event()

    async def __call__(
        self, folder: DataFolder, endpoint: Endpoint, namespace: str, *, stop: asyncio.Event
    ) -> None:
        self.starts += 1
        stopped, ended = asyncio.create_task(stop.wait()), asyncio.create_task(self.end.wait())
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        ended.cancel()
        self.end.clear()


def test_it_is_started_once_the_engine_serves_and_whenever_it_ends(home: Home, lock: FileLock) -> None:
    async def scenario() -> None:
        projectors, told = Projectors(), list[ServerRecord]()
        engines = Engines(fails_before_ready=True)
        supervision = Supervision(
            home.data, lock, idle=None, on_ready=told.append, engine=engines, projector=projectors
        )
        running = asyncio.create_task(supervision.run())
        await eventually_async(lambda: asyncio.sleep(0, engines.starts))
        assert projectors.starts == 0
        engines.fails_before_ready = False
        await eventually_async(lambda: asyncio.sleep(0, told and projectors.starts == 1))
        projectors.end.set()
        await eventually_async(lambda: asyncio.sleep(0, projectors.starts == 2))
        supervision.stop()
        await running

    asyncio.run(scenario())

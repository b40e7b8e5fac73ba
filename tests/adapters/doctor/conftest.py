"""Servers as they should be, and as they should not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from nats.js import JetStreamContext

from jobledger import Client
from jobledger.adapters.doctor.examination import examine
from jobledger.adapters.doctor.patient import Following, meet
from jobledger.adapters.doctor.servers import Inspection, ask_servers
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.data import Health, HealthFinding, HealthReport
from support.servers import NatsServer

#: accounts of a server that has both: one for jobs, one that is told how servers are configured
ACCOUNTS = """
accounts {
  JOBS { jetstream: enabled, users: [
    { user: jobs, password: secret }
    { user: curious, password: secret, permissions: { publish: ["$JS.API.INFO", "jobledger.>"], subscribe: "_INBOX.>" } }
  ] }
  SYS { users: [ { user: system, password: secret } ] }
}
system_account: SYS
"""
SYSTEM = {"system_user": "system", "system_password": "secret"}


def logged_in(url: str) -> str:
    return url.replace("://", "://jobs:secret@")


@pytest.fixture(scope="module")
def synced_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server as it should be, with accounts and a monitoring address."""
    folder = tmp_path_factory.mktemp("synced")
    server = NatsServer(folder, more_configuration=ACCOUNTS, sync_interval="always").start()
    yield server
    server.stop()


@pytest.fixture
def synced(synced_server: NatsServer, names: Names) -> Iterator[Client]:
    with Client(logged_in(synced_server.url), namespace=names.namespace) as client:
        yield client


class Looking:
    """Changes streams of that server behind everybody's back, and has a namespace examined."""

    def __init__(self, url: str, names: Names) -> None:
        self._url = url
        self._names = names

    def change(self, work: Callable[[JetStreamContext], Awaitable[Any]]) -> None:
        async def changed(client: Wire) -> None:
            await work(client.jetstream())

        self._run("jobs", changed)

    def examined(self, user: str = "jobs") -> HealthReport:
        """As `client.doctor` does, but nobody is asked who follows the log: that takes half a second."""

        async def looked(client: Wire) -> HealthReport:
            system = replace(Endpoint(self._url), user="system", password="secret")
            servers = await ask_servers(Inspection(system))
            return await examine(await meet(client, self._names, servers, Following(), None))

        report: HealthReport = self._run(user, looked)
        return report

    def _run(self, user: str, work: Callable[[Wire], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            client = await connect(replace(Endpoint(self._url), user=user, password="secret"), name="test")
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(connected())


@pytest.fixture
def looking(synced_server: NatsServer, names: Names) -> Looking:
    return Looking(synced_server.url, names)


def found(report: HealthReport, check: str, state: Health | None = None) -> HealthFinding:
    """Return the worst finding of a check, which is in this state."""
    of_check = [finding for finding in report.findings if finding.check == check]
    order = [Health.FAILED, Health.UNKNOWN, Health.WARNING, Health.OK]
    worst = min(of_check, key=lambda finding: order.index(finding.state))
    assert state in (None, worst.state), worst
    return worst

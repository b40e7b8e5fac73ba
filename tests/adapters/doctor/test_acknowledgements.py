"""Whether acknowledgements wait for the disk: told by servers to those who may ask, and by nobody else's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger import ArgumentError, Client
from jobledger.adapters.nats.names import Names
from jobledger.data import Health
from support.engines import EngineHarness
from support.servers import NatsServer

from .conftest import ACCOUNTS, SYSTEM, found, logged_in


@pytest.fixture
def relaxed(tmp_path: Path, names: Names) -> Iterator[Client]:
    """A client of a server as it comes."""
    configuration = f"{ACCOUNTS}server_name: lazy\nhttp: '127.0.0.1:-1'\n"
    server = NatsServer(tmp_path, more_configuration=configuration).start()
    with Client(logged_in(server.url), namespace=names.namespace) as client:
        yield client
    server.stop()


def test_a_server_that_syncs_first_is_safe(synced_server: NatsServer, synced: Client, names: Names) -> None:
    engine = EngineHarness(logged_in(synced_server.url), names).wait_ready()
    try:
        report = synced.doctor(**SYSTEM)
    finally:
        engine.stop()
    finding = found(report, "acknowledgements", Health.OK)
    assert finding.promise
    assert "fsync" in finding.found
    assert report.ok, report


def test_one_that_acknowledges_first_is_not(relaxed: Client) -> None:
    report = relaxed.doctor(**SYSTEM)
    finding = found(report, "acknowledgements", Health.FAILED)
    assert "lazy up to 120 s" in finding.found
    assert "sync_interval: always" in finding.remedy
    assert not report.ok


def test_where_nobody_may_ask_it_is_not_known_and_cannot_be_relied_on(synced: Client) -> None:
    report = synced.doctor()
    finding = found(report, "acknowledgements", Health.UNKNOWN)
    assert "not known" in finding.found
    assert "--system-user" in finding.remedy
    assert "--monitor" in finding.remedy
    assert not report.ok


def test_a_login_that_is_not_of_the_system_account_is_told(synced: Client) -> None:
    finding = found(
        synced.doctor(system_user="jobs", system_password="secret"), "acknowledgements", Health.UNKNOWN
    )
    assert "not of the system account" in finding.found


def test_one_that_is_refused_is_told(synced: Client) -> None:
    finding = found(
        synced.doctor(system_user="system", system_password="wrong"), "acknowledgements", Health.UNKNOWN
    )
    assert "cannot be used" in finding.found


def test_a_monitoring_address_tells_it_too(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path, more_configuration="http: '127.0.0.1:-1'\n", sync_interval="always").start()
    try:
        (line,) = [line for line in server.log.splitlines() if "Starting http monitor on" in line]
        address = f"http://{line.split()[-1]}"
        with Client(server.url, namespace=names.namespace) as client:
            found(client.doctor(monitoring=address), "acknowledgements", Health.OK)
            nobody = client.doctor(monitoring=["http://127.0.0.1:1"])
            assert "does not tell" in found(nobody, "acknowledgements", Health.UNKNOWN).found
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"system_user": "system"}, "system_user and system_password go together"),
        ({"monitoring": "host:8222"}, "write http://host:8222"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(synced: Client, arguments: dict[str, str], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        synced.doctor(**arguments)

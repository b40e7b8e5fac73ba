"""A log on a real server, and what was written to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from jobledger.audit import generate_key
from support.audit_logs import Row, write_log
from support.servers import NatsServer


@dataclass(frozen=True)
class Logged:
    """A namespace with a log."""

    url: str
    names: Names
    client: Client
    rows: list[Row]

    @property
    def last(self) -> int:
        return len(self.rows)

    def position(self, job_id: str, version: int) -> int:
        return next(
            at for at, (job, number, _) in enumerate(self.rows, 1) if (job, number) == (job_id, version)
        )


@pytest.fixture(scope="package")
def logged(nats_server: NatsServer) -> Iterator[Logged]:
    """A log that no test adds to."""
    names = Names("audited")
    rows = write_log(nats_server.url, names, Random(7))
    with Client(nats_server.url, namespace=names.namespace) as client:
        yield Logged(nats_server.url, names, client, rows)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one is beside it."""
    generate_key(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def bundle(logged: Logged, key: Path) -> Path:
    """A signed bundle of all of it; the key is beside it."""
    return logged.client.audit().export(key.with_name("all.bundle"), key=key).path

"""Views in SQLite and in PostgreSQL: what is said of one is said of both."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobledger.adapters.views.store import JobStore, Log, open_store
from support.databases import Postgres

_numbers = itertools.count(1)

OF = Log("jobledger-test-log", "2026-01-01T00:00:00Z")
Opened = Callable[..., JobStore]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/views/jobs.sqlite3"
    server: Postgres = request.getfixturevalue("postgres")
    return server.in_schema(f"view_{os.getpid()}_{next(_numbers)}")


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Open stores, which are closed with the test."""
    stores: list[JobStore] = []

    def open_(url: str, of: Log = OF) -> JobStore:
        stores.append(open_store(url, "test", of))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def store(store_url: str, opened: Opened) -> JobStore:
    return opened(store_url)

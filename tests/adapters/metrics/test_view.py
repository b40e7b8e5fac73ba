"""What projectors tell: how far their view is behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger.adapters.link import Link
from jobledger.adapters.nats.names import Names
from support.engines import EngineHarness, submit
from support.figures import gathered
from support.projectors import ProjectorHarness
from support.servers import NatsServer
from support.waiting import eventually


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite3"


@pytest.fixture
def projector(nats_server: NatsServer, names: Names, store: Path) -> Iterator[ProjectorHarness]:
    projector = ProjectorHarness(nats_server.url, names, f"sqlite:///{store}").start()
    yield projector
    projector.stop()


def test_a_view_that_keeps_up_has_no_lag(
    engine: EngineHarness, link: Link, projector: ProjectorHarness, store: Path
) -> None:
    submit(link)

    eventually(lambda: gathered(link, projectors=1)("jobledger_view_position") == 1)
    figures = gathered(link, projectors=1)
    assert figures.values("jobledger_view_position", "store") == {f"sqlite:///{store}"}
    assert figures.all("jobledger_view_lag_positions") == [0]
    assert figures.all("jobledger_view_lag_seconds") == [0]
    assert figures.all("jobledger_view_moves") == [1]
    assert figures.all("jobledger_view_open") == [1]


def test_a_view_that_is_not_moved_falls_behind_by_commits_and_seconds(
    engine: EngineHarness, link: Link, projector: ProjectorHarness, store: Path
) -> None:
    submit(link)
    eventually(lambda: gathered(link, projectors=1)("jobledger_view_position") == 1)
    with sqlite3.connect(store, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write to it
        for _ in range(3):
            submit(link)
        eventually(lambda: gathered(link, projectors=1)("jobledger_view_lag_positions") == 3)
        behind = gathered(link, projectors=1)("jobledger_view_lag_seconds")
        assert behind > 0
        eventually(lambda: gathered(link, projectors=1)("jobledger_view_lag_seconds") > behind)
        other.execute("ROLLBACK")
    eventually(lambda: gathered(link, projectors=1).all("jobledger_view_lag_positions") == [0])
    assert gathered(link, projectors=1).all("jobledger_view_lag_seconds") == [0]


def test_a_projector_that_has_stopped_is_missing(
    engine: EngineHarness, link: Link, projector: ProjectorHarness
) -> None:
    assert gathered(link, projectors=1).all("jobledger_processes", kind="projector") == [1]
    projector.stop()
    figures = gathered(link, projectors=0)
    assert figures.all("jobledger_processes", kind="projector") == [0]
    assert figures.all("jobledger_view_position") == []

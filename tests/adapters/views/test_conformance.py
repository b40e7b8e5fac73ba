"""The eventsourcing library's own test of tracking recorders, unchanged: a view in either database is one."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from eventsourcing.persistence import TrackingRecorder
from eventsourcing.tests.persistence import TrackingRecorderTestCase

from jobledger.adapters.views.postgres import PostgresJobs
from jobledger.adapters.views.sqlite import SQLiteJobs
from support.databases import Postgres

from .conftest import Opened


class TestSQLite(TrackingRecorderTestCase):
    @pytest.fixture(autouse=True)
    def _store(self, tmp_path: Path, opened: Opened) -> None:
        self.store = opened(f"sqlite:///{tmp_path}/jobs.sqlite3")

    def create_recorder(self) -> TrackingRecorder:
        assert isinstance(self.store, SQLiteJobs)
        return self.store


class TestPostgreSQL(TrackingRecorderTestCase):
    @pytest.fixture(autouse=True)
    def _store(self, postgres: Postgres, opened: Opened) -> None:
        self.store = opened(postgres.in_schema(f"tracking_{uuid4().hex[:8]}"))

    def create_recorder(self) -> TrackingRecorder:
        assert isinstance(self.store, PostgresJobs)
        return self.store


del TrackingRecorderTestCase  # an imported base class is collected as a test, too

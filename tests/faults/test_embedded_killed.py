"""The embedded server is killed, in part or as a whole, under a runner and a client that only know its data folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.record import Record
from faults.tasks import Chain, Fan
from jobledger import Client, JobState
from jobledger.adapters.embedded.folder import DataFolder, ServerRecord
from jobledger.adapters.embedded.start import stop_server
from support.processes import PythonProcess
from support.waiting import eventually


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record) -> Iterator[DataFolder]:
    folder = tmp_path / "home"
    monkeypatch.setenv("JOBLEDGER_HOME", str(folder))
    yield DataFolder.locate()
    stop_server(folder)


@pytest.mark.parametrize("victims", ["supervisor", "nats-server", "both"])
def test_the_next_request_brings_it_back(
    victims: str, home: DataFolder, record: Record, embedded_runner: Callable[[], PythonProcess]
) -> None:
    with Client() as client:
        job_client = client.jobs()
        jobs = [job_client.submit("fan", Fan(200, 5)), job_client.submit("chain", Chain(30, 5))]
        runner = embedded_runner()
        eventually(lambda: len(record) > 60, within=20)
        before = _running(home)
        if victims != "nats-server":
            os.kill(before.supervisor_pid, signal.SIGKILL)
        if victims != "supervisor":
            os.kill(before.server_pid, signal.SIGKILL)

        jobs.append(job_client.submit("afterwards", Fan(3)))
        for job in jobs:
            job.wait(timeout=40)
            assert job.state is JobState.COMPLETED
        record.check(*jobs)
        assert record.processes() == {runner.pid}
        assert runner.alive

        now = _running(home)
        assert (now.supervisor_pid == before.supervisor_pid) == (victims == "nats-server")
        assert (now.server_pid == before.server_pid) == (victims == "supervisor")
        assert now.port == before.port


def test_a_client_that_comes_later_finds_everything(home: DataFolder, record: Record) -> None:
    with Client() as client:
        job = client.jobs().submit("fan", Fan(3))
    before = _running(home)
    for pid in (before.supervisor_pid, before.server_pid):
        os.kill(pid, signal.SIGKILL)
    with Client() as client:
        found = client.jobs().find(job.id)
        assert found.state is JobState.SUBMITTED
        assert found.name == "fan"


def _running(home: DataFolder) -> ServerRecord:
    record = eventually(home.record)
    assert record is not None
    return record

"""Engines that are killed between a deletion and the end of the key: what was begun is done, by whoever comes next."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger import Client, ExecutionContext, Task
from jobledger.adapters.nats.log import read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.protocol import encode
from jobledger.core.commands import DeleteJob
from jobledger.core.events import JobDeleted, JobErased
from jobledger.errors import NotFoundError
from support.key_files import FOLDER, KeyFiles
from support.processes import PythonProcess, engine_process
from support.servers import NatsServer
from support.waiting import eventually


class Note(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        return self.text


@pytest.fixture
def keys(tmp_path: Path) -> KeyFiles:
    return KeyFiles(tmp_path)


@pytest.fixture
def engine(
    nats_server: NatsServer, names: Names, keys: KeyFiles, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PythonProcess]:
    monkeypatch.setenv(FOLDER, str(keys.folder))
    process = engine_process(
        nats_server.url, names.namespace, lease=2.0, more=("--keys", "support.key_files:keys")
    )
    yield process.start()
    process.kill()


def kinds(client: Client, names: Names, job_id: object) -> list[type]:
    link = shared_portal().run(client._session.link())
    commits = shared_portal().run(read_job(link.nc, names, str(job_id)))
    return [type(event) for stored in commits for event in stored.commit.events]


def test_the_next_engine_destroys_the_keys(
    engine: PythonProcess, nats_server: NatsServer, names: Names, keys: KeyFiles
) -> None:
    """Of a deletion that is waited for, and of one nobody asks for again."""
    with Client(nats_server.url, namespace=names.namespace, keys=keys, encrypt=True, patience=30) as client:
        jobs = [client.jobs().submit("a note", Note("a secret")) for _ in range(2)]
        client.runner(tasks=[Note]).run_all()
        assert [job.result for job in jobs] == ["a secret"] * 2
        keys.hold.touch()
        deleting = threading.Thread(target=client.jobs().delete, args=(jobs[0],))
        deleting.start()
        link = shared_portal().run(client._session.link())
        shared_portal().run(link.nc.publish(names.command, encode(DeleteJob(str(jobs[1].id), "delete-1"))))
        eventually(lambda: all(keys.asked(str(job.id)) for job in jobs))
        engine.kill()
        assert [kinds(client, names, job.id)[-1] for job in jobs] == [JobDeleted] * 2
        assert all(keys.folder.joinpath(str(job.id)).read_bytes() for job in jobs)
        keys.hold.unlink()
        engine.start()
        deleting.join(30)
        assert not deleting.is_alive()
        for job in jobs:
            eventually(lambda job=job: kinds(client, names, job.id)[-1] is JobErased)  # type: ignore[misc]
            assert not keys.folder.joinpath(str(job.id)).read_bytes()
            assert kinds(client, names, job.id).count(JobErased) == 1
            with pytest.raises(NotFoundError, match="its key was destroyed"):
                client.jobs().find(job.id)

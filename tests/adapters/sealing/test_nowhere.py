"""The promise itself: no byte of what a sealed job was about is in the data folder, and at last not its key either."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger import Client, ExecutionContext, Task
from jobledger.adapters.embedded.start import ensure_server, stop_server
from jobledger.adapters.portal import shared_portal
from jobledger.data import JobState
from jobledger.errors import ErasedError, NotFoundError
from support.bytes_on_disk import files_with
from support.waiting import eventually

MARKS: dict[str, str] = {}


def mark(name: str, times: int = 1) -> str:
    """Return a text that occurs nowhere else, always the same for a name."""
    return times * MARKS.setdefault(name, f"{name}-{base64.b32encode(os.urandom(20)).decode()}-")


class Study(Task):
    """Says something in every way there is."""

    subject: str
    data: str

    def execute(self, context: ExecutionContext) -> str:
        context.current_task.display = mark("display")
        context.progress(mark("label")).add(1)
        context.logger.info(mark("line"), attribute=mark("attribute"))
        with context.tracer.span(mark("span"), attribute=mark("span-attribute")) as span:
            span.add_event(mark("span-event"))
        context.job_cache[f"{mark('cache-group')}/{mark('cache-name')}"] = mark("cache-value").encode()
        context.job_cache["large"] = mark("large-cache-value", 5_000).encode()
        context.submit_subtask(Part(mark("subtask-input")), max_retries=1)
        context.submit_subtask(Part(mark("large-subtask-input", 10_000)))
        context.submit_subtask(Failing(mark("failing-input")), optional=True, max_retries=1)
        return mark("large-result", 5_000)


class Part(Task):
    text: str

    def execute(self, context: ExecutionContext) -> dict[str, str]:
        return {"part": mark("result")}


class Failing(Task):
    text: str

    def execute(self, context: ExecutionContext) -> None:
        try:
            raise KeyError(mark("cause"))
        except KeyError as error:
            context.logger.exception(mark("error-line"))
            raise ValueError(mark("message")) from error


class Long(Task):
    text: str

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = mark("running-display")
        context.progress(mark("running-label")).add(2)
        told.wait(20)


class Open(Task):
    text: str

    def execute(self, context: ExecutionContext) -> None:
        context.logger.info(self.text)


told = threading.Event()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    MARKS.clear()
    told.clear()
    yield tmp_path / "data"
    told.set()
    stop_server(tmp_path / "data")


def key_of(client: Client, job_id: object) -> bytes:
    store = next(iter(client._session.keyring._stores.values()))
    return shared_portal().run(store.fetch(str(job_id)))


def found(folder: Path) -> dict[str, list[str]]:
    """Return which marks are in which files."""
    everywhere = {name: files_with(folder, text.encode()) for name, text in MARKS.items()}
    return {name: files for name, files in everywhere.items() if files}


def test_nothing_of_a_sealed_job_is_in_the_data_folder(folder: Path) -> None:
    with Client(data_folder=folder, encrypt=True) as client:
        job = client.jobs().submit(
            "a study", [Study(mark("input"), mark("large-input", 10_000)), Long(mark("long"))]
        )
        runner = client.runner(tasks=[Study, Part, Failing, Long], concurrency=3)
        running = threading.Thread(target=runner.run_all)
        running.start()
        eventually(
            lambda: job.progress and job.tasks[1].display == mark("running-display")
        )  # what is told meanwhile
        assert found(folder) == {}
        told.set()
        running.join(30)
        assert job.wait(timeout=20).state is JobState.COMPLETED
        assert job.result[0] == mark("large-result", 5_000)
        error = job.tasks[-1].error
        assert error is not None
        assert mark("cause") in error.traceback
        eventually(lambda: len(client.jobs().query_logs(job)) == 5)
        assert len(MARKS) == 24
        assert found(folder) == {}

        # the same of an open job is found: this test can fail
        client.jobs().submit("open", Open(mark("open")), encrypt=False)
        client.runner(tasks=[Open]).run_all()
        assert [*found(folder)] == ["open"]

        key = key_of(client, job.id)
        assert files_with(folder, key)
        before = job.history[-1].position
        client.jobs().delete(job)
        assert files_with(folder, key) == []
        with pytest.raises(ErasedError):
            client.jobs().find(job.id, at=before).tasks[0].input  # noqa: B018

    stop_server(folder)
    assert files_with(folder, key) == []
    assert [*found(folder)] == ["open"]

    ensure_server(folder)
    assert files_with(folder, key) == []
    with Client(data_folder=folder) as client, pytest.raises(NotFoundError, match="its key was destroyed"):
        client.jobs().find(job.id)

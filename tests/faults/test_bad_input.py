"""What a user can get wrong, and inputs that are large, as they meet it: from the facade through to the log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.record import Record
from faults.tasks import Step
from jobledger import Client, ExecutionContext, Job, Task
from jobledger.adapters.embedded.start import stop_server
from jobledger.data import FutureTask, JobState, TaskState
from jobledger.errors import InputError, JobFailed


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Client]:
    with Client(data_folder=tmp_path / "home") as client:
        yield client
    stop_server(tmp_path / "home")


# -- nobody can run it ------------------------------------------------------------------------------------------------


class Elsewhere(Task):
    """Its code is on no runner."""

    size: int


class Here(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Elsewhere(3))
        context.submit_subtask(Here2(), cluster="far-away")


class Here2(Task):
    def execute(self, context: ExecutionContext) -> None: ...


def test_a_task_that_no_runner_knows_waits_and_says_what_for(embedded: Client) -> None:
    embedded.clusters().create("far away", slug="far-away")
    job = embedded.jobs().submit("waits", Here())
    assert job.tasks[0].waiting == "ready: waits for a runner of cluster 'default' with task Here v0.0"
    embedded.runner(tasks=[Here, Here2]).run_all()
    assert job.state is JobState.STARTED
    elsewhere, far_away = job.tasks[1:]
    assert elsewhere.state is far_away.state is TaskState.QUEUED
    assert elsewhere.waiting == "ready: waits for a runner of cluster 'default' with task Elsewhere v0.0"
    assert far_away.waiting == "ready: waits for a runner of cluster 'far-away' with task Here2 v0.0"
    with pytest.raises(
        TimeoutError, match=r"task 1 is ready: waits for a runner .* with task Elsewhere v0\.0"
    ):
        job.wait(timeout=0.1)

    with pytest.raises(ValueError, match="cannot be run"):
        embedded.runner(tasks=[Elsewhere])


# -- large ------------------------------------------------------------------------------------------------------------


class Blob(Task):
    text: str
    again: bool = False

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"{len(self.text)} characters"
        if self.again:
            context.submit_subtask(Blob(self.text))


def test_an_input_of_five_megabytes(embedded: Client) -> None:
    text = "0123456789" * 500_000
    job = embedded.jobs().submit("large", Blob(text, again=True))
    embedded.runner(tasks=[Blob]).run_all()
    job.wait(timeout=30)
    assert [task.display for task in job.tasks] == ["5000000 characters"] * 2
    assert job.tasks[1].input_json == {"text": text, "again": False}


def test_inputs_and_results_larger_than_a_message(embedded: Client) -> None:
    text = "0123456789" * 900_000  # a message has 8 MB at most

    class Echo(Task):
        text: str

        def execute(self, context: ExecutionContext) -> str:
            context.submit_subtask(Blob(self.text))
            return self.text

    job = embedded.jobs().submit("larger", Echo(text))
    embedded.runner(tasks=[Echo, Blob]).run_all()
    job.wait(timeout=30)
    assert job.tasks[0].input_json == job.tasks[0].result == job.result == text
    assert job.tasks[1].display == "9000000 characters"


class Wide(Task):
    width: int

    def execute(self, context: ExecutionContext) -> None:
        leaves = context.submit_subtasks([Leaf(index) for index in range(self.width)])
        context.submit_subtask(Last(), depends_on=leaves)


class Leaf(Task):
    index: int

    def execute(self, context: ExecutionContext) -> None: ...


class Last(Task):
    def execute(self, context: ExecutionContext) -> None: ...


def test_a_hundred_thousand_subtasks_of_one_task(embedded: Client) -> None:
    job = embedded.jobs().submit("wide", Wide(100_000))
    embedded.runner(tasks=[Wide, Leaf, Last], concurrency=2).run_all()
    job.wait(timeout=60)
    assert job.state is JobState.COMPLETED
    assert job.tasks_by_state[TaskState.COMPUTED] == 100_002
    assert [job.tasks[number].input_json for number in (1, 50_000, 100_000)] == [0, 49_999, 99_999]
    assert len(job.tasks[100_001].depends_on) == 100_000
    assert len(embedded.jobs().find(job.id).tasks) == 100_002


# -- hostile ----------------------------------------------------------------------------------------------------------


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


def _hostile() -> Exception:
    return HostileError()


def _not_unicode() -> Exception:
    return ValueError("file \udcff\udcfe is missing")


def _enormous() -> Exception:
    return ValueError("x" * 5_000_000)


def _exit() -> BaseException:
    return SystemExit(4)


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (_hostile, "HostileError", "cannot be read"),
        (_not_unicode, "ValueError", r"file \udcff\udcfe is missing"),
        (_enormous, "ValueError", "bytes left out"),
        (_exit, "SystemExit", "4"),
    ],
)
def test_an_exception_that_cannot_be_told_is_told(
    error: Callable[[], BaseException], reason: str, message: str, embedded: Client
) -> None:
    class Raises(Task):
        def execute(self, context: ExecutionContext) -> None:
            raise error()

    job = embedded.jobs().submit("raises", Raises())
    embedded.runner(tasks=[Raises]).run_all()
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.reason == reason
    assert message in job.error.message
    assert job.error.message.isprintable()
    str(job.history)


def test_mistakes_in_submitting_subtasks_fail_the_task_and_submit_nothing(embedded: Client) -> None:
    class Forgetful(Task):
        """Depends on a task of another parent."""

        def execute(self, context: ExecutionContext) -> None:
            handles.append(context.submit_subtask(Here2()))
            context.submit_subtask(Here2(), depends_on=handles[0])

    handles: list[FutureTask] = []
    job = embedded.jobs().submit("forgetful", [Forgetful(), Forgetful()])
    embedded.runner(tasks=[Forgetful, Here2]).run_all()
    with pytest.raises(JobFailed, match="dependency on a task of another parent"):
        job.wait(timeout=10)
    assert [task.name for task in job.tasks] == ["Forgetful", "Forgetful", "Here2", "Here2"]

    with pytest.raises(InputError, match="size"):
        embedded.jobs().submit("wrong type", Elsewhere("three"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"execute must take exactly \(self, context\)"):

        class Wrong(Task):
            def execute(self, context: ExecutionContext, more: int) -> None:  # type: ignore[override]
                ...


def test_several_threads_of_one_client(embedded: Client, record: Record) -> None:
    """Whoever shares a client between threads gets each job once."""
    jobs: list[Job] = []

    def submit() -> None:
        jobs.extend(embedded.jobs().submit(f"job {number}", Step()) for number in range(20))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    embedded.runner(tasks=[Step], concurrency=4).run_all()
    assert len({job.id for job in jobs}) == 80
    for job in jobs:
        job.wait(timeout=10)
    record.check(*jobs)

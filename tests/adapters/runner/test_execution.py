"""Whatever a task does, exactly one report of it can be sent: the grid of hostile tasks."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
import pytest

from jobledger.adapters.protocol import encode
from jobledger.adapters.runner.assignment import Assignment
from jobledger.adapters.runner.attempt.context import Equipment
from jobledger.adapters.runner.attempt.execution import execute
from jobledger.adapters.runner.attempt.user_code import UserCode
from jobledger.adapters.runner.caches.cache import NoCache
from jobledger.adapters.runner.failure import MAX_MESSAGE, MAX_TRACEBACK, bounded, describe
from jobledger.adapters.runner.registry import TaskRegistry
from jobledger.core.commands import ReleaseTask, Report, ReportComputed, ReportFailed, StageSubtasks
from jobledger.core.context import ExecutionContext, TaskCanceled
from jobledger.core.submission import TaskSpec
from jobledger.core.task import Task, encode_input, identifier_of

_decode = msgspec.msgpack.Decoder(Report).decode


class Worker(ThreadPoolExecutor):
    """A thread that executes, as those of a runner do: on the main thread, asyncio handles signals too."""

    def __init__(self) -> None:
        super().__init__(1)
        self.user_code = UserCode()


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker
        worker.submit(worker.user_code.close).result()


def run(
    task: Task, worker: Worker, *, classes: list[type[Task]] | None = None, data: bytes | None = None
) -> list[Any]:
    """Execute one attempt, as a worker does, and return its reports."""
    identifier = identifier_of(task)
    spec = TaskSpec(identifier.name, identifier.major, identifier.minor, "default")
    given = encode_input(task) if data is None else data
    assignment = Assignment(str(uuid4()), "a job", 3, 2, spec, given)
    registry = TaskRegistry([type(task)] if classes is None else classes)
    equipment = Equipment(registry, NoCache(), "default", None, logging.INFO, 900_000)
    worker.submit(execute, assignment, equipment, worker.user_code).result(30)
    reports = [_decode(report) for report in assignment.reports]
    assert all((report.task, report.attempt) == (3, 2) for report in reports)
    assert assignment.submits == any(getattr(report, "subtasks", None) is not None for report in reports)
    assert 0 < assignment.started <= assignment.stopped
    return reports


class Leaf(Task):
    text: str = ""

    def execute(self, context: ExecutionContext) -> None: ...


class Returns(Task):
    async_: bool

    def execute(self, context: ExecutionContext) -> Any:
        context.current_task.display = "done"
        return self._later() if self.async_ else 42

    async def _later(self) -> str:
        return "ignored"


@pytest.mark.parametrize("async_", [True, False])
def test_what_execute_returns_is_ignored(worker: Worker, async_: bool) -> None:
    (report,) = run(Returns(async_), worker)
    assert isinstance(report, ReportComputed)
    assert report.display == "done"
    assert report.subtasks is None


# -- exceptions ---------------------------------------------------------------------------------------------------


class StrRaises(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class StrExits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class StrIsNoText(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307  that is what it is for


class HostileText(str):
    def encode(self, *args: Any) -> bytes:
        raise RuntimeError


class StrIsHostile(Exception):
    def __str__(self) -> str:
        return HostileText("quiet")


class HostileName(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class Nameless(Exception, metaclass=HostileName): ...


class NotesAreHostile(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise RuntimeError


def chained() -> Exception:
    error = ValueError("outer")
    error.__cause__ = StrRaises()
    error.__cause__.__context__ = error
    return error


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


EXCEPTIONS: dict[str, tuple[Any, str, str]] = {
    "plain": (lambda: KeyError("Title"), "KeyError", "'Title'"),
    "no text": (ValueError, "ValueError", ""),
    "lone surrogates": (lambda: OSError("no file caf\udce9"), "OSError", "no file caf\\udce9"),
    "bytes": (lambda: ValueError(b"\xff\xfe"), "ValueError", "b'\\xff\\xfe'"),
    "null": (lambda: ValueError("a\x00b"), "ValueError", "a\x00b"),
    "str raises": (StrRaises, "StrRaises", "<the text of this exception cannot be read>"),
    "str exits": (StrExits, "StrExits", "<the text of this exception cannot be read>"),
    "str is no text": (StrIsNoText, "StrIsNoText", "<the text of this exception cannot be read>"),
    "str is hostile": (StrIsHostile, "StrIsHostile", "quiet"),
    "no name": (Nameless, "Exception", ""),
    "hostile notes": (lambda: NotesAreHostile("m"), "NotesAreHostile", "m"),
    "a circle of causes": (chained, "ValueError", "outer"),
    "exit": (lambda: SystemExit(1), "SystemExit", "1"),
    "canceled by nobody": (TaskCanceled, "TaskCanceled", "the task was asked to stop"),
    "interrupt": (KeyboardInterrupt, "KeyboardInterrupt", ""),
    "canceled": (asyncio.CancelledError, "CancelledError", ""),
    "generator exit": (GeneratorExit, "GeneratorExit", ""),
    "stop iteration": (lambda: StopIteration(1), "StopIteration", "1"),
    "a group": (
        lambda: BaseExceptionGroup("two", [KeyboardInterrupt(), ValueError("x")]),
        "BaseExceptionGroup",
        "two (2 sub-exceptions)",
    ),
    "out of memory": (lambda: MemoryError("all of it"), "MemoryError", "all of it"),
}


class Raises(Task):
    which: str
    async_: bool = False
    subtasks: int = 1

    def execute(self, context: ExecutionContext) -> Any:
        context.current_task.display = "before"
        context.submit_subtasks([Leaf()] * self.subtasks)
        return self._later() if self.async_ else self._now()

    def _now(self) -> None:
        raise EXCEPTIONS[self.which][0]()

    async def _later(self) -> None:
        await asyncio.sleep(0)
        self._now()


@pytest.mark.parametrize("which", EXCEPTIONS)
@pytest.mark.parametrize("async_", [False, True], ids=["sync", "async"])
def test_whatever_is_raised_is_reported(worker: Worker, which: str, async_: bool) -> None:
    if async_ and which == "stop iteration":
        pytest.skip("a coroutine turns it into a RuntimeError")
    (report,) = run(Raises(which, async_), worker)
    assert isinstance(report, ReportFailed)
    assert (report.error.reason, report.error.message) == EXCEPTIONS[which][1:]
    assert report.display == "before"
    # and the worker goes on
    (report,) = run(Returns(async_), worker)
    assert isinstance(report, ReportComputed)


def test_the_traceback_begins_in_the_code_of_the_user(worker: Worker) -> None:
    for async_ in (False, True):
        (report,) = run(Raises("plain", async_), worker)
        lines = report.error.traceback.splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert "test_execution.py" in lines[1]
        assert lines[-1] == "KeyError: 'Title'"


class Recurses(Task):
    def execute(self, context: ExecutionContext) -> None:
        recurse()


def test_endless_recursion_is_reported(worker: Worker) -> None:
    (report,) = run(Recurses(), worker)
    assert report.error.reason == "RecursionError"
    assert "recurse(depth + 1)" in report.error.traceback
    assert "Previous line repeated" in report.error.traceback


def test_long_texts_keep_their_head_and_their_tail() -> None:
    try:
        raise ValueError("HEAD" + "é" * 1_000_000 + "TAIL")
    except ValueError as raised:
        error = describe(raised)
    for text, limit in ((error.message, MAX_MESSAGE), (error.traceback, MAX_TRACEBACK)):
        assert len(text.encode()) < limit + 50
        assert "bytes left out" in text
        assert text.endswith("TAIL" if text is error.message else "TAIL\n")
    assert error.message.startswith("HEAD")
    assert error.traceback.startswith("Traceback")


@pytest.mark.parametrize("text", ["", "é" * 10, "\ud800" * 10, "a😀" * 20])
@pytest.mark.parametrize("limit", range(1, 30, 7))
def test_bounded_text_is_always_valid(text: str, limit: int) -> None:
    encode(bounded(text, limit))


# -- inputs and classes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"7", b"{", b"\xff", b'"a"x'])
def test_an_input_that_does_not_fit_fails_the_task(worker: Worker, data: bytes) -> None:
    (report,) = run(Leaf(), worker, data=data)
    assert isinstance(report, ReportFailed)
    assert report.error.reason == "InputError"
    assert "Leaf.text" in report.error.message


class Checks(Task):
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise SystemExit("negative")

    def execute(self, context: ExecutionContext) -> None: ...


def test_a_constructor_that_exits_fails_the_task(worker: Worker) -> None:
    (report,) = run(Checks(1), worker, data=b"-1")
    assert report.error.reason == "SystemExit"


def test_a_task_without_a_class_here_is_given_back(worker: Worker) -> None:
    (report,) = run(Leaf(), worker, classes=[Returns])
    assert isinstance(report, ReleaseTask)
    assert report.reason == "no class for Leaf v0.0 is registered with this runner"


# -- asynchronous code --------------------------------------------------------------------------------------------


class Nested(Task):
    async def _answer(self) -> int:
        await asyncio.sleep(0)
        return 42

    def execute(self, context: ExecutionContext) -> None:
        assert asyncio.run(self._answer()) == 42


def test_a_synchronous_task_may_run_a_loop_of_its_own(worker: Worker) -> None:
    for task in (Returns(True), Nested(), Returns(True), Nested()):
        (report,) = run(task, worker)
        assert isinstance(report, ReportComputed), report


class LeavesBehind(Task):
    canceled: ClassVar[list[str]] = []

    async def execute(self, context: ExecutionContext) -> None:
        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                LeavesBehind.canceled.append("canceled")

        self_task = asyncio.create_task(endless())
        await asyncio.sleep(0)
        assert not self_task.done()


def test_what_a_coroutine_leaves_running_ends_with_it(worker: Worker) -> None:
    (report,) = run(LeavesBehind(), worker)
    assert isinstance(report, ReportComputed)
    assert LeavesBehind.canceled == ["canceled"]


class ChildExits(Task):
    async def execute(self, context: ExecutionContext) -> None:
        async def leave() -> None:
            raise SystemExit("from a child")

        await asyncio.gather(leave(), asyncio.Event().wait())


def test_a_child_task_that_exits_fails_the_task_only(worker: Worker) -> None:
    (report,) = run(ChildExits(), worker)
    assert (report.error.reason, report.error.message) == ("SystemExit", "from a child")
    (report,) = run(Returns(True), worker)
    assert isinstance(report, ReportComputed)


class CancelsItself(Task):
    async def execute(self, context: ExecutionContext) -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.sleep(0)


def test_a_coroutine_that_cancels_itself_has_failed(worker: Worker) -> None:
    (report,) = run(CancelsItself(), worker)
    assert report.error.reason == "CancelledError"


_seen = contextvars.ContextVar("_seen", default=0)


class SetsVariable(Task):
    async_: bool

    def execute(self, context: ExecutionContext) -> Any:
        return self._later() if self.async_ else self._now()

    def _now(self) -> None:
        assert _seen.get() == 0
        _seen.set(1)

    async def _later(self) -> None:
        self._now()


@pytest.mark.parametrize("async_", [True, False])
def test_context_variables_do_not_reach_the_next_task(worker: Worker, async_: bool) -> None:
    for _ in range(2):
        (report,) = run(SetsVariable(async_), worker)
        assert isinstance(report, ReportComputed), report


# -- subtasks -----------------------------------------------------------------------------------------------------


class FansOut(Task):
    tasks: int
    size: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Leaf("x" * self.size)] * self.tasks)


def test_a_long_list_of_subtasks_is_sent_in_chunks(worker: Worker) -> None:
    *staged, last = run(FansOut(1000, 1000), worker)
    assert len(staged) == 3
    assert all(isinstance(report, StageSubtasks) for report in staged)
    assert isinstance(last, ReportComputed)
    chunks = [*(report.tasks for report in staged), last.subtasks]
    assert [chunk.start for chunk in chunks] == [sum(map(len, chunks[:i])) for i in range(len(chunks))]
    assert sum(map(len, chunks)) == 1000
    for chunk in chunks:
        chunk.check()


class Scatters(Task):
    """Depends on every second one of so many tasks that their numbers alone fill a message."""

    def execute(self, context: ExecutionContext) -> None:
        handles = context.submit_subtasks([Leaf()] * 400_000)
        context.submit_subtask(Leaf(), depends_on=handles[::2])


def test_what_cannot_be_divided_into_messages_fails_the_task(worker: Worker) -> None:
    (report,) = run(Scatters(), worker)
    assert isinstance(report, ReportFailed)
    assert report.error.reason == "SubmissionTooLarge"
    assert "depend on neighbours" in report.error.message


def test_failures_are_shown_on_stdout(worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    run(Raises("plain"), worker)
    assert capsys.readouterr().out.startswith(
        "ERROR: Task Raises failed with exception: KeyError('Title') job_id="
    )
    run(Raises("str raises"), worker)
    assert "<StrRaises, of which repr() raises>" in capsys.readouterr().out

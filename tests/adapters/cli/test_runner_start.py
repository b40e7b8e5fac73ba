"""`jobledger runner start`: real processes that run tasks, are killed, replaced, and told to stop."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from jobledger import Job
from support.processes import PythonProcess
from support.waiting import eventually

from .conftest import Served

_TASKS = """
import os, time
from pathlib import Path
from jobledger import ExecutionContext, Task

class Where(Task):
    number: int

    def execute(self, context: ExecutionContext) -> int:
        return os.getpid()

class Held(Task):
    folder: Path

    def execute(self, context: ExecutionContext) -> None:
        (self.folder / "begun").touch()
        while not (self.folder / "may end").exists():
            time.sleep(0.01)
"""


class Runners(PythonProcess):
    """`jobledger runner start`, in a session of its own as a shell's job has one."""

    def __init__(self, served: Served, folder: Path, *options: str) -> None:
        command = "import os; os.setsid(); from jobledger.adapters.cli import main; main()"
        super().__init__(
            *("-c", command, "runner", "start", "my_tasks", *options, "--cluster", "runners"),
            ready="takes tasks of cluster",
            environment={"JOBLEDGER_URL": served.url, "JOBLEDGER_NAMESPACE": served.names.namespace},
            folder=folder,
        )

    def processes(self) -> list[int]:
        """Return the processes that have said that they take tasks, oldest first."""
        return [int(pid) for pid in re.findall(r"process (\d+) takes tasks", self.log)]

    def press_ctrl_c(self) -> None:
        os.killpg(self.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for its end, and return its exit code."""
        assert self._process is not None
        return self._process.wait(20)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive:
            self.kill()
        eventually(lambda: not any(map(_runs, self.processes())), within=20)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder, with tasks, and with a file by the name of a module of Python's own."""
    (tmp_path / "my_tasks.py").write_text(_TASKS)
    (tmp_path / "argparse.py").write_text("raise ImportError('not the one of the library')\n")
    return tmp_path


@pytest.fixture
def submit(served: Served, folder: Path) -> Callable[..., Job]:
    clusters = served.client.clusters()
    if "runners" not in [cluster.slug for cluster in clusters.all()]:
        clusters.create("runners", slug="runners")
    sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module("my_tasks")
        kinds = {"Where": found.Where, "Held": found.Held}
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("my_tasks", None)

    def submit(kind: str, *inputs: object) -> Job:
        return served.client.jobs().submit(kind, [kinds[kind](one) for one in inputs], cluster="runners")

    return submit


def test_processes_that_die_are_replaced_and_all_end_when_told_to(
    served: Served, folder: Path, submit: Callable[..., Job]
) -> None:
    with Runners(served, folder, "-n", "2") as runners:
        eventually(lambda: len(runners.processes()) == 2)
        first, second = runners.processes()
        job = submit("Where", *range(40)).wait(30)
        assert {task.result for task in job.tasks} <= {first, second}
        os.kill(first, signal.SIGKILL)
        third = eventually(lambda: runners.processes()[2:])[0]
        assert f"process {first} was killed by SIGKILL; another one is started" in runners.log
        job = submit("Where", *range(40)).wait(30)
        assert {task.result for task in job.tasks} <= {second, third}
        os.kill(runners.pid, signal.SIGTERM)
        assert runners.end() == 0
        assert not any(map(_runs, runners.processes()))
        assert "Traceback" not in runners.log


def test_processes_end_with_a_supervisor_that_is_killed(
    served: Served, folder: Path, submit: Callable[..., Job]
) -> None:
    with Runners(served, folder, "-n", "1") as runners:
        (process,) = runners.processes()
        os.kill(runners.pid, signal.SIGKILL)
        eventually(lambda: not _runs(process), within=20)


def test_ctrl_c_reaches_a_process_once_so_that_its_task_can_finish(
    served: Served, folder: Path, submit: Callable[..., Job]
) -> None:
    with Runners(served, folder, "-n", "1") as runners:
        job = submit("Held", folder)
        eventually((folder / "begun").exists)
        runners.press_ctrl_c()
        # Whoever is told twice gives its task up, which would be run again, or never be completed.
        (folder / "may end").touch()
        assert runners.end() == 0
    assert job.wait(10).state.name == "COMPLETED"
    assert sum(one.started_at is not None for one in job.tasks[0].attempts) == 1


def test_a_single_process_is_this_one_and_ends_with_0_when_told_to(
    served: Served, folder: Path, submit: Callable[..., Job]
) -> None:
    with Runners(served, folder) as runners:
        assert runners.processes() == [runners.pid]
        assert submit("Where", 1).wait(30).tasks[0].result == runners.pid
        os.kill(runners.pid, signal.SIGTERM)
        assert runners.end() == 0
        assert "Traceback" not in runners.log

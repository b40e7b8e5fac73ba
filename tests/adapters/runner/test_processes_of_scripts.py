"""Worker processes of real programs: what a script may look like, and what becomes of its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobledger
from jobledger import Client
from jobledger.adapters.nats.names import Names
from jobledger.data import JobState
from support.engines import EngineHarness
from support.process_tasks import HoldsTheInterpreter, WaitsFor
from support.servers import NatsServer
from support.waiting import eventually

SOURCE = os.pathsep.join((str(Path(jobledger.__path__[0]).parent), str(Path(__file__).parents[2])))
TASKS = """
import os, sys
from jobledger import Client, ExecutionContext, Retry, Task

class Odd(Exception): ...

class Add(Task, retry=Retry(1, on=(Odd,))):
    a: int
    b: int
    def execute(self, context: ExecutionContext) -> int:
        print("adding", flush=True)
        if context.current_task.attempt == 1:
            raise Odd
        return self.a + self.b

def run():
    client = Client(os.environ["SERVER"], namespace="scripts")
    job = client.jobs().submit("adding", Add(2, 3))
    client.runner(tasks=[Add], pool="processes").run_all()
    print("result", job.refresh().result, os.environ.get("UNUSED", ""))
"""


@pytest.fixture(scope="module")
def client(nats_server: NatsServer) -> Iterator[Client]:
    engine = EngineHarness(nats_server.url, Names("scripts")).wait_ready()
    with Client(nats_server.url, namespace="scripts") as connected:
        yield connected
    engine.stop()


class Programs:
    """Runs programs of a folder of their own, and ends them with the test."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": SOURCE, "SERVER": url}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, standard_input: str | None = None) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL if standard_input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(program)
        return program

    def run(self, *arguments: str, standard_input: str | None = None) -> tuple[int, str, str]:
        program = (
            self.start(*arguments)
            if standard_input is None
            else self.start(*arguments, standard_input=standard_input)
        )
        out, err = program.communicate(standard_input, timeout=30)
        return program.returncode, out, err

    def script(self, text: str) -> str:
        path = self.folder / "script.py"
        path.write_text(text)
        return str(path)


@pytest.fixture
def programs(tmp_path: Path, nats_server: NatsServer) -> Iterator[Programs]:
    running = Programs(tmp_path, nats_server.url)
    yield running
    for program in running.started:
        if program.poll() is None:
            program.kill()
        program.communicate()


def test_a_script_that_says_when_it_was_started_may_define_its_tasks(
    client: Client, programs: Programs
) -> None:
    script = programs.script(TASKS + 'print("top", flush=True)\nif __name__ == "__main__":\n    run()\n')
    code, out, err = programs.run(script)
    assert (code, err.count("Traceback")) == (0, 0), err
    # Loaded once more, in the process, for its class; the exception that it defines is known to the policy there.
    assert [line for line in out.splitlines() if "ERROR" not in line] == [
        "top",
        "top",
        "adding",
        "adding",
        "result 5 ",
    ]


def test_a_module_that_is_run_by_its_name_finds_what_is_beside_it(client: Client, programs: Programs) -> None:
    package = programs.folder / "sums"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "beside.py").write_text("PLUS = 1\n")
    (package / "program.py").write_text(
        "from .beside import PLUS\n" + TASKS + 'if __name__ == "__main__":\n    run()\n'
    )
    code, out, err = programs.run("-m", "sums.program")
    assert (code, out.splitlines()[-1]) == (0, "result 5 "), err


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (TASKS + "run()\n", 'which has no line `if __name__ == "__main__":` at its top level'),
        (None, "Add is defined in an interactive session, which a worker process cannot import"),
    ],
    ids=["unguarded", "interactive"],
)
def test_what_cannot_be_loaded_again_is_refused_before_anything_is_run_twice(
    client: Client, programs: Programs, source: str | None, problem: str
) -> None:
    if source is None:
        code, out, err = programs.run("-", standard_input=TASKS + "run()\n")
    else:
        code, out, err = programs.run(programs.script(source))
    assert code == 1
    assert err.splitlines()[-1].startswith("jobledger.core.errors.ArgumentError: ")
    assert problem in err
    assert "adding" not in out


def test_a_runner_outside_of_the_guard_is_no_bomb(client: Client, programs: Programs) -> None:
    script = programs.script(
        TASKS.replace("job = client", "job = None and client").replace("job.refresh()", "job")
        + """
client = Client(os.environ["SERVER"], namespace="scripts")
job = client.jobs().submit("adding", Add(2, 3)) if __name__ == "__main__" else None
if __name__ == "never":
    pass
client.runner(tasks=[Add], pool="processes").run_all()
"""
    )
    code, _, err = programs.run(script)
    assert code == 1
    assert "a worker process cannot load the tasks" in err
    assert 'the script starts a runner outside of its `if __name__ == "__main__":`' in err


def test_tasks_that_cannot_be_imported_in_a_process_end_the_run_saying_why(
    client: Client, programs: Programs
) -> None:
    (programs.folder / "fragile.py").write_text(
        "import os\nif os.environ.get('BROKEN'):\n    raise OSError('no such device')\n" + TASKS
    )
    code, _, err = programs.run("-c", "import os, fragile; os.environ['BROKEN'] = '1'; fragile.run()")
    assert code == 1
    assert (
        "a worker process cannot load the tasks, the code that it imports fails there: OSError: no such device"
        in err
    )
    assert "fragile.py" in err


def runner_program(programs: Programs, *tasks: str) -> subprocess.Popen[str]:
    (programs.folder / "these.py").write_text(
        f"from support.process_tasks import {', '.join(tasks)}\ntasks = [{', '.join(tasks)}]\n"
    )
    options = ["--url", programs.environment["SERVER"], "--namespace", "scripts", "--pool", "processes"]
    return programs.start("-m", "jobledger.adapters.cli", "runner", "start", "these:tasks", *options)


def test_processes_end_with_a_runner_that_is_killed(client: Client, programs: Programs) -> None:
    runner = runner_program(programs, "HoldsTheInterpreter")
    pids = programs.folder / "pids"
    client.jobs().submit("holding", HoldsTheInterpreter(str(pids)))
    eventually(lambda: pids.exists() and pids.read_text(), within=20)
    worker, child = map(int, pids.read_text().split())
    runner.kill()
    eventually(
        lambda: not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text()
    )
    os.kill(child, signal.SIGKILL)  # a program that the task had started is not the runner's


def test_ctrl_c_lets_what_runs_in_processes_finish(client: Client, programs: Programs) -> None:
    runner = runner_program(programs, "WaitsFor")
    begun, end = programs.folder / "begun", programs.folder / "end"
    job = client.jobs().submit("waiting", WaitsFor(str(begun), str(end)))
    eventually(lambda: begun.exists() and begun.read_text(), within=20)
    os.killpg(runner.pid, signal.SIGINT)  # as a terminal does it: to all processes of the group
    end.touch()
    out, err = runner.communicate(timeout=20)
    assert runner.returncode == 0, out + err
    assert "Traceback" not in err
    assert job.refresh().state == JobState.COMPLETED

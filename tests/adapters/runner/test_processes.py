"""Tasks in worker processes do all that tasks on threads do, and what happens to a process happens to one attempt."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobledger import Client, Job, RunnerContext, Task
from jobledger.adapters.nats.names import Names
from jobledger.cache import InMemoryCache
from jobledger.data import JobState
from jobledger.errors import ArgumentError
from support import process_tasks as tasks
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually

TASKS = [
    cls for cls in vars(tasks).values() if isinstance(cls, type) and issubclass(cls, Task) and cls is not Task
]


@pytest.fixture(scope="module")
def client(nats_server: NatsServer) -> Iterator[Client]:
    engine = EngineHarness(nats_server.url, Names("processes")).wait_ready()
    with Client(nats_server.url, namespace="processes") as connected:
        yield connected
    engine.stop()


@pytest.fixture(scope="module")
def two_processes(client: Client) -> Iterator[None]:
    """A runner of two processes that runs all the time: what one test does to it, the next ones do not notice."""
    runner = client.runner(
        tasks=TASKS, cache=InMemoryCache(), context=tasks.Made, concurrency=2, pool="processes"
    )
    thread = threading.Thread(target=runner.run_forever)
    thread.start()
    yield
    runner.stop()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def run(client: Client, two_processes: None) -> Callable[..., Job]:
    def run(*submitted: Task, **options: Any) -> Job:
        return (
            client.jobs().submit("in processes", list(submitted), **options).wait(20, raise_on_failure=False)
        )

    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


# -- what a task can do -------------------------------------------------------------------------------------------


def test_tasks_run_on_the_main_threads_of_other_processes(run: Callable[..., Job]) -> None:
    pid, main, context_pid = run(tasks.Where()).result
    assert pid != os.getpid()
    assert main
    assert context_pid == pid  # the context was made there


def test_thousands_go_over_in_batches(run: Callable[..., Job]) -> None:
    job = run(tasks.Many(3000))
    assert job.state == JobState.COMPLETED
    assert len(job.tasks) == 3001


def test_results_of_dependencies_and_the_one_cache_of_all_processes(run: Callable[..., Job]) -> None:
    job = run(tasks.MapReduce(20))
    total = sum(number**2 for number in range(20))
    assert job.tasks[-1].result == [total, total]


def test_large_results_and_inputs_travel_by_reference(run: Callable[..., Job]) -> None:
    assert run(tasks.EchoAndMeasure(500)).tasks[-1].result == [500_000]
    assert run(tasks.Echo("y" * 300_000)).result == "y" * 300_000


def test_errors_of_what_the_runner_does_for_a_task_are_the_same(run: Callable[..., Job]) -> None:
    assert run(tasks.Misses()).result.startswith(
        "NotFoundError: the cache has no key 'nothing/there' in group"
    )
    error = run(tasks.Elsewhere()).tasks[0].error
    assert error is not None
    assert error.reason == "NotFoundError"
    assert "nowhere" in error.message


def test_sealed_jobs(client: Client, run: Callable[..., Job]) -> None:
    job = run(tasks.MapReduce(3), encrypt=True)
    assert job.tasks[-1].result == [5, 5]
    died = run(tasks.Exits(4), encrypt=True).tasks[0].error
    assert died is not None
    assert "exit code 4" in died.message


def test_a_success_is_reused(run: Callable[..., Job]) -> None:
    assert run(tasks.Once("first")).result == eventually(lambda: run(tasks.Once("first"))).result


def test_coroutines_are_awaited(run: Callable[..., Job]) -> None:
    assert run(tasks.Awaits()).result == "awaited"


def test_what_a_running_task_tells_is_there_while_it_runs(
    client: Client, two_processes: None, tmp_path: Path
) -> None:
    job = client.jobs().submit("telling", tasks.Tells(str(tmp_path / "end")))
    task = eventually(lambda: next((task for task in job.refresh().tasks if task.display == "telling"), None))
    assert task is not None
    assert [(one.label, one.total, one.done) for one in job.progress] == [("parts", 3, 1)]
    assert eventually(lambda: [line.body for line in client.jobs().query_logs(job)]) == ["a line from afar"]
    (tmp_path / "end").touch()
    job.wait(10, raise_on_failure=False)
    assert eventually(lambda: client.jobs().query_spans(job, name="afar"))


# -- what happens to processes ------------------------------------------------------------------------------------


def test_a_process_that_exits_costs_the_attempt_it_ran(run: Callable[..., Job]) -> None:
    job = run(tasks.Exits(3))
    error = job.tasks[0].error
    assert job.state == JobState.FAILED
    assert error is not None
    assert error.reason == "WorkerDied"
    assert error.message.endswith("that ran this attempt ended with exit code 3")


def test_leaving_by_sys_exit_only_fails_the_attempt(run: Callable[..., Job]) -> None:
    error = run(tasks.Leaves()).tasks[0].error
    assert error is not None
    assert (error.reason, error.message) == ("SystemExit", "enough")


def test_native_code_that_crashes_is_tried_as_often_as_the_policy_says(run: Callable[..., Job]) -> None:
    task = run(tasks.Crashes()).tasks[0]
    assert task.error is not None
    assert "signal SIGSEGV" in task.error.message
    assert "process_tasks.py" in task.error.traceback  # where it was
    assert [attempt.number for attempt in task.attempts] == [1, 2]


def test_a_task_whose_process_is_killed_is_tried_again(run: Callable[..., Job]) -> None:
    assert run(tasks.KilledOnce()).result == 2


def test_what_a_process_did_before_it_died_counts_and_what_it_had_not_begun_is_run(
    run: Callable[..., Job],
) -> None:
    job = run(tasks.Mixed(400))
    states = [task.state.name for task in job.tasks]
    assert states.count("FAILED") == 1
    assert states.count("COMPUTED") == 401
    assert {len(task.attempts) for task in job.tasks} == {1}  # nothing was run twice


def test_a_process_that_a_task_forked_does_not_hide_the_death_of_its_own(run: Callable[..., Job]) -> None:
    error = run(tasks.Forks()).tasks[0].error
    assert error is not None
    assert "exit code 9" in error.message


def test_one_that_holds_its_interpreter_holds_up_none_of_those_behind_it(
    run: Callable[..., Job], tmp_path: Path
) -> None:
    # The one that lets it go on comes after it: in the same batch or not, it has to run somewhere else.
    assert run(tasks.SlowAmongFast(str(tmp_path / "go on"), 200)).state == JobState.COMPLETED


# -- stopping -----------------------------------------------------------------------------------------------------


def test_at_its_time_limit_a_task_is_stopped_in_the_middle_of_a_system_call(
    run: Callable[..., Job], tmp_path: Path
) -> None:
    error = run(tasks.Sleeps(str(tmp_path / "said"))).tasks[0].error
    assert error is not None
    assert error.reason == "TimeoutError"
    assert error.message == "the attempt took longer than its time limit of 0.3 s. It was stopped"
    assert (tmp_path / "said").read_text() == "stopped"


def test_native_code_that_goes_on_is_killed_with_what_it_started(
    run: Callable[..., Job], tmp_path: Path
) -> None:
    error = run(tasks.HoldsTheInterpreter(str(tmp_path / "pids")), timeout=0.5).tasks[0].error
    assert error is not None
    assert error.message.endswith("It was stopped, did not end for 1 s, and its process was killed")
    assert "in execute" in error.traceback
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        eventually(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def test_a_canceled_task_is_told(client: Client, two_processes: None, tmp_path: Path) -> None:
    job = client.jobs().submit("asking", tasks.Asks(str(tmp_path / "begun")))
    eventually((tmp_path / "begun").exists)
    client.jobs().cancel(job.id, reason="changed my mind")
    eventually(lambda: job.refresh().settled)
    assert job.state == JobState.CANCELED


# -- one process --------------------------------------------------------------------------------------------------


def test_one_process_keeps_the_order_exactly_and_takes_classes_that_are_registered_later(
    client: Client, tmp_path: Path
) -> None:
    client.clusters().create("single", slug="single")
    runner = client.runner("single", [tasks.Echo], pool="processes")
    thread = threading.Thread(target=runner.run_forever)
    thread.start()
    assert client.jobs().submit("first", tasks.Echo("a"), cluster="single").wait(20).result == "a"
    runner.register(tasks.Tree)  # counts from the next request on, which this one brings about
    assert client.jobs().submit("second", tasks.Echo("b"), cluster="single").wait(20).result == "b"
    file = str(tmp_path / "order")
    roots = [tasks.Tree(file, name, 2) for name in "abc"]
    client.jobs().submit("ordered", list(roots), cluster="single").wait(20)
    runner.stop()
    thread.join(10)
    assert Path(file).read_text().split() == ["a", "a0", "a1", "b", "b0", "b1", "c", "c0", "c1"]


# -- the runner's own end -----------------------------------------------------------------------------------------


def test_a_runner_that_is_stopped_lets_what_runs_finish_and_gives_the_rest_back(
    client: Client, tmp_path: Path
) -> None:
    client.clusters().create("drained", slug="drained")
    runner = client.runner("drained", [tasks.WaitsFor], concurrency=1, pool="processes")
    thread = threading.Thread(target=runner.run_forever)
    thread.start()
    begun, end = tmp_path / "begun", tmp_path / "end"
    first, second = tasks.WaitsFor(str(begun), str(end)), tasks.WaitsFor(str(tmp_path / "not"), str(end))
    job = client.jobs().submit("draining", [first, second], cluster="drained")
    eventually(lambda: begun.exists() and begun.read_text())
    os.killpg(
        pid := int(begun.read_text()), signal.SIGTERM
    )  # as to all processes of a service: it is not for it
    runner.stop()
    end.touch()
    thread.join(10)
    assert not thread.is_alive()
    assert [task.state.name for task in job.refresh().tasks] == ["COMPUTED", "QUEUED"]
    assert not (tmp_path / "not").exists()
    assert not alive(pid)


def test_what_does_not_finish_within_the_grace_is_killed_and_given_back(
    client: Client, tmp_path: Path
) -> None:
    client.clusters().create("hurried", slug="hurried")
    runner = client.runner("hurried", [tasks.WaitsFor], pool="processes")
    thread = threading.Thread(target=runner.run_forever, kwargs={"grace": 0.1})
    thread.start()
    begun = tmp_path / "begun"
    job = client.jobs().submit(
        "hurrying", tasks.WaitsFor(str(begun), str(tmp_path / "never")), cluster="hurried"
    )
    eventually(lambda: begun.exists() and begun.read_text())
    runner.stop()
    thread.join(10)
    assert not thread.is_alive()
    eventually(lambda: not alive(int(begun.read_text())))
    assert job.refresh().tasks[0].state.name == "QUEUED"


# -- what cannot be run in processes ------------------------------------------------------------------------------


def test_classes_that_no_process_can_import_are_refused(client: Client) -> None:
    class Local(Task):
        def execute(self, context: object) -> None: ...

    class Context(RunnerContext): ...

    with pytest.raises(
        ArgumentError, match=r"Local of .* is defined inside a function: a worker process imports"
    ):
        client.runner(tasks=[Local], pool="processes")
    with pytest.raises(ArgumentError, match="is defined inside a function"):
        client.runner(tasks=[tasks.Nothing], context=Context, pool="processes")
    with pytest.raises(ArgumentError, match="pass its class, of which each worker process makes one"):
        client.runner(tasks=[tasks.Nothing], context=tasks.Made(), pool="processes")
    with pytest.raises(ArgumentError, match='pool is "threads" or "processes", not \'proceses\''):
        client.runner(tasks=[tasks.Nothing], pool="proceses")  # type: ignore[arg-type]

"""A workbench: a real server, an engine of the test's own namespace, and runners to put on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.runner.runner import TaskRunner
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.core.task import Task, encode_input, identifier_of
from support.engines import EngineHarness, event_names, folded, submit
from support.servers import NatsServer
from support.waiting import eventually


class Workbench:
    """Submits tasks as a client does, and runs them."""

    def __init__(self, url: str, names: Names) -> None:
        self.names = names
        self.portal = shared_portal()
        self.link = self.new_link(url)
        self._threads: list[threading.Thread] = []

    def new_link(self, url: str) -> Link:
        link = Link(lambda: Endpoint(url), self.names, "test")
        self.portal.run(link.open())
        return link

    def submit(self, *tasks: Task, cluster: str = "default", max_retries: int = 0) -> str:
        return submit(self.link, *(new_task(task, cluster, max_retries) for task in tasks))

    def runner(self, *tasks: type[Task], link: Link | None = None, **options: Any) -> TaskRunner:
        async def connection() -> Link:
            return link or self.link

        options = {"cluster": "default", **options}
        return TaskRunner(tasks, link=connection, **options)

    def in_background(self, run: Callable[[], None]) -> threading.Thread:
        """Call `run` on a thread that has to have ended when the test ends."""
        thread = threading.Thread(target=run, name="in-background")
        thread.start()
        self._threads.append(thread)
        return thread

    def run(self, *tasks: Task, runs: tuple[type[Task], ...] = (), **options: Any) -> Job:
        """Submit a job of these root tasks, run it, and return it as the log has it."""
        job_id = self.submit(*tasks)
        self.runner(*{*map(type, tasks), *runs}, **options).run_all()
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        return folded(self.link, job_id)

    def events(self, job_id: str) -> list[str]:
        return event_names(self.link, job_id)

    def settled(self, job_id: str, within: float = 20.0) -> Job:
        def look() -> Job | None:
            job = self.job(job_id)
            return job if job.settled else None

        found = eventually(look, within)
        assert found is not None
        return found

    def close(self) -> None:
        for thread in self._threads:
            thread.join(20)
        self.portal.run(self.link.close())
        assert not any(thread.is_alive() for thread in self._threads)


def new_task(task: Task, cluster: str = "default", max_retries: int = 0) -> NewTask:
    identifier = identifier_of(task)
    spec = TaskSpec(identifier.name, identifier.major, identifier.minor, cluster, max_retries)
    return NewTask(spec, encode_input(task), frozenset())


def states(job: Job) -> list[TaskState]:
    """Return the states of the job's tasks, in order."""
    return [job.state_of(task) for task in range(len(job.inputs))]


def is_completed(job: Job) -> bool:
    return job.state == JobState.COMPLETED.value


def worker_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("jobledger-worker")]


@pytest.fixture
def start_engine(nats_server: NatsServer, names: Names) -> Iterator[Callable[..., EngineHarness]]:
    """Start engines of this test's namespace."""
    engines: list[EngineHarness] = []

    def start(**options: Any) -> EngineHarness:
        engines.append(EngineHarness(nats_server.url, names, **options))
        return engines[-1].wait_ready()

    yield start
    for engine in engines:
        engine.stop()


@pytest.fixture
def bare_new(nats_server: NatsServer, names: Names) -> Iterator[Workbench]:
    """A workbench in a namespace that nobody has used."""
    bench = Workbench(nats_server.url, names)
    yield bench
    bench.close()


@pytest.fixture
def bare_bench(bare_new: Workbench) -> Workbench:
    """A workbench without an engine, but with the log that one has made."""
    bare_new.portal.run(ensure_log(bare_new.link.nc.jetstream(), bare_new.names))
    return bare_new


@pytest.fixture
def bench(start_engine: Callable[..., EngineHarness], bare_bench: Workbench) -> Workbench:
    start_engine()
    return bare_bench

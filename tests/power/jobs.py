"""Whole jobs on a server that loses power, and what their users had been told of them by then."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import NamedTuple

from jobledger import Client, ExecutionContext, NotFoundError, ServerUnavailable, Task
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.data import JobState
from support.engines import EngineHarness
from support.waiting import eventually

_NAMES = Names("power-jobs")
_told: list[Told] = []
_telling = threading.Lock()


class Told(NamedTuple):
    """What somebody outside of the server knew, and since when."""

    at: float  #: by CLOCK_MONOTONIC
    what: str  #: "submitted", "begun" (an attempt, by its own code) or "completed"
    job_id: str
    task: int = 0
    attempt: int = 0


def tell(what: str, job_id: str, task: int = 0, attempt: int = 0) -> None:
    with _telling:
        _told.append(Told(time.monotonic(), what, job_id, task, attempt))


class Leaf(Task):
    """Tells that it was begun."""

    size: int = 0

    def execute(self, context: ExecutionContext) -> bytes:
        job_id, _, number = context.current_task.id.rpartition("/")
        tell("begun", job_id, int(number), context.current_task.attempt)
        return bytes(self.size)


class Tree(Task):
    """Leaves side by side, and some that wait for them."""

    width: int
    size: int

    def execute(self, context: ExecutionContext) -> None:
        leaves = context.submit_subtasks([Leaf(self.size)] * self.width)
        context.submit_subtasks([Leaf(self.size)] * self.width, depends_on=leaves)


def run(endpoint: Endpoint, random: Random, jobs: int) -> list[Told]:
    """Run jobs to their end, and return all that was told of them."""
    _told.clear()
    url = _login(endpoint)
    engine = EngineHarness(url, _NAMES).wait_ready()
    try:
        with Client(url, namespace=_NAMES.namespace) as client:
            running = []
            for number in range(jobs):
                tree = Tree(random.randint(1, 20), random.choice((0, 100, 20_000)))
                job = client.jobs().submit(f"tree {number}", tree)
                tell("submitted", str(job.id))
                running.append(job)
            runner = client.runner(tasks=[Tree, Leaf], concurrency=4)
            runner.run_all()
            for job in running:
                assert job.wait(timeout=30).state is JobState.COMPLETED
                tell("completed", str(job.id))
    finally:
        engine.stop()
    return list(_told)


def forgotten(endpoint: Endpoint, told: list[Told]) -> list[Told]:
    """Return what was told of jobs, and is not so by the log of this server; their histories are checked as they are read."""
    claimed: dict[str, set[tuple[int, int]]] = {}
    states: dict[str, JobState] = {}  #: of the jobs that are there
    with Client(_login(endpoint), namespace=_NAMES.namespace, patience=1) as client:
        for job_id in {one.job_id for one in told}:
            claimed[job_id] = set()
            try:
                found = client.jobs().find(job_id)
            except (NotFoundError, ServerUnavailable):  # not there, or not even the log is
                continue
            states[job_id] = found.state
            claimed[job_id] = {
                (task, event.attempt)
                for event in (entry.event for entry in found.history)
                if isinstance(event, e.TasksClaimed)
                for task in ranges.numbers(event.tasks)
            }
    return [
        one
        for one in told
        if one.job_id not in states
        or (one.what == "completed" and states[one.job_id] is not JobState.COMPLETED)
        or (one.what == "begun" and (one.task, one.attempt) not in claimed[one.job_id])
    ]


def finish(endpoint: Endpoint, told: list[Told]) -> None:
    """Run to their end all jobs that were told of, on a server as a power failure left it."""
    url = _login(endpoint)
    engine = EngineHarness(url, _NAMES, lease=1.0).wait_ready()
    try:
        with Client(url, namespace=_NAMES.namespace) as client:
            found = [client.jobs().find(job_id) for job_id in {one.job_id for one in told}]
            runner = client.runner(tasks=[Tree, Leaf], concurrency=4)

            def completed() -> bool:
                runner.run_all()  # not what the runner before the failure holds, until its lease is over
                return all(job.state is JobState.COMPLETED for job in found)

            eventually(completed, within=20)
    finally:
        engine.stop()


def _login(endpoint: Endpoint) -> str:
    (url,) = endpoint.urls
    return url.replace("://", f"://{endpoint.user}:{endpoint.password}@")

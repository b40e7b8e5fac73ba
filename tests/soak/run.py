"""A soak: everything runs as processes of its own under a steady load, and what each of them holds is watched."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from soak import figures, inside
from soak.trend import Trend, trend
from support.processes import PythonProcess
from support.servers import NatsServer

_MONITOR = re.compile(r"Starting http monitor on (\S+)")
_DONE = re.compile(r"soak program done (\d+)")
NAMESPACE = "soak"


@dataclass(frozen=True)
class Options:
    """How long to watch, and what."""

    seconds: float
    warm_up: float
    rate: float  #: tasks a second
    every: float = 1.0  #: seconds between two samples
    kill_every: float = (
        10.0  #: seconds between the start of a runner and a reader, and their death, and so on
    )
    leak: Mapping[str, str] = field(
        default_factory=dict
    )  #: what a process is to leak on purpose, by its name


@dataclass
class Result:
    """What was measured."""

    seconds: float = 0.0
    tasks: int = 0  #: done while it was watched
    jobs: int = 0  #: in the log at the end
    killed: int = 0  #: processes
    times: list[float] = field(default_factory=list)
    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)  #: by process and figure

    @property
    def trends(self) -> dict[tuple[str, str], Trend]:
        return {key: trend(self.times[-len(values) :], values) for key, values in self.samples.items()}

    @property
    def leaks(self) -> list[str]:
        """Return what grew by more than it may."""
        return [
            f"{figure} of {process} grew by {found.growth:,.0f} from {found.first:,.0f}"
            for (process, figure), found in self.trends.items()
            if found.exceeds(figures.ALLOWED[figure].of(found.first))
        ]

    def table(self) -> str:
        """Return all of it as a table in Markdown."""
        lines = ["| process | figure | at first | at last | growth | |", "|---|---|---:|---:|---:|---|"]
        for (process, figure), found in self.trends.items():
            allowed = figures.ALLOWED[figure].of(found.first)
            state = "**leaks**" if found.exceeds(allowed) else "flat"
            unit = figures.MiB if figure.startswith("resident") else 1
            name = f"{figure}, MiB" if unit > 1 else figure
            cells = (found.first / unit, found.last / unit, found.growth / unit)
            lines.append(
                f"| {process} | {name} | " + " | ".join(f"{cell:,.1f}" for cell in cells) + f" | {state} |"
            )
        return "\n".join(lines)


class Soak:
    """The processes, from `start` to the end of `ends`."""

    def __init__(self, options: Options, folder: Path, ends: ExitStack) -> None:
        self._options = options
        self._folder = folder
        self._ends = ends
        self._told: dict[str, Path] = {}
        self.processes: dict[str, PythonProcess] = {}

    def start(self) -> None:
        (self._folder / "nats").mkdir()
        self.server = NatsServer(self._folder / "nats", more_configuration='http: "127.0.0.1:-1"\n').start()
        self._ends.callback(self.server.kill)
        found = _MONITOR.search(self.server.log)
        assert found is not None, self.server.log
        self.monitor = f"http://{found[1]}"
        place = ("--nats", self.server.url, "--namespace", NAMESPACE)
        store = f"sqlite:///{self._folder / 'view.sqlite3'}"
        self._begin("engine", "engine", *place, ready="serving").wait_ready()
        self._begin("projector", "projector", "--store", store, *place, ready="serving").wait_ready()
        for name in ("runner 1", "runner 2"):
            self._begin(name, "runner", self.server.url, NAMESPACE, ready="soak program runs").wait_ready()
        rate = str(self._options.rate)
        self._begin(
            "client", "load", self.server.url, NAMESPACE, rate, ready="soak program loads"
        ).wait_ready()

    def _begin(self, name: str, *arguments: str, ready: str) -> PythonProcess:
        self._told[name] = self._folder / f"{name}.json"
        environment = {inside.FIGURES: str(self._told[name]), inside.LEAK: self._options.leak.get(name, "")}
        process = PythonProcess("-m", "soak.programs", *arguments, ready=ready, environment=environment)
        self._ends.callback(process.kill)
        self.processes[name] = process
        return process.launch()

    def victims(self) -> Iterator[int]:
        """Start a runner and a reader, kill them, and begin again: a step for each call. Yield how many were killed."""
        for killed in itertools.count(step=2):
            runner = self._begin("victim", "runner", self.server.url, NAMESPACE, ready="soak program runs")
            reader = self._begin(
                "other victim", "reader", self.server.url, NAMESPACE, ready="soak program reads"
            )
            yield killed
            for process in (runner, reader):
                process.wait_ready().kill()
            for name in ("victim", "other victim"):
                del self.processes[name]
            yield killed + 2

    @property
    def done(self) -> int:
        """How many tasks the client has seen done."""
        return max((int(found[1]) for found in _DONE.finditer(self.processes["client"].log)), default=0)

    @property
    def jobs(self) -> int:
        return figures.jobs_of(self.monitor)

    def sample(self) -> dict[tuple[str, str], float]:
        server = figures.of_server(self.monitor, self.server.pid, self.jobs)
        found = {("server", figure): value for figure, value in server.items()}
        for name, process in self.processes.items():
            if not name.endswith("victim"):
                assert process.alive, f"the {name} has ended:\n{process.log}"
                found |= {(name, k): v for k, v in figures.of_process(process.pid, self._told[name]).items()}
        return found


def run(options: Options, folder: Path, *, tell: bool = False) -> Result:
    """Let it run, and return what was measured after the warm-up. Errors: AssertionError when a process ends."""
    with ExitStack() as ends:
        soak = Soak(options, folder, ends)
        soak.start()
        victims = soak.victims()
        result = Result(killed=next(victims))
        began = time.monotonic()
        before = kill_at = 0.0
        while (now := time.monotonic() - began) < options.warm_up + options.seconds:
            if now >= kill_at:
                result.killed, kill_at = next(victims), now + options.kill_every
            if now >= options.warm_up:
                before = soak.done if not result.times else before
                result.times.append(now)
                for key, value in soak.sample().items():
                    result.samples.setdefault(key, []).append(value)
                if tell and len(result.times) % 20 == 1:
                    print(f"{now:6.0f} s: {soak.done:,} tasks of {soak.jobs:,} jobs done", flush=True)
            time.sleep(max(0.0, options.every - (time.monotonic() - began - now)))
        result.tasks, result.jobs = soak.done - int(before), soak.jobs
        result.seconds = result.times[-1] - result.times[0]
        return result

"""The feed on this machine: how fast it is published, what that costs jobs, and that nothing is lost when all is killed.

    .venv/bin/python benchmarks/feed.py rate                  # about a minute
    .venv/bin/python benchmarks/feed.py kills                 # 10,000 tasks; about a minute

Everything is real and durable: the embedded server (fsync before every acknowledgement), one runner in a process of its
own, the publisher as the server runs it. `kills` needs Node.js, and `npm ci` done in examples/node: the subscriber there
is killed (-9) and started again at random points while the tasks run, and so are the publisher and nats-server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.processes import find_process
from jobledger.adapters.embedded.start import stop_server

SUBSCRIBER = Path(__file__).resolve().parents[1] / "examples" / "node" / "feed_subscriber.mjs"
WIDTH = 500  # tasks of one job in `kills`


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


def serve(folder: str) -> None:
    """The runner's process."""
    with Client(data_folder=folder) as client:
        client.runner(tasks=[Leaf, FanOut]).run_forever()


@contextmanager
def runner_process(folder: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, __file__, "serve", folder])
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


# -- how fast ---------------------------------------------------------------------------------------------------------


def rate(tasks: int, repeat: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Client(data_folder=folder) as client:
        with runner_process(folder):
            _fan_out(client, tasks)
            for what in ("off", "on", "off again", "on again"):
                if what.startswith("on"):
                    client.feed().turn_on(max_bytes=-1)
                    _caught_up(client)
                else:
                    client.feed().turn_off()
                taken = [_fan_out(client, tasks) for _ in range(repeat)]
                figures[f"tasks/s with the feed {what}"] = tasks / statistics.median(taken)
            behind = time.perf_counter()
            _caught_up(client)
            figures["seconds until the feed has caught up"] = time.perf_counter() - behind
        began = time.perf_counter()
        status = client.feed().rebuild()
        figures["messages/s of a rebuild"] = status.messages / (time.perf_counter() - began)
        figures["bytes a message"] = status.bytes / status.messages
        stop_server(folder)
    return figures


def _fan_out(client: Client, tasks: int) -> float:
    began = time.perf_counter()
    client.jobs().submit("fan out", FanOut(tasks)).wait(120)
    return time.perf_counter() - began


def _caught_up(client: Client) -> None:
    while client.feed().status().behind:
        time.sleep(0.05)


# -- that nothing is lost ---------------------------------------------------------------------------------------------


def kills(tasks: int, kill: int, seed: int, node: str, subscriber: Path) -> dict[str, float]:
    """Return what was counted. Errors: AssertionError, saying what was lost, doubled or out of order."""
    chance = random.Random(seed)
    killed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as path, Client(data_folder=path) as client:
        folder = DataFolder.locate(path)
        out = Path(path) / "events.jsonl"
        client.feed().turn_on(max_bytes=-1)
        follower = _Follower(folder, node, subscriber, out)
        with runner_process(path):
            jobs: list[Job] = []
            pauses = [chance.uniform(0.05, 0.6) for _ in range(kill)]
            for number, pause in enumerate(pauses):
                if len(jobs) * WIDTH < tasks * (number + 1) / kill:
                    jobs += [
                        client.jobs().submit(f"job {number}", FanOut(WIDTH))
                        for _ in range(tasks // WIDTH // kill + 1)
                    ]
                follower.ensure()
                time.sleep(pause)
                what = chance.choice(["subscriber", "subscriber", "publisher", "nats-server"])
                killed[what] += follower.kill() if what == "subscriber" else _kill(folder, what)
            for job in jobs:
                job.wait(300)
        _caught_up(client)
        status = client.feed().status()
        until = time.monotonic() + 60
        while follower.last() < status.last and time.monotonic() < until:
            follower.ensure()
            time.sleep(0.1)
        follower.kill()
        events = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        check(events, status.last)
        computed = sum(event["type"] == "jobledger.task.computed.v1" for event in events)
        assert computed == len(jobs) * (WIDTH + 1), f"{computed} tasks computed"
        assert client.feed().rebuild(timeout=120).last == status.last
        follower.start_anew()
        while follower.last() < status.last:
            time.sleep(0.1)
        follower.kill()
        rebuilt = follower.out.read_text(encoding="utf-8")
        assert rebuilt == out.read_text(encoding="utf-8"), "the rebuilt feed is another one"
        stop_server(path)
    return {
        "tasks": computed,
        "events": len(events),
        **{f"kills of the {name}": n for name, n in killed.items()},
    }


def check(events: list[dict[str, str]], last: int) -> None:
    ids = Counter(event["id"] for event in events)
    assert len(ids) == len(events), (
        f"more than once: {[name for name, count in ids.items() if count > 1][:5]}"
    )
    assert [int(event["sequence"]) for event in events] == list(range(1, last + 1)), (
        "events are missing, or out of order"
    )
    places: dict[str, tuple[int, ...]] = {}
    for event in events:
        place = tuple(map(int, event["id"].split("-")))
        assert place > places.get(event["jobid"], ()), f"out of order in its job: {event['id']}"
        places[event["jobid"]] = place


class _Follower:
    """The subscriber in Node.js, and its file."""

    def __init__(self, folder: DataFolder, node: str, script: Path, out: Path) -> None:
        self._folder = folder
        self._command = [node, str(script)]
        self.out = out
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """Start it unless it runs."""
        if self._process is None or self._process.poll() is not None:
            record, credentials = self._folder.record(), self._folder.credentials()
            if record is None or credentials is None:
                return  # the server is just coming back
            login = {"NATS_URL": record.url, "NATS_USER": "client", "NATS_PASSWORD": credentials.client}
            self._process = subprocess.Popen(
                [*self._command, "--out", str(self.out)],
                env={**os.environ, **login},
                stderr=subprocess.DEVNULL,
            )

    def start_anew(self) -> None:
        self.out = self.out.with_name("again.jsonl")
        self.ensure()

    def kill(self) -> int:
        """Return how many were killed."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return 0
        process.kill()
        process.wait()
        return 1

    def last(self) -> int:
        if not self.out.exists():
            return 0
        lines = self.out.read_bytes()[-5000:].splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        return int(json.loads(whole[-1])["sequence"]) if whole else 0


def _kill(folder: DataFolder, what: str) -> int:
    marks = {
        "publisher": ("jobledger.adapters.feed ", f"--folder {folder.path}"),
        "nats-server": ("nats-server", f" -c {folder.config}"),
    }[what]
    pid = find_process(lambda command: marks[0] in command and command.endswith(marks[1]))
    if pid is None:
        return 0
    os.kill(pid, signal.SIGKILL)
    return 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["rate", "kills", "serve"])
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5, help="of `rate`")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument(
        "--node", default=shutil.which("node"), help="the program; default: the one on the path"
    )
    parser.add_argument("--subscriber", type=Path, default=SUBSCRIBER)
    options = parser.parse_args()
    if options.what == "serve":
        serve(options.folder)
        return
    if options.what == "rate":
        figures = rate(options.tasks, options.repeat)
    else:
        if options.node is None or not (options.subscriber.parent / "node_modules").is_dir():
            parser.error(f"`kills` needs Node.js, and `npm ci` done in {options.subscriber.parent}")
        print(f"seed {options.seed}")
        figures = kills(options.tasks, options.kills, options.seed, options.node, options.subscriber)
    for name, figure in figures.items():
        print(f"{name:40} {figure:12,.0f}" if figure > 10 else f"{name:40} {figure:12.2f}")


if __name__ == "__main__":
    main()

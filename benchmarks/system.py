"""The product as it is measured: the embedded server with its engine and projector, and runners in their own processes.

Nothing is switched off. Every commit is on disk before it is acknowledged.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.accounting import Usage, with_descendants
from benchmarks.runner import LABEL
from benchmarks.tasks import FanOut
from jobledger import Client, Job, Task, TaskState
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.nats_config import ACCOUNT, SYSTEM
from jobledger.adapters.embedded.processes import command_of
from jobledger.adapters.embedded.start import server_status, stop_server
from jobledger.adapters.nats.connection import open_connection
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.portal import shared_portal

ROOT = Path(__file__).resolve().parents[1]
_LONGEST = 600.0  # seconds a job may take
_PATIENCE = 60.0  # seconds until what was started serves
_LOOK = 0.1  # seconds between two looks at connections: those at rest have sent nothing meanwhile


class Product:
    """One embedded server on a data folder of its own, a client of it, and runners as workloads want them."""

    def __init__(self, folder: str, *, keep_runners: bool = False) -> None:
        """`keep_runners`: those of one workload go on for the next one that wants the same."""
        self.folder = folder
        self.client = Client(data_folder=folder, name="benchmark")
        self.jobs = self.client.jobs()
        self._keep_runners = keep_runners
        self._runners: list[subprocess.Popen[bytes]] = []
        self._runners_are = (0, 0, 0)
        self.until_projected()  # starts the server, and waits for the projector

    def close(self) -> None:
        self._end_runners()
        self.client.close()
        stop_server(self.folder)

    @contextmanager
    def runners(self, processes: int = 1, *, each: int = 1, pool: int = 0) -> Iterator[None]:
        """Have so many processes of runners, with `each` in every one; they serve when this returns.

        A `pool` is how many processes a runner has its tasks run in; 0: in its own.
        """
        if self._runners_are != (processes, each, pool):
            self._end_runners()
            self._begin_runners(processes, each, pool)
        try:
            yield
        finally:
            if not self._keep_runners:
                self._end_runners()

    def _begin_runners(self, processes: int, each: int, pool: int) -> None:
        command = [sys.executable, "-m", "benchmarks.runner", self.folder]
        command += ["--runners", str(each), "--pool", str(pool)]
        for _ in range(processes):
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
            self._runners.append(process)  # Ctrl-C in a terminal is for this process, which ends them
        self._runners_are = processes, each, pool
        self._until_at_rest(processes * each)
        self.jobs.submit("warm", FanOut(100 * processes)).wait(_PATIENCE)

    def _end_runners(self) -> None:
        for process in self._runners:
            process.send_signal(signal.SIGTERM)
        for process in self._runners:
            process.wait(_PATIENCE)
        self._runners.clear()
        self._runners_are = 0, 0, 0

    def run(
        self, root: Task, tasks: int, usage: Usage | None = None, *, encrypt: bool = False
    ) -> tuple[Job, float]:
        """Return the job and the seconds from `submit` until `wait` returned, once all its tasks are seen to be computed.

        What the processes used for it is added to `usage`, the projector's part included, which comes after that.
        """
        with usage or nullcontext():
            began = time.perf_counter()
            job = self.jobs.submit(type(root).__name__, root, encrypt=encrypt).wait(_LONGEST)
            took = time.perf_counter() - began
            self.until_projected()
        computed = job.tasks_by_state[TaskState.COMPUTED]
        assert computed == tasks + 1, f"{computed:,} of {tasks + 1:,} tasks are computed"
        return job, took

    def until_projected(self) -> None:
        """Return when the view across jobs has all that this client knows of."""
        self.jobs.rows(limit=1)

    def _until_at_rest(self, count: int) -> None:
        """Return when so many runners are connected and wait for work. Errors: TimeoutError; RuntimeError if one ends."""
        until = time.monotonic() + _PATIENCE
        before: list[int] = []
        while time.monotonic() < until:
            sent = sorted(one["in_msgs"] for one in self.connections() if one["name"] == LABEL)
            if len(sent) >= count and sent == before:
                return
            if any(process.poll() is not None for process in self._runners):
                raise RuntimeError("a runner's process has ended at its start: it has said why")
            before = sent
            time.sleep(_LOOK)
        raise TimeoutError(f"of {count} runners, {len(before)} were connected after {_PATIENCE:g} s")

    # -- what there is to look at ---------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """Return what sums up the processor time of each kind of process, and the server's messages."""
        return Usage(self.processes, self.messages)

    def processes(self) -> dict[str, list[int]]:
        """Return the ids of the processes that live, by what they are for."""
        record = server_status(self.folder).record
        assert record is not None, "the server does not run"
        found: dict[str, list[int]] = {"nats-server": [record.server_pid], "engine": [], "projector": []}
        for pid in with_descendants(record.supervisor_pid):
            command = command_of(pid)
            if command is not None and pid != record.server_pid:
                found["projector" if "jobledger.adapters.views" in command else "engine"].append(pid)
        found["runner"] = [pid for process in self._runners for pid in with_descendants(process.pid)]
        found["client"] = [os.getpid()]
        return found

    def connections(self) -> list[dict[str, Any]]:
        """Return what the server tells of its connections, such as `name` and `in_msgs`."""
        told: list[dict[str, Any]] = self._inspected("CONNZ", acc=ACCOUNT, limit=4096)["connections"]
        return told

    def messages(self) -> tuple[int, int]:
        """Return how many messages the server has taken in and given out so far; looking costs it a few."""
        told = self._inspected("VARZ")
        return told["in_msgs"], told["out_msgs"]

    def _inspected(self, what: str, **options: Any) -> dict[str, Any]:
        return shared_portal().run(self._inspect(what, options))

    async def _inspect(self, what: str, options: dict[str, Any]) -> dict[str, Any]:
        folder = DataFolder.locate(self.folder)
        record, credentials = folder.record(), folder.credentials()
        assert record is not None
        assert credentials is not None
        system = Endpoint(record.url, user=SYSTEM, password=credentials.system)
        asking = await open_connection(system, name="benchmark")
        try:
            question = json.dumps(options).encode()
            answer = await asking.request(f"$SYS.REQ.SERVER.PING.{what}", question, timeout=5)
        finally:
            await asking.close()
        told: dict[str, Any] = json.loads(answer.data)["data"]
        return told

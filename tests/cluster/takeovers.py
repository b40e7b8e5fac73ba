"""How long jobs stand still when their engine is killed: `python tests/cluster/takeovers.py --kills 20 --partitions 4 --nodes 3`.

Two engines run at default settings, and one job in each partition goes from one short task to the next. Again and
again one engine is killed, as by `kill -9`, and another one is started in its place. What is told is for how long no
task of the killed engine's partitions was begun, and of all of them together.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from faults import tasks
from jobledger import Client, Job
from jobledger.adapters.engine.partitions.fleet import look
from jobledger.adapters.nats.partitions import partition_of
from jobledger.adapters.portal import shared_portal
from support.processes import PythonProcess, engine_process
from support.servers import NatsCluster, NatsServer
from support.waiting import eventually

_STEP = 10  # milliseconds of a task
_LONG = 2_000  # tasks of a job
_PATIENCE = 60.0  # seconds until work goes on, or the measurement has failed


class Site:
    """One namespace with two engines, a runner, and a job under way in each partition."""

    def __init__(self, url: str, partitions: int, record: Path, *, drain: bool) -> None:
        self._drain = drain
        self._url = url
        self._namespace = f"takeovers-{uuid4().hex[:8]}"
        self._partitions = partitions
        record.touch()
        self._record = record.open()
        self._lines: dict[
            int, list[float]
        ] = {}  #: when a task was begun in each partition, in seconds since 1970
        self._jobs: dict[int, Job] = {}
        self.engines = [self._engine(), self._engine()]
        eventually(lambda: any("serves" in engine.log for engine in self.engines), within=_PATIENCE)
        self._client = Client(url, namespace=self._namespace, patience=_PATIENCE)
        self._runner = PythonProcess(
            *("-m", "faults.runner_program", "--url", url, "--namespace", self._namespace),
            *("--concurrency", str(partitions)),
            ready="runner ready",
            environment={tasks.RECORD: str(record)},
        ).start()

    def kill_one(self) -> float:
        """Kill, or stop, the engine of partition 0 while all is well; return for how many seconds its partitions stood still."""
        eventually(self._all_go_on, within=_PATIENCE)
        found = eventually(self._owner, within=_PATIENCE)
        assert found is not None
        victim, owned = found
        killed = time.time()
        victim.terminate() if self._drain else victim.kill()
        eventually(lambda: all(self._third(number, killed) for number in owned), within=_PATIENCE)
        victim.stop()
        self.engines.remove(victim)
        self.engines.append(self._engine())
        eventually(lambda: "answers" in self.engines[-1].log, within=_PATIENCE)
        return max(self._third(number, killed) for number in owned) - killed

    def close(self) -> None:
        for process in (self._runner, *self.engines):
            process.kill()
        self._client.close()

    def _engine(self) -> PythonProcess:
        more = ("--partitions", str(self._partitions), "--replicas", str(self._url.count(",") + 1))
        return engine_process(self._url, self._namespace, lease=15.0, more=more).launch()

    def _owner(self) -> tuple[PythonProcess, list[int]] | None:
        """Return the engine of partition 0 and all it owns, once both engines own something, where there is enough."""
        link = shared_portal().run(self._client._session.link())
        owners = shared_portal().run(look(link.nc, link.names)).owners
        if len(owners) < self._partitions or len(set(owners.values())) < min(2, self._partitions):
            return None
        (engine,) = [one for one in self.engines if f":{one.pid}:" in owners[0]]
        return engine, [number for number, by in owners.items() if by == owners[0]]

    def _all_go_on(self) -> bool:
        for number in range(self._partitions):
            job = self._jobs.get(number)
            if job is None or job.refresh().percent > 50:
                self._jobs[number] = self._submit(number)
        now = time.time()
        return all(self._third(number, now - 0.5) for number in range(self._partitions))

    def _submit(self, number: int) -> Job:
        while True:
            key = uuid4().hex
            job = self._client.jobs().submit("chain", tasks.Chain(_LONG, _STEP), idempotency_key=key)
            if partition_of(str(job.id), self._partitions) == number:
                return job
            self._client.jobs().cancel(job)

    def _third(self, number: int, after: float) -> float:
        """Return when the third task was begun behind a time, 0.0 if it was not: the first may have been claimed before."""
        for line in self._record:
            task, _, at, _ = line.split()
            self._lines.setdefault(partition_of(task.partition("/")[0], self._partitions), []).append(
                int(at) / 1e6
            )
        later = [at for at in self._lines.get(number, []) if at > after]
        return later[2] if len(later) > 2 else 0.0


def measure(url: str, record: Path, kills: int, partitions: int, *, drain: bool) -> list[float]:
    """Return for how long work stood still after each kill, in seconds."""
    site = Site(url, partitions, record, drain=drain)
    try:
        return [site.kill_one() for _ in range(kills)]
    finally:
        site.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--drain", action="store_true", help="SIGTERM instead of SIGKILL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jobledger-takeovers-") as folder:
        servers = NatsCluster(Path(folder)) if options.nodes == 3 else NatsServer(Path(folder)).start()
        try:
            gaps = measure(
                servers.url, Path(folder) / "record", options.kills, options.partitions, drain=options.drain
            )
        finally:
            servers.stop()
    gaps.sort()
    print(
        f"{len(gaps)} engines {'stopped' if options.drain else 'killed'}, {options.partitions} partitions, {options.nodes} nodes: stood still for "
        f"p50 {statistics.median(gaps):.2f} s, p90 {gaps[int(len(gaps) * 0.9)]:.2f} s, max {gaps[-1]:.2f} s"
    )


if __name__ == "__main__":
    main()

"""An engine on the shared event loop, and a bare runner that speaks its protocol by hand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import uuid4

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.options import EngineOptions
from jobledger.adapters.engine.run import run_engine
from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import StoredCommit, read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.partitions import WHOLE, Partition
from jobledger.adapters.portal import Portal, shared_portal
from jobledger.adapters.sealing.keys import KeyStore
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.job import Job, fold
from jobledger.core.policy import Policy
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns

ERROR = e.Error("ValueError", "it broke")


class EngineHarness:
    """An engine of one namespace. `stop` lets it leave in order, `crash` drops it in the middle of whatever it does."""

    def __init__(
        self,
        url: str,
        names: Names,
        *,
        lease: float = 15.0,
        takeover: bool = False,
        keys: KeyStore | None = None,
        partitions: int | None = None,
    ) -> None:
        self.portal: Portal = shared_portal()
        self._endpoint = Endpoint(url)
        self._names = names
        self._options = EngineOptions(lease=lease, takeover=takeover, keys=keys, partitions=partitions)
        self.ready = threading.Event()
        self._task = self.portal.run(self._start())

    async def _start(self) -> asyncio.Task[None]:
        self._stop = asyncio.Event()
        return asyncio.create_task(
            run_engine(
                self._endpoint,
                self._names.namespace,
                stop=self._stop,
                on_ready=self.ready.set,
                options=self._options,
            )
        )

    def wait_ready(self) -> EngineHarness:
        assert self.ready.wait(10), "the engine was not ready in time"
        return self

    def stop(self) -> None:
        async def leave() -> None:
            self._stop.set()
            await self._task

        if not self._task.done():
            self.portal.run(leave(), timeout=10)


class BareRunner:
    """What a runner says to the engine, one exchange at a time."""

    def __init__(
        self,
        link: Link,
        *kinds: str,
        cluster: str = "default",
        name: str = "",
        version: tuple[int, int] = (1, 0),
        partition: Partition = WHOLE,
    ) -> None:
        self._link = link
        self._names = link.names.within(partition)
        self.name = name or f"runner-{uuid4().hex[:8]}"
        self._cluster = cluster
        self._identifiers = [(kind, *version) for kind in kinds or ("Task",)]

    def exchange(self, *reports: c.Report, limit: int = 1, wait: float = 5.0, **fields: Any) -> p.Exchanged:
        reply = shared_portal().run(self.exchanging(*reports, limit=limit, wait=wait, **fields))
        assert isinstance(reply, p.Exchanged), reply
        return reply

    async def exchanging(
        self, *reports: c.Report, limit: int = 1, wait: float = 5.0, **fields: Any
    ) -> p.Answer:
        def request(tries: int) -> bytes:
            if tries:  # the answer was lost, and with it what was claimed: this runner holds nothing else
                fields.setdefault("holds", [])
            return p.encode(
                p.Exchange(self._cluster, self._identifiers, list(reports), limit, wait, **fields)
            )

        subject = self._names.exchange(self.name, self._cluster)
        return await self._link.ask(subject, request, timeout=20, patience=30)

    def claim(self, limit: int = 1, wait: float = 5.0) -> list[p.AttemptRef]:
        return refs(self.exchange(limit=limit, wait=wait))

    def report(self, *reports: c.Report) -> list[str]:
        """Return the codes with which reports were refused."""
        return [refused.code for refused in self.exchange(*reports, limit=0).refused]

    def heartbeat(self, *holds: p.AttemptRef) -> list[p.AttemptRef]:
        return self.beat(*holds).lost

    def results(self, job_id: str, task: int) -> p.Answer:
        """Ask what the tasks returned on which this one depends."""
        subject = self._names.results_for(self.name, self._cluster)
        return ask(self._link, subject, p.ReadResults(job_id, task))

    def beat(self, *holds: p.AttemptRef, running: list[c.ReportProgress] | None = None) -> p.HeartbeatSeen:
        request = p.Heartbeat(list(holds), running or [])
        reply = ask(self._link, self._names.heartbeat(self.name, self._cluster), request)
        assert isinstance(reply, p.HeartbeatSeen), reply
        return reply


def refs(exchanged: p.Exchanged) -> list[p.AttemptRef]:
    """Return the attempts that were handed out."""
    return [p.AttemptRef(job.job_id, task.task, task.attempt) for job in exchanged.jobs for task in job.tasks]


def computed(ref: p.AttemptRef, *subtasks: NewTask) -> c.ReportComputed:
    return c.ReportComputed(*ref, 1, 2, submission(*subtasks) if subtasks else None)


def failed(ref: p.AttemptRef) -> c.ReportFailed:
    return c.ReportFailed(*ref, 1, 2, ERROR)


def task(
    kind: str = "Task",
    *,
    cluster: str = "default",
    after: tuple[int, ...] = (),
    retries: int = 0,
    policy: Policy | None = None,
) -> NewTask:
    return NewTask(TaskSpec(kind, 1, 0, cluster, retries, policy=policy), b"1", frozenset(after))


def submission(*tasks: NewTask) -> Submission:
    (only,) = columns(tasks)
    return only


def ask(link: Link, subject: str, request: Any) -> p.Answer:
    return shared_portal().run(link.ask(subject, p.encode(request), timeout=20, patience=30))


def command(link: Link, request: p.CommandRequest) -> p.Answer:
    asking = link.ask_about(request.job_id, p.encode(request), timeout=20, patience=30)
    return shared_portal().run(asking)


def submit(link: Link, *tasks: NewTask, job_id: str = "", options: e.JobOptions | None = None) -> str:
    job_id = job_id or uuid4().hex
    reply = command(link, c.SubmitJob(job_id, "a job", submission(*tasks or (task(),)), "", options))
    assert isinstance(reply, p.Done), reply
    return job_id


def history(link: Link, job_id: str) -> list[StoredCommit]:
    return shared_portal().run(read_job(link.nc, link.names, job_id))


def event_names(link: Link, job_id: str) -> list[str]:
    return [type(event).__name__ for stored in history(link, job_id) for event in stored.commit.events]


def folded(link: Link, job_id: str) -> Job:
    return fold(Job(job_id), [(s.commit.at, s.commit.events) for s in history(link, job_id)])

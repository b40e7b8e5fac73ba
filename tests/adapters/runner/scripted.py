"""An engine that follows a script: it takes the requests of a runner, on a real server, and answers what a test says."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from uuid import uuid4

from nats.aio.msg import Msg

from jobledger.adapters import protocol as p
from jobledger.core.task import Task

from .conftest import Workbench, new_task

JOB = str(uuid4())


class Asked:
    """A request of the runner, waiting for its answer."""

    def __init__(self, engine: ScriptedEngine, message: Msg) -> None:
        self._engine = engine
        self._message = message
        self.says: p.Exchange = p.decode_exchange(message.data)

    def answer(
        self, *jobs: p.ClaimedJob, refused: tuple[p.RefusedReport, ...] = (), lease: float = 15.0
    ) -> None:
        self.reply(p.Exchanged(list(refused), list(jobs), lease))

    def reply(self, reply: p.Reply) -> None:
        self._engine.send(self._message.reply, p.encode(reply))


class ScriptedEngine:
    """Takes the requests of a runner on a real server, and answers what the test says."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._exchanges: queue.Queue[Asked] = queue.Queue()
        self.heartbeats: queue.Queue[p.Heartbeat] = queue.Queue()
        self.lost: list[p.AttemptRef] = []
        self.halted: list[p.Halted] = []
        self.deaf_to_heartbeats = 0  #: so many go unanswered
        bench.portal.run(self._open())

    async def _open(self) -> None:
        async def exchange(message: Msg) -> None:
            self._exchanges.put(Asked(self, message))

        async def heartbeat(message: Msg) -> None:
            self.heartbeats.put(p.decode_heartbeat(message.data))
            if self.deaf_to_heartbeats:
                self.deaf_to_heartbeats -= 1
            else:
                await message.respond(p.encode(p.HeartbeatSeen(self.lost, self.halted)))

        nc = self._bench.link.nc
        await nc.subscribe(self._bench.names.exchanges, cb=exchange)
        await nc.subscribe(self._bench.names.heartbeats, cb=heartbeat)
        await nc.flush()

    def next(self) -> Asked:
        """Return the next exchange."""
        return self._exchanges.get(timeout=20)

    def answer_to_the_end(self, running: threading.Thread) -> list[tuple[str, int]]:
        """Answer every exchange with nothing until the run is over; return the kind and task of each report."""
        reports: list[tuple[str, int]] = []
        until = time.monotonic() + 20
        while running.is_alive():
            assert time.monotonic() < until, f"the run does not end; reported was {reports}"
            with contextlib.suppress(queue.Empty):
                asked = self._exchanges.get(timeout=0.02)
                reports += ended(asked)
                asked.answer()
        return reports

    def nothing_asked(self) -> bool:
        return self._exchanges.empty()

    def send(self, subject: str, data: bytes = b"") -> None:
        async def publish() -> None:
            await self._bench.link.nc.publish(subject, data)

        self._bench.portal.run(publish())

    def restart(self) -> None:
        """Say that an engine has begun to serve: what was not answered is asked again."""
        self.send(self._bench.names.hello)


def handed_out(*tasks: Task, attempt: int = 1, first: int = 0) -> p.ClaimedJob:
    rows = [new_task(task) for task in tasks]
    specs = list(dict.fromkeys(row.spec for row in rows))
    claimed = [
        p.ClaimedTask(first + i, attempt, specs.index(row.spec), row.input) for i, row in enumerate(rows)
    ]
    return p.ClaimedJob(JOB, "a job", specs, claimed)


def ended(asked: Asked) -> list[tuple[str, int]]:
    """Return the kind of report and the task of each report of an exchange."""
    return [(type(report).__name__, report.task) for report in asked.says.reports]

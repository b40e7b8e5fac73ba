"""A bare engine and its runner, which do next to nothing: what `ceiling.py` measures. It starts them as programs.

A job is a number of tasks, in a chain or not. The runner says in `exchange`: this is finished, so many more I can take;
the answer is what it may run. What one turn of the engine's event loop has gathered becomes one commit per job: one
message, with the position it expects the one before to have. Nothing is handed out, confirmed or called done before
that message is acknowledged, and so on disk.

What the product has and this has not: dependencies but for a chain, arguments and results, retries, leases, fencing,
order among jobs, recovery, projections, a facade. Both speak over the same connection (`jobledger.adapters.nats.wire`,
which is nats-py's with a short way in and out), so that what is between their figures is the engine.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque

import uvloop
from msgspec import Struct, msgpack

from jobledger.adapters.nats.wire import Message, Wire

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ROOM = 256  # tasks an exchange asks for; two are under way, so that the runner works while the engine commits
IN_FLIGHT = 2


class Submit(Struct, array_like=True):
    job: str
    tasks: int
    chain: bool


class Exchange(Struct, array_like=True):
    job: str  #: whose tasks are finished
    finished: list[int]
    room: int


class Work(Struct, array_like=True):
    job: str
    claimed: list[int]


class Commit(Struct, array_like=True):
    """What happened to one job in one turn: these were finished, then these were claimed."""

    finished: list[int]
    claimed: list[int]


class Job:
    def __init__(self, submit: Submit, reply: str) -> None:
        self.name, self.tasks, self.chain, self.reply = submit.job, submit.tasks, submit.chain, reply
        self.claimed = self.finished = 0
        self.position = 0  # of its last commit

    def claim(self, room: int) -> list[int]:
        if self.chain:
            room = min(room, 1 if self.claimed == self.finished else 0)
        first, self.claimed = self.claimed, min(self.tasks, self.claimed + room)
        return list(range(first, self.claimed))


class Engine:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._jobs: dict[str, Job] = {}
        self._exchanges: list[tuple[Exchange, str]] = []  # heard since the last commit
        self._idle: deque[tuple[str, int]] = deque()  # whom to send work, and how much
        self._answers: list[tuple[str, bytes]] = []  # sent once what they rest on is acknowledged
        self._unacknowledged = 0
        self._acks = wire.new_inbox()

    async def serve(self) -> None:
        await self._wire.jetstream().add_stream(name="ceiling", subjects=["ceiling.log.*"])
        await self._wire.listen("ceiling.submit", self._take_submit)
        await self._wire.listen("ceiling.exchange", self._take_exchange)
        await self._wire.listen(f"{self._acks}.*", self._take_ack)
        self._wire.at_turn_end(self._commit)

    def _take_submit(self, message: Message) -> None:
        submit = msgpack.decode(message.data, type=Submit)
        self._jobs[submit.job] = Job(submit, message.reply)

    def _take_exchange(self, message: Message) -> None:
        self._exchanges.append((msgpack.decode(message.data, type=Exchange), message.reply))

    def _commit(self) -> None:
        """Decide on what was heard, and write it down. What is heard until it is acknowledged makes the next commit."""
        if self._unacknowledged:
            return
        commits: dict[str, Commit] = {}
        for exchange, reply in self._exchanges:
            if exchange.finished:
                self._jobs[exchange.job].finished += len(exchange.finished)
                commits.setdefault(exchange.job, Commit([], [])).finished += exchange.finished
            self._idle.append((reply, exchange.room))
        self._exchanges.clear()
        for name, job in list(self._jobs.items()):
            while self._idle and (claimed := job.claim(self._idle[0][1])):
                commits.setdefault(name, Commit([], [])).claimed += claimed
                self._answers.append((self._idle.popleft()[0], msgpack.encode(Work(name, claimed))))
            if job.finished == job.tasks:
                self._answers.append((self._jobs.pop(name).reply, b""))
            if name in commits:
                expected = f"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {job.position}\r\n\r\n".encode()
                payload = msgpack.encode(commits[name])
                self._wire.post(f"ceiling.log.{name}", payload, f"{self._acks}.{name}", expected)
        self._unacknowledged = len(commits)

    def _take_ack(self, message: Message) -> None:
        ack = json.loads(message.data)
        if "error" in ack:
            sys.exit(f"the engine's commit was not stored: {ack['error']}")
        if job := self._jobs.get(message.subject.rpartition(".")[2]):
            job.position = ack["seq"]
        self._unacknowledged -= 1
        if not self._unacknowledged:
            for reply, payload in self._answers:
                self._wire.post(reply, payload)
            self._answers.clear()


def task(number: int) -> None:
    """Does nothing."""


class Runner:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._inbox = wire.new_inbox()

    async def serve(self) -> None:
        await self._wire.listen(self._inbox, self._take)
        for _ in range(IN_FLIGHT):
            self._exchange("", [])

    def _take(self, message: Message) -> None:
        work = msgpack.decode(message.data, type=Work)
        for number in work.claimed:
            task(number)
        self._exchange(work.job, work.claimed)

    def _exchange(self, job: str, finished: list[int]) -> None:
        self._wire.post("ceiling.exchange", msgpack.encode(Exchange(job, finished, ROOM)), self._inbox)


async def connected(url: str) -> Wire:
    wire = Wire()
    await wire.connect(url)
    return wire


async def serve(role: str, url: str) -> None:
    wire = await connected(url)
    await (Engine(wire) if role == "engine" else Runner(wire)).serve()
    await wire.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    role, url, loop = sys.argv[1:]
    with asyncio.Runner(loop_factory=LOOPS[loop]) as running:
        running.run(serve(role, url))

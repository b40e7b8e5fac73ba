"""A publisher of the feed on the shared event loop, logs to publish, and what there is in a feed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

from jobledger.adapters.embedded.feed_process import FeedSwitch
from jobledger.adapters.feed.contexts import Unreadable, read_commit
from jobledger.adapters.feed.run import run_feed
from jobledger.adapters.feed.stream import AS_IT_IS, Limits
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import StoredMessage, StreamMissing, stored_messages
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.portal import Portal, shared_portal
from jobledger.core.codec import NO_PREVIOUS, Commit, digest
from jobledger.core.events import Event
from support.random_history import committed, random_history
from support.waiting import eventually


class FeedHarness:
    """A publisher, from `start` to `stop`, or to `crash`, which drops it in the middle of whatever it does."""

    def __init__(self, url: str, names: Names, *, limits: Limits = AS_IT_IS) -> None:
        self._portal: Portal = shared_portal()
        self._endpoint = Endpoint(url)
        self._names = names
        self._limits = limits
        self._task: asyncio.Task[None] | None = None

    def start(self) -> FeedHarness:
        self._portal.run(self._begin())
        eventually(lambda: self._ready.is_set() or (self._task is not None and self._task.done()))
        assert self._task is not None
        if self._task.done():
            self._task.result()
        return self

    async def _begin(self) -> None:
        self._stop, self._ready = asyncio.Event(), threading.Event()
        self._task = asyncio.create_task(
            run_feed(
                self._endpoint,
                self._names.namespace,
                stop=self._stop,
                on_ready=self._ready.set,
                limits=self._limits,
            )
        )

    def stop(self) -> None:
        async def leave(task: asyncio.Task[None]) -> None:
            self._stop.set()
            await task

        task, self._task = self._task, None
        if task is not None:
            self._portal.run(leave(task), timeout=10)

    def crash(self) -> None:
        async def drop(task: asyncio.Task[None]) -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        task, self._task = self._task, None
        if task is not None:
            self._portal.run(drop(task), timeout=10)


@contextmanager
def switched_by(url: str, names: Names, switch: FeedSwitch) -> Iterator[None]:
    """Have a switch heed commands, as it does in a supervisor."""
    portal = shared_portal()
    client = portal.run(connect(Endpoint(url), name="switch"))
    portal.run(switch.serve(client, names))
    yield
    portal.run(client.close())


class Stored(NamedTuple):
    """What happened to one job, as commits are stored."""

    job_id: str
    payloads: list[bytes]


def stored(job_id: str, commits: Iterable[tuple[int, list[Event]]], *, settles: bool = False) -> Stored:
    """Return these (time, events) as an engine would have written them."""
    payloads: list[bytes] = []
    all_of_them = list(commits)
    for version, (at, events) in enumerate(all_of_them, 1):
        previous = digest(payloads[-1]) if payloads else NO_PREVIOUS
        settled = settles and version == len(all_of_them)
        payloads.append(encode_message(version, Commit(bytes(16), previous, at, "engine", settled, events)))
    return Stored(job_id, payloads)


def random_jobs(random: Random, count: int, *, steps: int = 60, name: str = "job") -> list[Stored]:
    """Return random jobs, their ids made of `name`; the last commit of some is a settled one."""
    jobs = []
    for number in range(count):
        driver = random_history(random, steps=random.randint(1, steps))
        commits = [(placed.commit.at, placed.commit.events) for placed in committed(driver, random)]
        jobs.append(stored(f"{name}-{number}", commits, settles=driver.job.settled))
    return jobs


class Feed:
    """The log and the feed of a namespace, seen from outside."""

    def __init__(self, url: str, names: Names) -> None:
        self.names = names
        self.url = url
        self.client = shared_portal().run(connect(Endpoint(url), name="test"))

    def close(self) -> None:
        shared_portal().run(self.client.close())

    def write(self, jobs: Iterable[Stored], random: Random | None = None) -> None:
        """Append commits to the log: job after job, or in turns."""
        waiting = [(job.job_id, list(job.payloads)) for job in jobs]

        async def writing() -> None:
            js = self.client.jetstream()
            await ensure_log(js, self.names)
            acks = []
            while waiting:
                at = random.randrange(len(waiting)) if random else 0
                job_id, payloads = waiting[at]
                acks.append(await js.publish_async(self.names.log_subject(job_id), payloads.pop(0)))
                if not payloads:
                    del waiting[at]
            await asyncio.gather(*acks)

        shared_portal().run(writing())

    def log(self) -> list[StoredMessage]:
        return self._all(self.names.log_stream, self.names.log_subjects)

    def messages(self) -> list[StoredMessage]:
        """Return all there is in the feed."""
        return self._all(self.names.feed_stream, self.names.feed_subjects)

    def _all(self, stream: str, subjects: str) -> list[StoredMessage]:
        async def reading() -> list[StoredMessage]:
            try:
                return [message async for message in stored_messages(self.client, stream, subjects)]
            except StreamMissing:
                return []

        return shared_portal().run(reading())

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.messages()]

    def complete(self, within: float = 20.0) -> list[StoredMessage]:
        """Return all there is in the feed once it has come to the end of the log."""
        end = self.log()[-1]
        try:
            last = len(read_commit(end.payload)[1].events) - 1
        except Unreadable:
            last = 0

        def whole() -> list[StoredMessage]:
            found = self.messages()
            event = json.loads(found[-1].payload) if found else {"position": 0}
            at = (int(event["position"]), event.get("index"), event.get("part", 0) + 1)
            return found if at == (end.position, last, event.get("parts", 1)) else []

        return eventually(whole, within)

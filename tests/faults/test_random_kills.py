"""Runners, engine and server are killed at random while jobs of every shape run. Then the log is held to account."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import threading
import time

import msgspec
import nats
import pytest

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain, Fan, Layers, Mixed, Step, Tree
from jobledger import Client, Job, JobState, Task, TaskState
from jobledger.adapters.nats.names import Names
from jobledger.core import events as e
from support.processes import PythonProcess
from support.servers import NatsServer
from support.waiting import eventually

SEED = int(os.environ.get("FAULTS_SEED", "7"))
SECONDS = 20.0  # of killing
TASKS = 3000


class Submitter(threading.Thread):
    """Submits jobs of varied shape until there are enough tasks, cancels some and retries them."""

    def __init__(self, site: Site, seed: int) -> None:
        super().__init__(daemon=True)
        self._job_client = site.client.jobs()
        self._random = random.Random(seed)
        self.jobs: list[Job] = []
        self.canceled: list[tuple[Job, int]] = []  #: with what the retry returned
        self.tasks = 0

    def run(self) -> None:
        while self.tasks < TASKS:
            root, size = self._shape()
            job = self._job_client.submit(f"job {len(self.jobs)}", root)
            self.jobs.append(job)
            self.tasks += size
            if self._random.random() < 0.2 and self._job_client.cancel(job):
                self.canceled.append((job, self._job_client.retry(job)))

    def _shape(self) -> tuple[Task, int]:
        """Return a root task, and how many tasks its job will have."""
        size, lasts = self._random.randint(1, 12), self._random.choice([0, 5, 20])
        shapes: list[tuple[Task, int]] = [
            (Fan(size * 20, lasts), size * 20 + 2),
            (Chain(size * 2, lasts), size * 2 + 1),
            (Tree(size // 2, lasts), 2 ** (size // 2 + 1) - 1),
            (Layers(3, size, lasts), size * 5 + 1),
            (Mixed(size, lasts), size * 2 + 2),
            (Step(lasts), 1),
        ]
        return self._random.choice(shapes)


@pytest.mark.timeout(180)
def test_whatever_is_killed(own_site: Site, own_server: NatsServer, record: Record) -> None:
    chance = random.Random(SEED)
    engine = own_site.engine(lease=2.0)
    runners = [own_site.runner(concurrency=4), own_site.runner(concurrency=4)]
    submitter = Submitter(own_site, SEED)
    submitter.start()

    victims: list[PythonProcess | NatsServer] = [engine, own_server, *runners]
    kills = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        # Only once things have moved on, so that every kill meets something that is at work.
        _until_moved_on(record, submitter, chance.randint(1, 60))
        _check_alive(engine, *runners)
        for victim in chance.sample(victims, chance.choice([1, 1, 1, 2])):
            victim.kill()
            _start(victim)
            kills += 1
    submitter.join(60)
    assert not submitter.is_alive()

    jobs = submitter.jobs
    for job in jobs:
        job.wait(timeout=60)
        _check_alive(engine, *runners)
        assert job.state is JobState.COMPLETED
        assert job.tasks_by_state[TaskState.QUEUED] == 0
    assert sum(len(job.tasks) for job in jobs) == submitter.tasks >= TASKS
    for job, rescheduled in submitter.canceled:
        decided = [
            entry.event for entry in job.history if isinstance(entry.event, e.JobCanceled | e.JobRetried)
        ]
        assert [type(event) for event in decided] == [e.JobCanceled, e.JobRetried]  # each of them once
        assert isinstance(decided[1], e.JobRetried)
        assert decided[1].rescheduled == rescheduled
    record.check(*jobs)
    assert kills >= 10
    assert asyncio.run(_verify(own_server.url, Names("default"))) == {str(job.id) for job in jobs}
    with Client(own_server.url) as auditor:
        report = auditor.audit().verify()
    assert report.ok, report


def _until_moved_on(record: Record, submitter: Submitter, steps: int) -> None:
    begun = len(record) + steps
    eventually(lambda: len(record) >= begun or _settled(submitter), within=30)


def _check_alive(*processes: PythonProcess) -> None:
    """None may end because another one was killed."""
    for process in processes:
        assert process.alive, f"it ended by itself: {' '.join(process.command)}\n{process.log}"


def _start(victim: PythonProcess | NatsServer) -> None:
    if isinstance(victim, NatsServer):
        victim.start()
    else:
        victim.launch()


def _settled(submitter: Submitter) -> bool:
    return not submitter.is_alive() and all(job.settled for job in submitter.jobs)


async def _verify(url: str, names: Names) -> set[str]:
    """Read the log without any of the code that wrote it; return the jobs in it.

    Each payload is MessagePack `[format, version, topic, commit]`, and each commit begins with an id of its own and
    the SHA-256 of the payload before it in its job.
    """
    heads: dict[str, tuple[int, bytes]] = {}
    ids: set[bytes] = set()
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        state = (await stream.stream_info(names.log_stream)).state
        assert state.messages == state.last_seq  # nothing was taken out
        for position in range(1, state.last_seq + 1):
            message = await stream.get_msg(names.log_stream, position, direct=True)
            assert message.subject is not None
            assert message.data is not None
            job_id = message.subject.rpartition(".")[2]
            _, version, _, commit = msgspec.msgpack.decode(message.data)
            commit_id, previous, *_ = msgspec.msgpack.decode(commit)
            last_version, digest = heads.get(job_id, (0, bytes(32)))
            assert version == last_version + 1, f"position {position}: version {version} after {last_version}"
            assert previous == digest, f"position {position}: the chain is broken"
            assert commit_id not in ids
            ids.add(commit_id)
            heads[job_id] = version, hashlib.sha256(message.data).digest()
    finally:
        await client.close()
    return set(heads)

"""Commits of many jobs that wait at once leave together; what is wrong with one of them concerns no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from jobledger.adapters import loops
from jobledger.adapters.engine.live import LiveJob, NoRoom, NotWritten, TooLarge
from jobledger.adapters.engine.writing import commits, parking
from jobledger.adapters.engine.writing.commits import TOGETHER, Committer
from jobledger.adapters.engine.writing.room import Room
from jobledger.adapters.metrics.engine import EngineMeter
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import LogWriter, read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log, limit_log
from jobledger.adapters.nats.wire import Wire
from jobledger.core import events as e
from jobledger.core.job import Job, evolve
from support.engines import submission, task
from support.servers import NatsServer

PATIENCE = 20.0  # seconds
MANY = 3 * TOGETHER


class Log:
    """A committer on a real log, and the jobs it writes."""

    def __init__(self, client: Wire, names: Names) -> None:
        self.client = client
        self.names = names
        self.writer = LogWriter(client, names)
        self.abandoned: list[str] = []
        self.parked: list[tuple[str, bool]] = []  #: jobs that were, and whether from then on or no more
        self.committer = Committer(
            self.writer,
            "engine",
            EngineMeter(),
            Room(client, names),
            wake=client.wake,
            owned=lambda: True,
            on_written=lambda live: None,
            on_failed=lambda live, reason: self.abandoned.append(live.job.id),
            on_parked=lambda live: self.parked.append((live.job.id, live.parked is not None)),
        )

    def job(self, job_id: str) -> LiveJob:
        return LiveJob(Job(job_id))

    def decide(self, live: LiveJob, event: e.Event) -> asyncio.Future[None]:
        """Have the event written; return what is done once it is."""
        live.at = 1
        evolve(live.job, event, live.at)
        self.committer.add(live, [event])
        return live.written()

    async def versions(self, live: LiveJob) -> list[int]:
        return [stored.version for stored in await read_job(self.client, self.names, live.job.id)]


def on_log(server: NatsServer, names: Names, test: Callable[[Log], Coroutine[Any, Any, None]]) -> None:
    async def connected() -> None:
        client = await connect(Endpoint(server.url), name="test")
        try:
            await ensure_log(client.jetstream(), names)
            log = Log(client, names)
            await log.writer.open()
            end = client.at_turn_end(log.committer.write)
            async with asyncio.timeout(PATIENCE):
                await test(log)
            end()
        finally:
            await client.close()

    loops.run(connected())


def submitted(name: str = "job") -> e.JobSubmitted:
    return e.JobSubmitted(name, submission(task()), "", None)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commits each batch had."""
    sizes: list[int] = []
    put_together = LogWriter.put_together

    def noted(self: LogWriter, several: Any, appended: Any) -> None:
        sizes.append(len(several))
        put_together(self, several, appended)

    monkeypatch.setattr(LogWriter, "put_together", noted)
    return sizes


def test_a_few_go_one_by_one(nats_server: NatsServer, names: Names, batches: list[int]) -> None:
    async def test(log: Log) -> None:
        jobs = [log.job(f"job-{number}") for number in range(10)]
        await asyncio.gather(*(log.decide(job, submitted()) for job in jobs))
        assert [job.position for job in jobs] == list(range(1, 11))
        assert batches == []

    on_log(nats_server, names, test)


def test_many_go_together_and_each_knows_its_position(
    nats_server: NatsServer, names: Names, batches: list[int]
) -> None:
    async def test(log: Log) -> None:
        jobs = [log.job(f"job-{number}") for number in range(MANY)]
        await asyncio.gather(*(log.decide(job, submitted()) for job in jobs))
        await asyncio.gather(*(log.decide(job, e.JobCanceled("command", "", "")) for job in jobs))
        assert batches
        assert sum(batches) == 2 * MANY
        for job in jobs:
            first, second = await read_job(log.client, log.names, job.job.id)
            assert (first.version, second.version, second.position) == (1, 2, job.position)
            assert second.commit.previous == first.digest

    on_log(nats_server, names, test)


def test_what_is_decided_meanwhile_is_the_next_commit(nats_server: NatsServer, names: Names) -> None:
    async def test(log: Log) -> None:
        jobs = [log.job(f"job-{number}") for number in range(MANY)]
        first = [log.decide(job, submitted()) for job in jobs]
        log.committer.write()
        second = [log.decide(job, e.JobCanceled("command", "", "")) for job in jobs]
        await asyncio.gather(*first, *second)
        assert [await log.versions(job) for job in jobs[:3]] == [[1, 2]] * 3
        assert {job.version for job in jobs} == {2}

    on_log(nats_server, names, test)


def test_one_that_is_out_of_place_takes_no_other_with_it(
    nats_server: NatsServer, names: Names, batches: list[int]
) -> None:
    async def test(log: Log) -> None:
        jobs = [log.job(f"job-{number}") for number in range(MANY)]
        stranger = jobs[MANY // 2]
        await log.client.jetstream().publish(names.log_subject(stranger.job.id), b"somebody else was here")
        written = await asyncio.gather(
            *(log.decide(job, submitted()) for job in jobs), return_exceptions=True
        )
        assert batches
        assert isinstance(written.pop(MANY // 2), NotWritten)
        assert set(written) == {None}
        assert log.abandoned == [stranger.job.id]
        assert len({job.position for job in jobs if job is not stranger}) == MANY - 1

    on_log(nats_server, names, test)


def test_one_that_is_too_large_for_the_server_takes_no_other_with_it(
    nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(log: Log) -> None:
        jobs = [log.job(f"job-{number}") for number in range(MANY)]
        large = submitted("x" * (log.client.max_payload + 1))
        written = await asyncio.gather(
            *(log.decide(job, large if job is jobs[7] else submitted()) for job in jobs),
            return_exceptions=True,
        )
        assert [number for number, outcome in enumerate(written) if outcome is not None] == [7]
        assert isinstance(written[7], TooLarge)
        assert log.abandoned == [jobs[7].job.id]

    on_log(nats_server, names, test)


def test_without_an_answer_all_of_them_are_in_doubt(
    nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "TOGETHER", 2)

    async def test(log: Log) -> None:
        await log.client.jetstream().delete_stream(names.log_stream)
        jobs = [log.job(f"job-{number}") for number in range(3)]
        written = await asyncio.gather(
            *(log.decide(job, submitted()) for job in jobs), return_exceptions=True
        )
        assert [str(problem) for problem in written] == [
            "no log stream takes the commit: it has no leader just now, or was deleted"
        ] * 3
        assert sorted(log.abandoned) == [job.job.id for job in jobs]

    on_log(nats_server, names, test)


def test_what_the_log_has_no_room_for_is_written_as_it_was_once_it_has(
    nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(log: Log) -> None:
        js = log.client.jetstream()
        jobs = [log.job(f"job-{number}") for number in range(MANY)]
        await asyncio.gather(*(log.decide(job, submitted()) for job in jobs))
        await limit_log(js, names, (await js.stream_info(names.log_stream)).state.bytes)
        first = [log.decide(job, e.JobCanceled("first", "", "")) for job in jobs]
        outcomes = await asyncio.gather(*first, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {NotWritten}
        with pytest.raises(NotWritten, match="maximum bytes exceeded"):
            await log.decide(jobs[0], e.JobCanceled("second", "", ""))  # told at once, and kept
        assert log.committer.parked == MANY
        assert log.committer.unwritable is not None
        with pytest.raises(NoRoom):
            await log.decide(log.job("new"), submitted())
        await limit_log(js, names, 0)
        while any(not job.idle for job in jobs):
            await asyncio.sleep(0.01)
        assert log.committer.parked == 0
        assert [await log.versions(job) for job in jobs[:2]] == [[1, 2, 3], [1, 2]]
        assert log.abandoned == ["new"]
        assert sorted(log.parked) == sorted((job.job.id, parked) for job in jobs for parked in (True, False))

    monkeypatch.setattr(parking, "_AGAIN", 0.05)
    on_log(nats_server, names, test)


def test_while_there_is_no_room_one_commit_is_tried_at_a_time(
    nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts: list[str] = []
    put = LogWriter.put

    def noted(self: LogWriter, job_id: str, payload: bytes, appended: Any, *, after: int) -> None:
        puts.append(job_id)
        put(self, job_id, payload, appended, after=after)

    async def test(log: Log) -> None:
        js = log.client.jetstream()
        jobs = [log.job(f"job-{number}") for number in range(5)]
        await asyncio.gather(*(log.decide(job, submitted()) for job in jobs))
        await limit_log(js, names, (await js.stream_info(names.log_stream)).state.bytes)
        first = [log.decide(job, e.JobCanceled("first", "", "")) for job in jobs]
        await asyncio.gather(*first, return_exceptions=True)
        puts.clear()
        while len(puts) < 7:
            await asyncio.sleep(0.01)
        assert puts[:5] == [job.job.id for job in jobs]  # in turn: one that never fits holds up no other
        assert puts[5:7] == puts[:2]

    monkeypatch.setattr(LogWriter, "put", noted)
    monkeypatch.setattr(parking, "_AGAIN", 0.02)
    on_log(nats_server, names, test)


def test_only_who_decided_what_is_too_large_is_told_that_it_is(nats_server: NatsServer, names: Names) -> None:
    async def test(log: Log) -> None:
        job = log.job("job")
        await log.decide(job, submitted())
        large = log.decide(job, e.JobCanceled("first", "x" * (log.client.max_payload + 1), ""))
        behind = log.decide(job, e.JobCanceled("second", "", ""))
        outcomes = await asyncio.gather(large, behind, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TooLarge, NotWritten]
        assert log.abandoned == ["job"]

    on_log(nats_server, names, test)


def test_where_messages_are_small_so_are_commits(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path, more_configuration="max_payload: 32KB\n").start()

    async def test(log: Log) -> None:
        assert log.client.max_payload == 32 * 1024
        job = log.job("job")
        await log.decide(job, submitted())
        large = [e.JobCanceled(str(number), "x" * 10_000, "") for number in range(8)]
        await asyncio.gather(*(log.decide(job, event) for event in large))
        assert log.abandoned == []
        assert len(await log.versions(job)) > 4

    try:
        on_log(server, names, test)
    finally:
        server.stop()

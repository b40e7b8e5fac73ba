"""Several engines at work in one namespace, each on its share of the partitions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from uuid import uuid4

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.options import EngineOptions
from jobledger.adapters.engine.partitions.fleet import look
from jobledger.adapters.engine.run import run_engine
from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.nats.partitions import Partition, partition_of
from jobledger.adapters.nats.streams import StreamSettingsError
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core.codec import NO_PREVIOUS, Commit
from support.engines import (
    BareRunner,
    EngineHarness,
    command,
    computed,
    event_names,
    history,
    refs,
    submission,
    submit,
    task,
)
from support.servers import NatsServer
from support.waiting import eventually

Start = Callable[..., EngineHarness]

COUNT = 4


def owners(link: Link) -> dict[int, str]:
    """Return who owns which partition."""
    return shared_portal().run(look(link.nc, link.names)).owners


def spread_over(link: Link, engines: int) -> bool:
    shares = Counter(owners(link).values())
    return sum(shares.values()) == COUNT and sorted(shares.values()) == sorted(
        COUNT // engines + (place < COUNT % engines) for place in range(engines)
    )


def job_in(partition: int) -> str:
    """Return an id of a job that belongs to this partition."""
    return next(
        job_id for job_id in iter(lambda: str(uuid4()), "") if partition_of(job_id, COUNT) == partition
    )


def runners(link: Link) -> list[BareRunner]:
    return [BareRunner(link, name="r", partition=Partition(number, COUNT)) for number in range(COUNT)]


def test_partitions_follow_the_engines_that_come_and_go(start_engine: Start, link: Link) -> None:
    first = start_engine(partitions=COUNT).wait_ready()
    eventually(lambda: spread_over(link, 1))
    jobs = [submit(link, job_id=job_in(number)) for number in range(COUNT)]
    second = start_engine().wait_ready()
    eventually(lambda: spread_over(link, 2))
    third = start_engine().wait_ready()
    eventually(lambda: spread_over(link, 3))
    jobs += [submit(link, job_id=job_in(number)) for number in range(COUNT)]
    for runner in runners(link):
        runner.report(*map(computed, runner.claim(limit=9)))
    first.stop()
    eventually(lambda: spread_over(link, 2))
    third.stop()
    eventually(lambda: spread_over(link, 1))
    for job_id in jobs:
        reply = command(link, p.FollowJob(job_id, settled=True))
        assert isinstance(reply, p.JobStatus)
        assert reply.settled
        assert event_names(link, job_id) == ["JobSubmitted", "TasksClaimed", "TaskComputed", "JobCompleted"]
    second.stop()
    assert owners(link) == {}


def test_more_engines_than_partitions_stand_by(start_engine: Start, link: Link) -> None:
    first, second = (start_engine(partitions=1) for _ in range(2))
    eventually(lambda: first.ready.is_set() or second.ready.is_set())
    serving, standing_by = (first, second) if first.ready.is_set() else (second, first)
    submit(link)
    assert not standing_by.ready.is_set()
    serving.stop()
    standing_by.wait_ready()
    assert len(BareRunner(link).claim()) == 1


def test_whoever_waits_while_a_partition_moves_is_answered_and_goes_on_with_the_next_engine(
    start_engine: Start, link: Link
) -> None:
    first = start_engine(partitions=COUNT).wait_ready()
    start_engine().wait_ready()
    eventually(lambda: spread_over(link, 2))
    held, new = job_in(0), job_in(0)
    submit(link, job_id=held)
    runner = runners(link)[0]
    (ref,) = runner.claim()

    async def wait_while_it_moves() -> tuple[p.Answer, p.Answer]:
        exchange = asyncio.ensure_future(runner.exchanging(limit=1, wait=60.0))
        question = p.encode(p.FollowJob(held, settled=True, wait=60.0))
        news = asyncio.ensure_future(link.ask_about(held, question, timeout=70, patience=70))
        await asyncio.to_thread(first.stop)
        return await exchange, await news

    exchanged, status = shared_portal().run(wait_while_it_moves(), timeout=20)
    assert exchanged == p.Exchanged([], [], 15.0)
    assert isinstance(status, p.JobStatus)
    assert not status.settled
    submit(link, job_id=new)
    assert refs(runner.exchange(computed(ref))) == [p.AttemptRef(new, 0, 1)]
    reply = command(link, p.FollowJob(held, settled=True))
    assert isinstance(reply, p.JobStatus)
    assert reply.settled


def test_what_the_engine_before_wrote_to_the_end_is_found_once_it_has_left(
    start_engine: Start, link: Link
) -> None:
    """Its last commit was on its way while another engine took over and had already written more."""
    start_engine(partitions=COUNT).wait_ready()
    known, late = job_in(1), job_in(1)
    submit(link, job_id=known)
    submitted = history(link, known)[0].commit
    foreign = Commit(bytes(16), NO_PREVIOUS, submitted.at, "the one before", False, submitted.events)
    payload = encode_message(1, foreign)
    shared_portal().run(link.nc.jetstream().publish(link.names.log_subject(late), payload))
    submit(link, job_id=job_in(1))
    shared_portal().run(link.nc.publish(link.names.farewell, p.encode(p.Presence("the one before", 1))))
    runner = runners(link)[1]
    eventually(lambda: late in {ref.job_id for ref in runner.claim(limit=9, wait=1.0)})


def test_a_request_that_comes_to_the_wrong_partition_changes_nothing(start_engine: Start, link: Link) -> None:
    start_engine(partitions=COUNT).wait_ready()
    eventually(lambda: spread_over(link, 1))
    job_id = job_in(2)
    request = p.encode(c.SubmitJob(job_id, "a job", submission(task())))
    wrong = link.names.within(Partition(1, COUNT)).command
    reply = p.decode_reply(shared_portal().run(link.nc.request(wrong, request, timeout=5)).data)
    assert isinstance(reply, p.Unavailable)
    assert "belongs to another partition" in reply.message
    assert event_names(link, job_id) == []
    assert submit(link, job_id=job_id) == job_id


def test_a_client_that_knew_another_log_of_this_name_finds_its_way(start_engine: Start, link: Link) -> None:
    """The log was deleted and made anew, with another number of partitions."""
    first = start_engine(partitions=2).wait_ready()
    submit(link)
    first.stop()
    js = link.nc.jetstream()
    shared_portal().run(js.delete_stream(link.names.log_stream))
    start_engine(partitions=COUNT).wait_ready()
    for number in range(COUNT):
        submit(link, job_id=job_in(number))


def test_another_number_of_partitions_is_refused(
    start_engine: Start, nats_server: NatsServer, link: Link
) -> None:
    start_engine(partitions=COUNT).wait_ready()
    other = run_engine(
        Endpoint(nats_server.url),
        link.names.namespace,
        stop=asyncio.Event(),
        on_ready=lambda: None,
        options=EngineOptions(partitions=COUNT + 1),
    )
    with pytest.raises(StreamSettingsError, match=r"into 4 partitions, not into 5: .* or with 4"):
        shared_portal().run(other, timeout=10)

"""The publisher: the whole log, each event once, in order, wherever it is ended and however many there are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from jobledger import Client
from jobledger.adapters.feed import contexts, stream
from jobledger.adapters.feed.outbox import Outbox, Overtaken
from jobledger.adapters.feed.publisher import Publisher
from jobledger.adapters.nats import tail
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import StoredMessage
from jobledger.adapters.portal import shared_portal
from jobledger.core import events as e
from jobledger.projections.feed import FeedEncoder, FeedId, FeedMessage, JobContext, Place, told
from support.feeds import Feed, FeedHarness, Stored, random_jobs, stored
from support.histories import submission, task
from support.processes import PythonProcess
from support.random_history import T0
from support.servers import NatsServer
from support.waiting import eventually, eventually_async

from .conftest import Publish

FAN_OUT = 600


def fan_out(job_id: str, size: int = FAN_OUT) -> Stored:
    """Return the history of a job of `size` tasks: some of its commits take several batches."""
    tasks = range(size)
    done: list[e.Event] = [e.TaskComputed(number, 1, T0, T0 + 5) for number in tasks]
    submitted = e.JobSubmitted(
        "fan out", submission(*(task("Fetch", data=b"%d" % number) for number in tasks))
    )
    claimed = e.TasksClaimed("runner-1", 1, [0, size])
    return stored(
        job_id, [(T0, [submitted]), (T0 + 1, [claimed]), (T0 + 2, [*done, e.JobCompleted()])], settles=True
    )


def expected(feed: Feed, log: list[StoredMessage]) -> list[tuple[int, str, bytes]]:
    """Return what the feed of a log must be, told by one who has all of it in memory."""
    contexts_of: dict[str, JobContext] = {}
    encoder, found = FeedEncoder(feed.names.namespace), list[tuple[int, str, bytes]]()
    for position, subject, payload in log:
        job_id = subject.rpartition(".")[2]
        version, commit = contexts.read_commit(payload)
        context = contexts_of.setdefault(job_id, JobContext())
        for unsent in told(context, Place(job_id, position, version, commit.at), commit.events):
            message = encoder.encode(unsent, len(found) + 1)
            found.append((len(found) + 1, f"{feed.names.feed_prefix}.{message.subject}", message.payload))
    return found


def test_the_whole_log_is_published_and_what_is_written_meanwhile(feed: Feed, publish: Publish) -> None:
    random = Random(1)
    jobs = random_jobs(random, 12)
    feed.write(jobs[:6], random)
    publish()
    feed.write(jobs[6:], random)
    assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())


def test_what_the_server_says_of_a_request_is_no_more_to_come(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a publisher would wait for it with the last messages of the log in hand."""
    monkeypatch.setattr(tail, "_HEARTBEAT", 0.2)
    feed.write([fan_out("job-1", 1)])

    async def following() -> None:
        log = await tail.Tail.open(feed.client, feed.names.log_stream, feed.names.log_subjects, after=0)
        assert [(await anext(log)).position, log.has_more] == [1, True]
        await anext(log)
        await anext(log)
        await eventually_async(lambda: asyncio.sleep(0, not log._arrived.empty()))
        assert not log.has_more
        await log.close()

    shared_portal().run(following())


def test_a_log_that_is_not_there_yet_is_waited_for(feed: Feed, publish: Publish) -> None:
    publish()
    assert feed.messages() == []
    feed.write([fan_out("job-1", 3)])
    assert len(feed.complete()) == 7


def test_it_goes_on_where_it_was_crashed_anywhere(feed: Feed, publish: Publish) -> None:
    random = Random(2)
    for number in range(6):
        publish().crash()
        feed.write(
            [fan_out(f"fan-{number}"), *random_jobs(random, 2, name=f"job-{number}")][: random.randint(1, 3)]
        )
        publish().crash()
        if random.random() < 0.5:
            publish().stop()
    publish()
    assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())


def test_it_goes_on_in_the_middle_of_a_commit(feed: Feed, publish: Publish) -> None:
    feed.write([fan_out("job-1")])
    whole = expected(feed, feed.log())
    _publish_part(feed, whole[:250])
    publish()
    assert [tuple(message) for message in feed.complete()] == whole


def test_two_publishers_publish_everything_once(feed: Feed, publish: Publish) -> None:
    harnesses = [publish() for _ in range(3)]
    feed.write([fan_out(f"fan-{number}") for number in range(4)])
    harnesses[0].crash()
    feed.write(random_jobs(Random(3), 5))
    assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())
    harnesses[1].stop()
    feed.write([fan_out("last", 20)])
    assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())


def test_who_was_overtaken_stores_nothing(feed: Feed) -> None:
    feed.write([fan_out("job-1", 40)])
    whole = expected(feed, feed.log())
    _publish_part(feed, whole[:10])
    for late in (whole[9:12], whole[5:8], whole[5:40]):  # few, and a batch
        with pytest.raises(Overtaken):
            _publish_part(feed, late, after=late[0][0] - 1)
    assert [tuple(message) for message in feed.messages()] == whole[:10]


def test_processes_that_are_killed_publish_everything_once(feed: Feed) -> None:
    """The short form of `python benchmarks/feed.py kills`."""
    random = Random(4)
    command = "from jobledger.adapters.cli import main; main()"
    options = ("feed", "run", "--nats", feed.url, "--namespace", feed.names.namespace)
    process = PythonProcess("-c", command, *options, ready="serving namespace")
    feed.write([fan_out("before", 5000)])
    process.start()
    eventually(feed.messages)
    process.kill()
    feed.write([fan_out("between"), *random_jobs(random, 3)])
    process.start()
    try:
        assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())
    finally:
        process.stop()


def test_it_goes_on_when_the_server_comes_back(tmp_path: Path, names: Names) -> None:
    server = NatsServer(tmp_path).start()
    feed, publisher = Feed(server.url, names), FeedHarness(server.url, names).start()
    feed.write([fan_out("before", 2000)])
    server.kill()
    server.start()
    eventually(lambda: feed.client.is_connected)
    feed.write([fan_out("after", 100)])
    try:
        assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())
    finally:
        publisher.stop()
        feed.close()
        server.stop()


def test_a_feed_that_is_made_anew_is_the_same(feed: Feed, publish: Publish) -> None:
    random = Random(5)
    feed.write([*random_jobs(random, 10), fan_out("fan")], random)
    publish()
    before = feed.complete()
    shared_portal().run(stream.begin_again(feed.client, feed.names))
    assert feed.complete() == before


def test_a_feed_that_was_deleted_comes_back(feed: Feed, publish: Publish) -> None:
    feed.write([fan_out("fan", 10)])
    publish()
    before = feed.complete()
    shared_portal().run(feed.client.jetstream().delete_stream(feed.names.feed_stream))
    assert feed.complete() == before


def test_where_all_was_discarded_it_goes_on_with_what_comes(feed: Feed, publish: Publish) -> None:
    feed.write([fan_out("fan", 10)])
    publish().stop()
    whole = expected(feed, feed.log())
    shared_portal().run(feed.client.jetstream().purge_stream(feed.names.feed_stream))
    feed.write([fan_out("next", 5)])
    publish()
    assert [tuple(message) for message in feed.complete()] == expected(feed, feed.log())[len(whole) :]


def test_what_is_remembered_is_limited_and_made_anew(feed: Feed) -> None:
    random = Random(6)
    feed.write(random_jobs(random, 30, steps=20), random)
    log = feed.log()

    async def publishing() -> None:
        await stream.ensure(feed.client, feed.names)
        few = contexts.Contexts(feed.client, feed.names, budget=2000)
        publisher = Publisher(feed.client, feed.names, few)
        running = asyncio.ensure_future(publisher.run(stream.Head()))
        await eventually_async(lambda: asyncio.sleep(0, publisher.position == len(log)))
        publisher.stop()
        await running
        assert len(few) < 10

    shared_portal().run(publishing())
    assert [tuple(message) for message in feed.messages()] == expected(feed, log)


def test_a_commit_that_cannot_be_read_is_told_and_the_others_go_on(feed: Feed, publish: Publish) -> None:
    whole, other = fan_out("job-1", 4), fan_out("job-2", 1)
    torn = Stored("job-1", [whole.payloads[0], b"no commit", whole.payloads[2]])
    feed.write([torn, other])
    publish()
    feed.complete()
    events = feed.events()
    kinds = [event["type"] for event in events if event["jobid"] == "job-1"]
    assert kinds.count("jobledger.job.damaged.v1") == 1
    assert kinds.count("jobledger.task.computed.v1") == 4
    assert [event["type"] for event in events][-1] == "jobledger.job.completed.v1"


def test_a_message_of_somebody_else_stops_it_and_says_the_way_out(feed: Feed, publish: Publish) -> None:
    feed.write([fan_out("job-1", 3)])
    publish()
    before = feed.complete()
    shared_portal().run(feed.client.jetstream().publish(f"{feed.names.feed_prefix}.x", b"{}"))
    feed.write([fan_out("job-2", 3)])
    with Client(feed.url, namespace=feed.names.namespace) as client:

        def problem() -> str:
            return client.feed().status().publishers[0].problem

        assert "`jobledger feed rebuild` makes it anew" in eventually(problem)
        assert client.feed().rebuild(timeout=20).last == 2 * len(before)


def test_ids_say_where_a_message_belongs() -> None:
    assert FeedId.parse("77-3") == (77, 3, 0)
    assert FeedId.parse("77-3-12") > FeedId.parse("77-3-2")
    with pytest.raises(ValueError, match="no id"):
        FeedId.parse("77")


def _publish_part(feed: Feed, part: list[tuple[int, str, bytes]], after: int = 0) -> None:
    """Write some messages of a feed as a publisher would, and end."""
    skip = len(feed.names.feed_prefix) + 1

    async def publishing() -> None:
        await stream.ensure(feed.client, feed.names)
        outbox = Outbox(feed.client, feed.names)
        await outbox.open()
        messages = [
            FeedMessage(FeedId.parse(json.loads(payload)["id"]), subject[skip:], payload)
            for _, subject, payload in part
        ]
        try:
            await outbox.send(messages, after=after)
            await outbox.settle()
        finally:
            await outbox.close()

    shared_portal().run(publishing())

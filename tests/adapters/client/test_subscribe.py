"""Subscriptions: every change of a job's state, in order, pushed; durable under a name; a callback's errors are its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from jobledger import ArgumentError, AsyncClient, Client, ExecutionContext, JobState, NotFoundError, Task
from jobledger.adapters.client.follow import subscription
from jobledger.adapters.client.ids import new_id
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import encode_record
from jobledger.adapters.portal import shared_portal
from jobledger.core.codec import TOPIC
from jobledger.data import JobChange
from jobledger.errors import JobLedgerError
from support.engines import BareRunner, EngineHarness, computed
from support.servers import NatsServer
from support.waiting import eventually

SUBMITTED, RUNNING, STARTED = JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED
COMPLETED, CANCELED = JobState.COMPLETED, JobState.CANCELED


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> None:
        """Nothing is left to do."""


class Heard:
    """A callback that keeps what it was told."""

    def __init__(self) -> None:
        self.changes: Queue[JobChange] = Queue()

    def __call__(self, change: JobChange) -> None:
        self.changes.put(change)

    def next(self) -> JobChange:
        return self.changes.get(timeout=10)

    def states(self, count: int) -> list[JobState]:
        return [self.next().new for _ in range(count)]


def subscription_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jobledger-subscription"]


# -- what is told -------------------------------------------------------------------------------------------------


def test_every_change_of_every_job_is_told_in_order(client: Client) -> None:
    heard = Heard()
    with client.jobs().subscribe(heard) as handle:
        first = client.jobs().submit("first", Add(1))
        client.runner(tasks=[Add]).run_all()
        second = client.jobs().submit("second", Add(2))
        client.jobs().cancel(second)
        told = [heard.next() for _ in range(5)]
        assert [(change.job_id, change.name, change.old, change.new) for change in told] == [
            (first.id, "first", None, SUBMITTED),
            (first.id, "first", SUBMITTED, RUNNING),
            (first.id, "first", RUNNING, COMPLETED),
            (second.id, "second", None, SUBMITTED),
            (second.id, "second", SUBMITTED, CANCELED),
        ]
        assert [change.position for change in told] == sorted({change.position for change in told})
        assert told[0].at == first.submitted_at
        eventually(lambda: handle.position == told[-1].position)
    assert heard.changes.empty()


def test_only_what_is_asked_for_is_told(client: Client) -> None:
    jobs = client.jobs()
    job, other = jobs.submit("job", Add(1)), jobs.submit("other", Add(2))
    of_one, of_state, of_both = Heard(), Heard(), Heard()
    with (
        jobs.subscribe(of_one, job=job),
        jobs.subscribe(of_state, states=CANCELED),
        jobs.subscribe(of_both, job=str(other.id), states=[COMPLETED, CANCELED]),
    ):
        jobs.cancel(job)
        jobs.retry(job)
        jobs.cancel(other)
        assert of_one.states(2) == [CANCELED, SUBMITTED]
        assert [of_state.next().job_id, of_state.next().job_id] == [job.id, other.id]
        assert of_both.next().job_id == other.id
    assert of_one.changes.empty()
    assert of_state.changes.empty()
    assert of_both.changes.empty()


def test_a_job_that_is_first_seen_in_the_middle_is_read_from_its_beginning(
    client: Client, bare_runner: BareRunner
) -> None:
    job = client.jobs().submit("adding", [Add(1), Add(2)])
    (ref,) = bare_runner.claim()
    heard = Heard()
    with client.jobs().subscribe(heard):
        bare_runner.report(computed(ref))
        change = heard.next()
    assert (change.job_id, change.old, change.new) == (job.id, RUNNING, STARTED)


@pytest.mark.parametrize("since", ["start", 0, "time"])
def test_what_happened_before_can_be_had_again(client: Client, since: Any) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    client.jobs().cancel(client.jobs().submit("adding", Add(1)))
    heard = Heard()
    with client.jobs().subscribe(heard, since=began if since == "time" else since):
        assert heard.states(2) == [SUBMITTED, CANCELED]


def test_a_position_is_where_another_one_goes_on(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    client.jobs().cancel(job)
    heard, later = Heard(), Heard()
    with client.jobs().subscribe(heard, since="start"):
        submitted, canceled = heard.next(), heard.next()
    with client.jobs().subscribe(later, since=submitted.position) as handle:
        assert later.next() == canceled
    assert handle.position == canceled.position
    with client.jobs().subscribe(later, since=handle.position):
        client.jobs().retry(job)
        assert later.next().old is CANCELED


def test_since_a_position_that_is_not_there_yet_is_a_mistake(client: Client) -> None:
    position = client.jobs().submit("first", Add(1)).history[-1].position
    client.jobs().subscribe(print, since=position).close()
    with pytest.raises(
        ArgumentError, match=rf"since={position + 1} is beyond the end of the log: its newest commit"
    ):
        client.jobs().subscribe(print, since=position + 1)


def test_since_a_time_with_nothing_after_it_is_from_now_on(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    heard = Heard()
    with client.jobs().subscribe(heard, since=datetime.now(UTC) + timedelta(hours=1)):
        client.jobs().cancel(job)
        assert heard.next().new is CANCELED


def test_more_changes_than_are_asked_for_at_once(client: Client) -> None:
    count = 700
    jobs = [client.jobs().submit("adding", Add(n)) for n in range(count)]
    heard = Heard()
    with client.jobs().subscribe(heard, since="start"):
        assert [heard.next().job_id for _ in range(count)] == [job.id for job in jobs]


# -- callbacks ----------------------------------------------------------------------------------------------------


def test_a_callback_that_raises_is_logged_and_alone(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    calls: list[JobState] = []

    def broken(change: JobChange) -> None:
        calls.append(change.new)
        raise SystemExit("no") if change.new is SUBMITTED else ValueError("it broke")

    with client.jobs().subscribe(broken) as handle, client.jobs().subscribe(heard):
        client.jobs().cancel(client.jobs().submit("adding", Add(1)))
        assert heard.states(2) == [SUBMITTED, CANCELED]
        eventually(lambda: calls == [SUBMITTED, CANCELED])
        assert handle.active
    assert caplog.text.count("the callback of a subscription raised") == 2
    assert "ValueError: it broke" in caplog.text


def test_a_callback_may_use_the_client_and_close_its_own_subscription(client: Client) -> None:
    done = threading.Event()

    def react(change: JobChange) -> None:
        assert client.jobs().find(change.job_id).state is SUBMITTED
        client.jobs().cancel(change.job_id)
        handle.close()
        done.set()

    handle = client.jobs().subscribe(react, states=SUBMITTED)
    job = client.jobs().submit("adding", Add(1))
    assert done.wait(10)
    assert job.state is CANCELED
    eventually(lambda: not handle.active)


def test_closing_leaves_nothing_behind(client: Client, names: Names) -> None:
    heard = Heard()
    handles = [client.jobs().subscribe(heard) for _ in range(3)]
    link = shared_portal().run(client._session.link())

    def consumers() -> int:
        info = shared_portal().run(link.nc.jetstream().stream_info(names.log_stream))
        return info.state.consumer_count

    assert (len(subscription_threads()), consumers()) == (3, 3)
    for handle in handles:
        handle.close()
        handle.close()
    assert (subscription_threads(), consumers()) == ([], 0)
    client.jobs().submit("adding", Add(1))
    assert heard.changes.empty()


def test_closing_the_client_ends_its_subscriptions(
    nats_server: NatsServer, names: Names, engine: EngineHarness, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(nats_server.url, namespace=names.namespace)
    handle = client.jobs().subscribe(Heard())
    assert handle.active
    client.close()
    eventually(lambda: not handle.active)
    handle.close()
    assert not caplog.records


# -- under a name -------------------------------------------------------------------------------------------------


def test_a_named_subscription_goes_on_where_it_stopped(client: Client) -> None:
    jobs = client.jobs()
    heard = Heard()
    job = jobs.submit("adding", Add(1))
    with jobs.subscribe(heard, name="mailer"):
        jobs.cancel(job)
        assert heard.next().new is CANCELED
    jobs.retry(job)
    jobs.submit("another", Add(2))
    with jobs.subscribe(heard, name="mailer", since="start"):  # which counts the first time only
        assert [heard.next().name, heard.next().name] == ["adding", "another"]
    assert heard.changes.empty()


def test_a_named_subscription_that_heard_nothing_begins_where_it_was_made(client: Client) -> None:
    heard = Heard()
    client.jobs().submit("before", Add(1))
    client.jobs().subscribe(heard, name="mailer").close()
    client.jobs().submit("between", Add(2))
    with client.jobs().subscribe(heard, name="mailer"):
        assert heard.next().name == "between"


def test_a_change_whose_callback_did_not_return_is_told_again(
    nats_server: NatsServer, names: Names, engine: EngineHarness, client: Client
) -> None:
    """The first subscriber is killed, as far as one in this process can be: it never comes back from its callback."""
    stuck, entered = threading.Event(), threading.Event()

    def hang(change: JobChange) -> None:
        entered.set()
        stuck.wait(20)

    killed = Client(nats_server.url, namespace=names.namespace)
    killed.jobs().subscribe(hang, name="mailer")
    job = client.jobs().submit("adding", Add(1))
    assert entered.wait(10)
    heard = Heard()
    with client.jobs().subscribe(heard, name="mailer"):
        assert heard.next().job_id == job.id
    stuck.set()
    killed.close()


def test_a_named_subscription_tells_again_what_its_callback_failed_on_before_anything_later(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    calls: Queue[JobState] = Queue()

    def broken(change: JobChange) -> None:
        calls.put(change.new)
        if change.new is SUBMITTED and calls.qsize() < 3:
            raise ValueError("not yet")

    with client.jobs().subscribe(broken, name="mailer"):
        client.jobs().cancel(client.jobs().submit("adding", Add(1)))
        eventually(lambda: calls.qsize() == 4)
    assert [calls.get() for _ in range(4)] == [SUBMITTED, SUBMITTED, SUBMITTED, CANCELED]
    assert "it is told again in 0.1 s" in caplog.text


def test_a_named_subscription_passes_over_what_its_callback_never_takes(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "_AGAIN_AFTER", (0.01, 0.01, 0.01))
    calls: list[JobState] = []

    def broken(change: JobChange) -> None:
        calls.append(change.new)
        if change.new is SUBMITTED:
            raise ValueError("never")

    with client.jobs().subscribe(broken, name="mailer"):
        client.jobs().cancel(client.jobs().submit("adding", Add(1)))
        eventually(lambda: calls == [*[SUBMITTED] * 4, CANCELED])
    assert "it is passed over" in caplog.text


def test_closing_between_two_tries_leaves_the_change_for_the_next_time(client: Client) -> None:
    tried = threading.Event()

    def broken(change: JobChange) -> None:
        tried.set()
        raise ValueError("not now")

    handle = client.jobs().subscribe(broken, name="mailer")
    job = client.jobs().submit("adding", Add(1))
    assert tried.wait(10)
    handle.close()
    heard = Heard()
    with client.jobs().subscribe(heard, name="mailer"):
        assert heard.next().job_id == job.id


def test_the_last_to_take_a_name_has_it(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    jobs = client.jobs()
    first, second = Heard(), Heard()
    with jobs.subscribe(first, name="mailer") as old, jobs.subscribe(second, name="mailer") as new:
        jobs.submit("adding", Add(1))
        assert second.next().new is SUBMITTED
        eventually(lambda: not old.active)
        jobs.submit("another", Add(1))
        assert second.next().name == "another"
        assert new.active
    assert "the subscription 'mailer' was taken over by another subscription of this name" in caplog.text


def test_a_name_can_be_forgotten(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    jobs = client.jobs()
    assert jobs.unsubscribe("mailer") is False
    heard = Heard()
    with jobs.subscribe(heard, name="mailer") as handle:
        assert jobs.unsubscribe("mailer") is True
        jobs.submit("adding", Add(1))
        eventually(lambda: not handle.active)
    assert "the subscription 'mailer' was removed" in caplog.text
    heard = Heard()
    with jobs.subscribe(heard, name="mailer", since="start"):
        assert heard.next().name == "adding"


# -- when things break --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "mailer"])
def test_a_subscription_outlasts_the_server(tmp_path: Path, name: str | None) -> None:
    server = NatsServer(tmp_path).start()
    engine = EngineHarness(server.url, Names("default")).wait_ready()
    heard = Heard()
    with Client(server.url) as client, client.jobs().subscribe(heard, name=name):
        client.jobs().submit("before", Add(1))
        assert heard.next().name == "before"
        for crash in (server.kill, server.stop):
            crash()
            server.start()
            client.jobs().submit("after", Add(2))
            assert heard.next().name == "after"
    engine.stop()
    server.stop()


def test_a_subscription_can_be_closed_while_the_server_is_away(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    engine = EngineHarness(server.url, Names("default")).wait_ready()
    with Client(server.url) as client:
        handle = client.jobs().subscribe(Heard())
        link = shared_portal().run(client._session.link())
        server.kill()
        eventually(lambda: not link.nc.is_connected)
        handle.close()
        assert not handle.active
        server.start()
    engine.stop()
    server.stop()


def test_a_damaged_job_is_passed_over(client: Client, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    job = client.jobs().submit("bad", Add(1))
    link = shared_portal().run(client._session.link())
    payload = encode_record(2, TOPIC, b"\xc1 no commit")
    heard = Heard()
    with client.jobs().subscribe(heard):
        shared_portal().run(link.nc.jetstream().publish(names.log_subject(str(job.id)), payload))
        client.jobs().submit("good", Add(2))
        assert heard.next().name == "good"
    assert f"in the history of job {job.id}" in caplog.text


# -- arguments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"callback": 5}, "callback=5 cannot be called"),
        ({"states": "FAILED"}, "states='FAILED' is not a JobState, nor several"),
        ({"states": []}, r"states=\[\] is not a JobState"),
        ({"since": -1}, "since=-1 is no place in the log"),
        ({"since": "yesterday"}, "since='yesterday' is no place in the log"),
        ({"since": True}, "since=True is no place"),
        ({"since": datetime(2026, 1, 1)}, "since=.* has no time zone"),
        ({"name": "a.b"}, r"name='a\.b' cannot name a subscription"),
        ({"name": ""}, "name='' cannot name a subscription"),
        ({"job": "movies"}, "is not a job, nor the id of one"),
    ],
)
def test_what_cannot_be_subscribed_to_is_refused(given: dict[str, Any], says: str) -> None:
    jobs = Client("nats://127.0.0.1:1", patience=0).jobs()
    with pytest.raises(ArgumentError, match=says):
        jobs.subscribe(**{"callback": print, **given})


def test_an_asynchronous_callback_is_refused_with_the_way_out() -> None:
    async def callback(change: JobChange) -> None: ...

    with pytest.raises(ArgumentError, match=r"iterate over AsyncClient\(\)\.jobs\(\)\.subscribe\(\)"):
        Client("nats://127.0.0.1:1").jobs().subscribe(callback)


def test_a_job_that_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(NotFoundError, match="there is no job"):
        client.jobs().subscribe(print, job=new_id())


# -- asynchronous -------------------------------------------------------------------------------------------------


@pytest.fixture
def connected(nats_server: NatsServer, names: Names, engine: EngineHarness) -> Callable[[], AsyncClient]:
    return lambda: AsyncClient(nats_server.url, namespace=names.namespace)


def test_an_asynchronous_subscription_is_iterated_over(connected: Callable[[], AsyncClient]) -> None:
    async def program() -> list[JobState]:
        async with connected() as client:
            jobs = client.jobs()
            states = []
            async with await jobs.subscribe(states=[SUBMITTED, CANCELED]) as changes:
                await jobs.cancel(await jobs.submit("adding", Add(1)))
                async for change in changes:
                    states.append(change.new)
                    if change.new is CANCELED:
                        break
            return states

    assert asyncio.run(program()) == [SUBMITTED, CANCELED]


def test_what_was_taken_last_comes_again_under_the_name(connected: Callable[[], AsyncClient]) -> None:
    async def program() -> list[str]:
        async with connected() as client:
            jobs = client.jobs()
            for name in ("first", "second", "third"):
                await jobs.submit(name, Add(1))
            seen = []
            for _ in range(2):
                async with await jobs.subscribe(since="start", name="mailer") as changes:
                    seen += [(await anext(changes)).name, (await anext(changes)).name]
            return seen

    assert asyncio.run(program()) == ["first", "second", "second", "third"]


def test_an_asynchronous_subscription_ends_with_its_client_or_with_its_name(
    connected: Callable[[], AsyncClient],
) -> None:
    async def program() -> None:
        client = connected()
        jobs = client.jobs()
        changes, named = await jobs.subscribe(), await jobs.subscribe(name="mailer")
        waiting, told = asyncio.create_task(anext(changes)), asyncio.create_task(anext(named))
        await jobs.submit("adding", Add(1))
        await asyncio.gather(waiting, told)
        await jobs.unsubscribe("mailer")
        with pytest.raises(JobLedgerError, match="was removed"):
            await anext(named)
        waiting = asyncio.create_task(anext(changes))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await waiting

    asyncio.run(program())

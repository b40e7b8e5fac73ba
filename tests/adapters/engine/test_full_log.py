"""A log that may take no more: nothing new is taken before it is full, what runs can end, and nothing is lost if it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.space import Space, find_space
from jobledger.adapters.nats.streams import StreamSettingsError, ensure_divided, limit_log
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core.errors import ServerUnavailable
from jobledger.core.lifecycle import TaskState
from support.engines import (
    BareRunner,
    EngineHarness,
    command,
    computed,
    event_names,
    folded,
    history,
    submission,
    submit,
    task,
)
from support.servers import NatsServer
from support.waiting import eventually

Start = Callable[..., EngineHarness]
_LOG = "jobledger.adapters.engine"


@pytest.fixture
def engine(start_engine: Start, link: Link) -> EngineHarness:
    """Of a log with a limit that is far away: how it stands is looked at every two seconds then."""
    shared_portal().run(ensure_divided(link.nc.jetstream(), link.names, max_bytes=10**9))
    return start_engine().wait_ready()


@pytest.fixture
def nearly_fill(link: Link, caplog: pytest.LogCaptureFixture) -> Callable[[], None]:
    """Leave the log less room than 300 tasks need to end, and wait until the engine knows."""

    def fill() -> None:
        limit(link, used(link) + 60_000)
        eventually(lambda: "the log is nearly full" in caplog.text)

    return fill


def limit(link: Link, max_bytes: int) -> None:
    """Let the log take so many bytes in all; 0: as many as it likes."""
    shared_portal().run(limit_log(link.nc.jetstream(), link.names, max_bytes))


def used(link: Link) -> int:
    info = shared_portal().run(link.nc.jetstream().stream_info(link.names.log_stream))
    return info.state.bytes


def fill(link: Link) -> None:
    """Leave the log no room at all."""
    limit(link, used(link))


def refused_code(link: Link, request: p.CommandRequest) -> str:
    reply = command(link, request)
    return reply.code if isinstance(reply, p.Refused) else ""


def a_job() -> c.SubmitJob:
    return c.SubmitJob(uuid4().hex, "a job", submission(task()))


def unanswered(link: Link, runner: BareRunner, *reports: c.Report) -> asyncio.Future[p.Answer]:
    """Have a runner report, and return the answer to come."""

    async def begin() -> asyncio.Future[p.Answer]:
        return asyncio.ensure_future(runner.exchanging(*reports, limit=0))

    return shared_portal().run(begin())


def answered(future: asyncio.Future[p.Answer]) -> p.Answer:
    async def wait() -> p.Answer:
        return await future

    return shared_portal().run(wait(), timeout=20)


# -- nearly full --------------------------------------------------------------------------------------------------


def test_before_the_log_is_full_nothing_new_is_taken_and_what_runs_can_end(
    engine: EngineHarness, link: Link, nearly_fill: Callable[[], None]
) -> None:
    running = submit(link, *[task() for _ in range(300)])
    runner = BareRunner(link)
    claimed = runner.claim(limit=150)
    nearly_fill()
    assert refused_code(link, a_job()) == "log_full"
    claimed += runner.claim(limit=150)
    assert runner.report(*map(computed, claimed)) == []
    assert folded(link, running).settled


def test_room_is_kept_for_tasks_that_are_not_over_and_free_again_once_they_are(
    engine: EngineHarness, link: Link, nearly_fill: Callable[[], None]
) -> None:
    job_id = submit(link, *[task() for _ in range(300)])
    nearly_fill()
    assert refused_code(link, a_job()) == "log_full"
    command(link, c.DeleteJob(job_id, "delete", force=True))
    eventually(lambda: refused_code(link, a_job()) == "")


def test_large_inputs_are_no_measure_of_what_their_tasks_take_to_end(
    engine: EngineHarness, link: Link
) -> None:
    limit(link, 50_000_000)
    for _ in range(3):
        submit(link, *[task()._replace(input=b"x" * 10_000) for _ in range(200)])
    seen = used(link)
    eventually(
        lambda: shared_portal().run(find_space(link.nc, link.names)) == Space(50_000_000, 50_000_000 - seen)
    )
    for _ in range(12):  # over more than one look at how it stands
        assert refused_code(link, a_job()) == ""
        BareRunner(link, "Nothing").claim(wait=0.1)


def test_what_is_refused_is_said_with_numbers_and_a_remedy(
    engine: EngineHarness, link: Link, nearly_fill: Callable[[], None]
) -> None:
    submit(link, *[task() for _ in range(300)])
    nearly_fill()
    assert refused_code(link, a_job()) == "log_full"
    reply = command(link, a_job())
    assert isinstance(reply, p.Refused)
    assert "kept so that 30" in reply.message
    assert "--max-bytes" in reply.message


def test_what_was_taken_before_is_not_refused_when_it_is_asked_for_again(
    engine: EngineHarness, start_engine: Start, link: Link, nearly_fill: Callable[[], None]
) -> None:
    request = a_job()
    done = command(link, request)
    command(link, c.CancelJob(request.job_id, "cancel"))  # it is settled, and forgotten by the next engine
    submit(link, *[task() for _ in range(300)])
    engine.stop()
    start_engine().wait_ready()
    nearly_fill()
    assert refused_code(link, a_job()) == "log_full"
    again = command(link, request)
    assert isinstance(done, p.Done)
    assert isinstance(again, p.Done)
    assert again.position > done.position


def test_a_retry_and_a_fork_are_new_and_a_cancel_is_not(
    engine: EngineHarness, link: Link, nearly_fill: Callable[[], None]
) -> None:
    ended = submit(link)
    command(link, c.CancelJob(ended, "cancel"))
    running = submit(link, *[task() for _ in range(300)])
    nearly_fill()
    assert refused_code(link, a_job()) == "log_full"
    assert refused_code(link, c.RetryJob(ended, "retry")) == "log_full"
    assert refused_code(link, c.CancelJob(running, "cancel")) == ""


# -- full ---------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_waits_for_room_and_is_neither_lost_nor_read_again(
    engine: EngineHarness, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = submit(link, task(), task(), task())
    runner = BareRunner(link)
    first, second = runner.claim(limit=2)
    fill(link)
    with caplog.at_level(logging.WARNING, _LOG):
        waiting = unanswered(link, runner, computed(first))
        eventually(lambda: "waits for room in the log" in caplog.text)
        beside = unanswered(link, BareRunner(link, name="late"), c.ReleaseTask(*second, "no time"))
        assert BareRunner(link).claim(wait=0) == []  # the third is not handed out: that could not be written
        assert refused_code(link, a_job()) == "log_full"
        assert runner.heartbeat(second) == []  # its lease goes on
        assert event_names(link, job_id) == ["JobSubmitted", "TasksClaimed"]
        limit(link, 0)
        assert isinstance(answered(waiting), p.Exchanged)
        assert isinstance(answered(beside), p.Exchanged)
        eventually(lambda: "takes commits again" in caplog.text)
    assert "read again from the log" not in caplog.text
    assert event_names(link, job_id).count("TaskComputed") == 1
    assert [commit.version for commit in history(link, job_id)] == list(
        range(1, len(history(link, job_id)) + 1)
    )
    eventually(lambda: refused_code(link, a_job()) == "")


def test_who_reports_what_does_not_fit_is_not_given_more_with_every_repetition(
    engine: EngineHarness, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    large, others = submit(link), submit(link, *[task() for _ in range(20)])
    runner = BareRunner(link)
    (ref,) = runner.claim()
    assert ref.job_id == large
    limit(link, used(link) + 20_000)  # enough for claims
    report = p.encode(
        p.Exchange(
            "default", [("Task", 1, 0)], [computed(ref, task()._replace(input=b"x" * 50_000))], 2, 0.0, [ref]
        )
    )
    with pytest.raises(ServerUnavailable, match="maximum bytes exceeded"):
        shared_portal().run(
            link.ask(link.names.exchange(runner.name, "default"), report, timeout=1, patience=1)
        )
    assert folded(link, others).counts[TaskState.RUNNING.value] == 2  # by the first one
    assert len(BareRunner(link).claim(limit=2)) == 2  # everybody else goes on
    limit(link, 0)


def test_a_full_log_hands_out_nothing_and_asks_for_little(
    engine: EngineHarness, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [submit(link, task(), task()) for _ in range(5)]
    fill(link)
    runner = BareRunner(link)

    async def claim() -> asyncio.Future[p.Answer]:
        return asyncio.ensure_future(runner.exchanging(limit=100, wait=0.2))

    waiting = shared_portal().run(claim())
    eventually(lambda: "waits for room in the log" in caplog.text)
    assert all(folded(link, job_id).counts[TaskState.RUNNING.value] == 0 for job_id in jobs)
    limit(link, 0)
    reply = answered(waiting)
    assert isinstance(reply, p.Exchanged)
    assert sum(len(job.tasks) for job in reply.jobs) == 10
    for job_id in jobs:
        assert event_names(link, job_id) == ["JobSubmitted", "TasksClaimed"]


def test_a_job_whose_first_commit_the_log_does_not_take_is_refused_and_forgotten(
    start_engine: Start, link: Link
) -> None:
    """Where the engine does not know yet that there is a limit."""
    start_engine().wait_ready()
    submit(link)
    fill(link)
    request = a_job()
    reply = command(link, request)
    assert isinstance(reply, p.Refused)
    assert reply.code == "log_full"
    assert "maximum bytes exceeded. Nothing was submitted. Make room" in reply.message
    limit(link, 0)
    eventually(lambda: refused_code(link, request) == "")
    assert [commit.version for commit in history(link, request.job_id)] == [1]


def test_a_server_without_room_for_anything_loses_nothing_and_all_goes_on_once_it_has(
    tmp_path: Path, names: Names
) -> None:
    """Its own limit it tells nobody, and it counts for leases of engines, too."""
    server = NatsServer(tmp_path, room="400KB").start()
    engine = EngineHarness(server.url, names).wait_ready()
    link = Link(lambda: Endpoint(server.url), names, "test")
    shared_portal().run(link.open())

    def taken(request: c.SubmitJob) -> bool:
        try:
            asking = link.ask_about(request.job_id, p.encode(request), timeout=1, patience=1)
            return isinstance(shared_portal().run(asking), p.Done)
        except ServerUnavailable:
            return False

    large = submission(*[task()] * 2_000)
    try:
        requests = [c.SubmitJob(uuid4().hex, "a job", large)]
        while taken(requests[-1]):
            requests.append(c.SubmitJob(uuid4().hex, "a job", large))
        server.stop()
        server.enlarge("1TB")
        server.start()
        eventually(lambda: taken(requests[-1]), within=20)
        assert [len(history(link, request.job_id)) for request in requests] == [1] * len(requests)
    finally:
        shared_portal().run(link.close())
        engine.stop()
        server.stop()


# -- limits -------------------------------------------------------------------------------------------------------


def test_an_engine_sets_the_limit_it_is_told_and_leaves_any_other_as_it_is(
    nats_server: NatsServer, link: Link
) -> None:
    def max_bytes_with(**options: int) -> int | None:
        js = link.nc.jetstream()
        shared_portal().run(ensure_divided(js, link.names, **options))
        return shared_portal().run(js.stream_info(link.names.log_stream)).config.max_bytes

    assert [max_bytes_with(), max_bytes_with(max_bytes=10**9), max_bytes_with()] == [-1, 10**9, 10**9]
    assert [max_bytes_with(max_bytes=2 * 10**9), max_bytes_with(max_bytes=0)] == [2 * 10**9, -1]
    with pytest.raises(
        StreamSettingsError, match=r"cannot be limited to 2,000,000,000,000 bytes: .*max_file_store"
    ):
        max_bytes_with(max_bytes=2 * 10**12)
    with pytest.raises(StreamSettingsError, match="max_bytes = -5 is not possible"):
        max_bytes_with(max_bytes=-5)


def test_the_limit_that_is_reached_first_counts(engine: EngineHarness, link: Link, tmp_path: Path) -> None:
    def space(folder: Path | None = None) -> Space | None:
        return shared_portal().run(find_space(link.nc, link.names, folder))

    limit(link, 0)
    assert space() is None
    submit(link)
    limit(link, 10**9)
    assert space() == Space(10**9, 10**9 - used(link))
    on_disk = space(tmp_path)
    assert on_disk is not None
    assert on_disk.left <= 10**9 - used(link)
    limit(link, 0)
    assert space(tmp_path) is not None


def test_the_limit_of_an_account_counts_too(tmp_path: Path, names: Names) -> None:
    account = "accounts { A { jetstream: { max_file: 1MB }, users: [ { user: a, password: b } ] } }\nno_auth_user: a\n"
    server = NatsServer(tmp_path, more_configuration=account).start()
    engine = EngineHarness(server.url, names).wait_ready()
    link = Link(lambda: Endpoint(server.url), names, "test")
    shared_portal().run(link.open())
    try:
        submit(link, *[task()._replace(input=b"x" * 100_000) for _ in range(5)])
        space = shared_portal().run(find_space(link.nc, link.names))
        assert space is not None
        assert space.limit == 2**20
        assert 300_000 < space.left < 2**20 - used(link)
    finally:
        shared_portal().run(link.close())
        engine.stop()
        server.stop()

"""A projector, its view and the log: what goes in comes out, whatever happens in between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.client.query.viewing import rebuild_views
from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.views import projector as projector_module
from jobledger.adapters.views import protocol as v
from jobledger.adapters.views.store import Log, open_store
from jobledger.core import commands as c
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.jobs import JobFilter, JobRow
from support.dumps import dump
from support.engines import BareRunner, EngineHarness, command, computed, failed, history, submit, task
from support.projectors import ProjectorHarness, Questions
from support.rows import every_row
from support.servers import NatsServer
from support.waiting import eventually

Started = Callable[[str], ProjectorHarness]


@pytest.fixture
def link(nats_server: NatsServer, names: Names) -> Iterator[Link]:
    engine = EngineHarness(nats_server.url, names).wait_ready()
    link = Link(lambda: Endpoint(nats_server.url), names, "test")
    shared_portal().run(link.open())
    yield link
    shared_portal().run(link.close())
    engine.stop()


@pytest.fixture
def started(nats_server: NatsServer, names: Names) -> Iterator[Started]:
    """Start projectors of this test's namespace."""
    projectors: list[ProjectorHarness] = []

    def start(url: str) -> ProjectorHarness:
        projectors.append(ProjectorHarness(nats_server.url, names, url).start())
        return projectors[-1]

    yield start
    for projector in projectors:
        projector.stop()


@pytest.fixture
def ask(nats_server: NatsServer, names: Names) -> Iterator[Questions]:
    questions = Questions(nats_server.url, names)
    yield questions
    questions.close()


def position(link: Link) -> int:
    """Return the position of the newest commit."""

    async def read() -> int:
        info = await link.nc.jetstream().stream_info(link.names.log_stream)
        return info.state.last_seq

    return shared_portal().run(read())


def follows(link: Link) -> bool:
    """Return whether somebody waits for what comes to the log."""

    async def read() -> bool:
        consumers = await link.nc.jetstream().consumers_info(link.names.log_stream)
        return any(consumer.num_waiting for consumer in consumers)

    return shared_portal().run(read())


def done(link: Link, request: p.CommandRequest) -> p.Done:
    reply = command(link, request)
    assert isinstance(reply, p.Done), reply
    return reply


def test_a_row_follows_its_job_from_submission_to_deletion(
    link: Link, started: Started, store_url: str, ask: Questions
) -> None:
    started(store_url)
    runner = BareRunner(link, "Task")
    job_id = submit(link, task(), task(), task(cluster="gpu"))

    def row() -> JobRow:
        (found,) = ask.rows(after=position(link))
        return found

    assert (row().id, row().state, row().clusters) == (job_id, JobState.SUBMITTED, ["default", "gpu"])
    first, second = runner.claim(2)
    assert (row().state, row().tasks_by_state[TaskState.RUNNING]) == (JobState.RUNNING, 2)
    runner.report(computed(first, task("Sub")))
    runner.report(failed(second))
    assert (row().state, row().reason, row().failed_task) == (JobState.FAILED, "ValueError", second.task)
    assert row().task_names == ["Task", "Sub"]
    assert row().settled
    done(link, c.RetryJob(job_id, "retry-1"))
    assert (row().state, row().settled, row().error) == (JobState.STARTED, False, None)
    done(link, c.DeleteJob(job_id, "delete-1", force=True))
    assert ask.rows(after=position(link)) == []


def test_whoever_asks_does_not_wait_for_what_gathers(
    link: Link, started: Started, store_url: str, ask: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "_REST", 3600.0)
    started(store_url)
    eventually(lambda: follows(link))
    jobs = []
    for _ in range(3):
        jobs.append(submit(link))
        assert [row.id for row in ask.rows(after=position(link))] == jobs[::-1]


def test_a_projector_goes_on_where_the_one_before_it_ended(
    link: Link, started: Started, store_url: str, ask: Questions
) -> None:
    runner = BareRunner(link)
    first = started(store_url)
    job_id = submit(link)
    (claimed,) = runner.claim()
    assert ask.rows(after=position(link))[0].version == 2
    first.stop()
    runner.report(computed(claimed))
    others = [submit(link) for _ in range(3)]
    started(store_url)
    found = ask.rows(after=position(link))
    assert [row.id for row in found] == [*reversed(others), job_id]
    assert (found[-1].state, found[-1].tasks_by_state[TaskState.COMPUTED]) == (JobState.COMPLETED, 1)


def test_a_projector_that_starts_late_answers_when_it_has_caught_up(
    link: Link, started: Started, store_url: str, ask: Questions
) -> None:
    jobs = [submit(link) for _ in range(50)]
    started(store_url)
    assert [row.id for row in ask.rows()] == jobs[::-1]


def test_a_view_that_is_rebuilt_is_the_same(
    link: Link, started: Started, ask: Questions, store_url: str, names: Names
) -> None:
    runner = BareRunner(link)
    started(store_url)
    jobs = [submit(link, task(), task(retries=1)) for _ in range(20)]
    for number, ref in enumerate(runner.claim(30)):
        runner.report(failed(ref) if number % 7 == 0 else computed(ref))
    done(link, c.CancelJob(jobs[3], "cancel-3"))
    done(link, c.RetryJob(jobs[0], "retry-0"))
    done(link, c.DeleteJob(jobs[5], "delete-5", force=True))
    before = ask.rows(after=position(link))
    assert len(before) == 19

    (view,) = ask.run(rebuild_views, timeout=20)

    assert (view.position, view.target) == (position(link), position(link))
    assert ask.rows() == before


def test_a_file_that_is_made_anew_holds_the_same(
    link: Link, started: Started, ask: Questions, tmp_path: Path
) -> None:
    runner = BareRunner(link)
    first = started(f"sqlite:///{tmp_path}/one.sqlite3")
    jobs = [submit(link, task(), task(cluster=f"c{number}")) for number in range(10)]
    for ref in runner.claim(7):
        runner.report(computed(ref, task("Sub")))
    done(link, c.DeleteJob(jobs[4], "delete-4", force=True))
    ask.rows(after=position(link))
    first.stop()
    second = started(f"sqlite:///{tmp_path}/two.sqlite3")
    ask.rows()
    second.stop()
    one, two = (dump(f"sqlite:///{tmp_path}/{name}") for name in ("one.sqlite3", "two.sqlite3"))
    assert one == two
    assert len(one["jobs"]) == 9


def test_a_view_that_is_lost_comes_back_the_same(
    link: Link, started: Started, ask: Questions, tmp_path: Path
) -> None:
    started(f"sqlite:///{tmp_path}/one.sqlite3").stop()
    jobs = [submit(link) for _ in range(10)]
    first = started(f"sqlite:///{tmp_path}/one.sqlite3")
    before = ask.rows(after=position(link))
    first.stop()
    started(f"sqlite:///{tmp_path}/another.sqlite3")
    assert ask.rows() == before
    assert [row.id for row in before] == jobs[::-1]


# -- several projectors ----------------------------------------------------------------------------------------------


def test_of_two_with_one_view_one_moves_it_and_both_answer(
    link: Link, started: Started, store_url: str, ask: Questions
) -> None:
    projectors = [started(store_url), started(store_url)]
    jobs = [submit(link) for _ in range(30)]
    for _ in range(10):
        assert [row.id for row in ask.rows(after=position(link))] == jobs[::-1]
    eventually(lambda: [view.moves for view in ask.views()].count(True) == 1)
    for projector in projectors:
        projector.stop()


def test_who_stands_by_takes_over_when_the_other_is_gone(
    link: Link, started: Started, store_url: str, ask: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "_TAKE_OVER", 0.2)
    first, second = started(store_url), started(store_url)
    submit(link)
    eventually(lambda: [view.moves for view in ask.views()].count(True) == 1)
    first.stop()
    last = submit(link)
    assert ask.rows(after=position(link))[0].id == last
    second.stop()


def test_two_with_views_of_their_own_do_not_disturb_each_other(
    link: Link, started: Started, ask: Questions, tmp_path: Path
) -> None:
    started(f"sqlite:///{tmp_path}/one.sqlite3")
    started(f"sqlite:///{tmp_path}/two.sqlite3")
    jobs = [submit(link) for _ in range(10)]
    for _ in range(10):
        assert [row.id for row in ask.rows(after=position(link))] == jobs[::-1]
    assert [(view.moves, view.position) for view in ask.views()] == [(True, position(link))] * 2
    assert len(ask.run(rebuild_views, timeout=20)) == 2


# -- damage ----------------------------------------------------------------------------------------------------------


def write(link: Link, job_id: str, payload: bytes) -> None:
    async def publish(nc: Wire) -> None:
        await nc.jetstream().publish(link.names.log_subject(job_id), payload)

    shared_portal().run(publish(link.nc))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x94\x01\x02\xa1t\xc4\x01s"])
def test_a_commit_that_cannot_be_read_harms_no_other_job(
    link: Link, started: Started, store_url: str, ask: Questions, payload: bytes
) -> None:
    damaged = submit(link)
    (first,) = history(link, damaged)
    write(link, damaged, payload)
    write(link, damaged, encode_message(3, first.commit))
    sound = submit(link)
    started(store_url)
    before = ask.rows(after=position(link))
    assert [(row.id, row.version) for row in before] == [(sound, 1), (damaged, 1)]
    ask.run(rebuild_views, timeout=20)
    assert ask.rows() == before


def test_a_view_that_is_found_to_be_damaged_is_made_anew(
    link: Link, started: Started, ask: Questions, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.sqlite3"
    projector = started(f"sqlite:///{path}")
    for number in range(300):
        submit(link, task(f"Kind{number}"))
    before = ask.rows(after=position(link))
    projector.stop()
    damage(path)
    started(f"sqlite:///{path}")
    assert ask.rows() == before
    assert path.with_name("jobs.sqlite3.aside").exists()


def damage(path: Path) -> None:
    """Overwrite rows of a view, but not those that are looked at when it is opened."""
    content = path.read_bytes()
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    leaves = [number for number, page in enumerate(pages) if page[0] == 0x0D and b"a job" in page]
    for number in leaves[5:]:
        pages[number] = b"\xff" * 4096
    path.write_bytes(b"".join(pages))


def test_a_view_that_contradicts_itself_is_made_anew(
    link: Link, started: Started, ask: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "_TAKE_OVER", 0.2)
    path = tmp_path / "jobs.sqlite3"
    started(f"sqlite:///{path}")
    jobs = [submit(link) for _ in range(5)]
    ask.rows(after=position(link))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tracking SET notification_id = 2")
        connection.execute("DELETE FROM jobs WHERE position > 2")  # which their facets do not know
    connection.close()
    jobs.append(submit(link))
    assert [row.id for row in ask.rows(after=position(link))] == jobs[::-1]


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_an_answer_is_not_older_than_what_the_asker_has_seen(
    link: Link, started: Started, store_url: str, ask: Questions
) -> None:
    started(store_url)
    for number in range(30):
        job_id = submit(link)
        assert ask.rows(after=position(link))[0].id == job_id, number


def test_a_page_holds_no_more_than_fits_a_message(
    link: Link, started: Started, store_url: str, ask: Questions
) -> None:
    started(store_url)
    jobs = [
        submit(link, *[task(f"A{number}{'x' * 240}{kind}") for kind in range(200)]) for number in range(90)
    ]
    found: list[JobRow] = []
    pages = 0
    while True:
        question = v.FindJobs(JobFilter(), found[-1].place if found else None, 1000, position(link), 3.0)
        reply = shared_portal().run(request(link, question))
        assert isinstance(reply, v.JobPage)
        found, pages = [*found, *reply.rows], pages + 1
        if not reply.more:
            break
    assert [row.id for row in found] == jobs[::-1]
    assert pages > 1


async def request(link: Link, question: object) -> v.Reply:
    answer = await link.nc.request(link.names.query, v.encode(question), timeout=10)
    reply: v.Reply = v.decode_reply(answer.data)
    return reply


def test_a_position_that_is_not_reached_is_told(link: Link, started: Started, store_url: str) -> None:
    started(store_url)
    submit(link)
    reply = shared_portal().run(request(link, v.CountJobs(JobFilter(), after=1000, wait=0.1)))
    assert isinstance(reply, p.Unavailable)
    assert "has to come to 1,000 first" in reply.message


def test_nonsense_is_refused(link: Link, started: Started, store_url: str) -> None:
    started(store_url)
    reply = shared_portal().run(request(link, ["nonsense"]))
    assert isinstance(reply, p.Refused)
    assert reply.code == "invalid"


def test_the_view_is_where_it_was_asked_to_be(
    link: Link, started: Started, ask: Questions, store_url: str, names: Names
) -> None:
    projector = started(store_url)
    job_id = submit(link)
    ask.rows(after=position(link))
    (view,) = ask.views()
    assert "secret" not in view.store
    projector.stop()

    async def created() -> str:
        info = await link.nc.request(f"$JS.API.STREAM.INFO.{names.log_stream}", b"")
        return str(msgspec.json.decode(info.data)["created"])

    store = open_store(store_url, names.namespace, Log(names.log_stream, shared_portal().run(created())))
    try:
        assert [row.id for row in every_row(store)] == [job_id]
    finally:
        store.close()

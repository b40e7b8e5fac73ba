"""All jobs as of a moment of the past: exactly what was told of them then, whoever asks, however often."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from eventsourcing.persistence import Notification

from jobledger.adapters.client.query.viewing import ask_view
from jobledger.adapters.embedded.locks import FileLock
from jobledger.adapters.link import Link
from jobledger.adapters.nats.asking import jetstream
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.tail import last_position
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.protocol import Unavailable
from jobledger.adapters.views import past as past_module
from jobledger.adapters.views import protocol as v
from jobledger.adapters.views.past import BeingMade, Past
from jobledger.adapters.views.past_fold import PastFold
from jobledger.adapters.views.store import JobStore, Log, open_store
from jobledger.core import commands as c
from jobledger.core.codec import TOPIC, decode_commit, encode_commit
from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.core.lifecycle import JobState
from jobledger.projections.jobs import JobFilter, JobRow
from jobledger.projections.jobs.row_fold import RowFold, Step
from jobledger.projections.moments import Moment
from jobledger.projections.utc import utc
from support.engines import BareRunner, EngineHarness, command, computed, failed, history, submit, task
from support.histories import JOB
from support.projectors import ProjectorHarness, Questions
from support.random_history import Placed, committed, random_history
from support.rows import every_row, random_filter
from support.servers import NatsServer
from support.waiting import eventually

T = TypeVar("T")
A = TypeVar("A", v.JobPage, v.JobCount)
_WAIT = 3.0  # seconds that a question may wait at the projector
OF = Log("jobledger-test-log", "2026-01-01T00:00:00Z")


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else's temporary folders are in the way."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


# -- folding up to a moment -------------------------------------------------------------------------------------------


def random_log(random: Random) -> list[tuple[str, Placed]]:
    """Return the commits of some jobs, mixed. Times step back where one job's commit comes behind a later one's."""
    jobs = [committed(random_history(random, steps=15, tasks=8), random) for _ in range(4)]
    log: list[tuple[str, Placed]] = []
    while any(jobs):
        number = random.choice([number for number, commits in enumerate(jobs) if commits])
        _, version, commit = jobs[number].pop(0)
        log.append((f"{JOB}-{number}", Placed(len(log) + 1, version, commit)))
    return log


def rows_as_of(moment: Moment, log: list[tuple[str, Placed]]) -> list[JobRow]:
    """Return what folding each job by itself makes of what the moment covers of it."""
    found = []
    for job_id in dict(log):
        fold = RowFold(job_id)
        for position, version, commit in moment.prefix([placed for one, placed in log if one == job_id]):
            fold.apply(Step(position, version, encode_commit(commit)))
        if fold.version and fold.job.state != JobState.DELETED.value:
            found.append(fold.row())
    return sorted(found, key=lambda row: -row.place)


def folded(moment: Moment, log: list[tuple[str, Placed]], store: JobStore) -> PastFold:
    """Fold the log up to the moment into the store."""
    past = PastFold(moment, store, lambda job_id, version: _again(log, job_id, version))
    for job_id, (position, version, commit) in log:
        if not past.apply(Notification(job_id, version, TOPIC, encode_commit(commit), id=position)):
            break
    past.save()
    return past


def _again(log: list[tuple[str, Placed]], job_id: str, version: int) -> list[Step]:
    mine = [placed for one, placed in log if one == job_id]
    return [Step(one.position, one.version, encode_commit(one.commit)) for one in mine[:version]]


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[Callable[[], JobStore]]:
    opened: list[JobStore] = []

    def new() -> JobStore:
        opened.append(open_store(f"sqlite:///{tmp_path}/{len(opened)}.sqlite3", "test", OF))
        return opened[-1]

    yield new
    for store in opened:
        store.close()


@pytest.mark.parametrize("seed", range(5))
def test_the_rows_are_what_each_job_was_by_itself(seed: int, new_store: Callable[[], JobStore]) -> None:
    random = Random(seed)
    log = random_log(random)
    times = [placed.commit.at for _, placed in log]
    moments = [Moment(position=random.randint(1, len(log))) for _ in range(3)]
    moments += [Moment(time=random.choice(times) + random.choice([-1, 0, 1])) for _ in range(3)]
    for moment in [*moments, Moment(position=len(log)), Moment(time=min(times) - 1)]:
        expected, store = rows_as_of(moment, log), new_store()
        folded(moment, log, store)
        assert every_row(store) == expected
        for _ in range(5):
            wanted = random_filter(random)
            assert store.page(wanted, behind=None, limit=100).rows == [
                row for row in expected if wanted.matches(row)
            ]


@pytest.mark.parametrize("seed", range(5))
def test_between_two_commits_of_the_log_all_times_are_alike(
    seed: int, new_store: Callable[[], JobStore]
) -> None:
    random = Random(seed)
    log = random_log(random)
    times = sorted({placed.commit.at for _, placed in log})
    at = random.choice(times[:-1])
    past = folded(Moment(time=at), log, new_store())
    assert past.since <= at < past.before
    expected = rows_as_of(Moment(time=at), log)
    for other in {past.since, past.before - 1, random.randint(past.since, past.before - 1)}:
        assert rows_as_of(Moment(time=other), log) == expected
    assert past.before in times


def test_what_was_decided_by_a_slower_clock_counts_though_it_was_written_later(
    new_store: Callable[[], JobStore],
) -> None:
    log = random_log(Random(1))
    jobs = list(dict(log))
    late = next(placed for one, placed in log if one == jobs[0])
    rest = [(one, placed) for one, placed in log if one != jobs[0]]
    moved = [*rest, (jobs[0], late)]
    placed = [(one, place._replace(position=number)) for number, (one, place) in enumerate(moved, 1)]
    at = Moment(time=late.commit.at)
    store = new_store()
    folded(at, placed, store)
    assert jobs[0] in {row.id for row in every_row(store)}
    assert every_row(store) == rows_as_of(at, placed)


@pytest.mark.parametrize("moment", [Moment(position=99), Moment(time=2**60)])
def test_a_commit_that_cannot_be_read_harms_no_other_job(
    moment: Moment, new_store: Callable[[], JobStore]
) -> None:
    log = random_log(Random(2))
    sound = [(job_id, placed) for job_id, placed in log if job_id != f"{JOB}-1"]
    past, store = PastFold(moment, new_store(), lambda job_id, version: []), new_store()
    for number, (job_id, (_, version, commit)) in enumerate(sound, 1):
        if number == 3:
            past.apply(Notification(f"{JOB}-1", 1, TOPIC, b"\xff", id=number))
        past.apply(Notification(job_id, version, TOPIC, encode_commit(commit), id=number))
    past.save()
    folded(moment, sound, store)
    assert [row.id for row in every_row(past._store)] == [row.id for row in every_row(store)]


# -- asked, with a real engine and projector --------------------------------------------------------------------------


@pytest.fixture
def link(nats_server: NatsServer, names: Names) -> Iterator[Link]:
    engine = EngineHarness(nats_server.url, names).wait_ready()
    link = Link(lambda: Endpoint(nats_server.url), names, "test")
    shared_portal().run(link.open())
    yield link
    shared_portal().run(link.close())
    engine.stop()


@pytest.fixture
def ask(nats_server: NatsServer, names: Names) -> Iterator[Questions]:
    questions = Questions(nats_server.url, names)
    yield questions
    questions.close()


@pytest.fixture
def projector(
    nats_server: NatsServer, names: Names, link: Link, tmp_path: Path
) -> Iterator[ProjectorHarness]:
    projector = ProjectorHarness(nats_server.url, names, f"sqlite:///{tmp_path}/jobs.sqlite3").start()
    yield projector
    projector.stop()


def position(link: Link) -> int:
    return shared_portal().run(last_position(link.nc, link.names.log_stream))


def asked(ask: Questions, question: v.Question, kind: type[A]) -> A:
    return shared_portal().run(ask_view(ask.session, lambda wait: question, kind))


def count_at(ask: Questions, at: Moment, wanted: JobFilter) -> int:
    return asked(ask, v.CountJobs(wanted, 0, _WAIT, at), v.JobCount).count


def rows_at(ask: Questions, at: Moment, wanted: JobFilter | None = None, *, page: int = 1000) -> list[JobRow]:
    """Return all rows as of a moment, page by page."""
    found: list[JobRow] = []
    while True:
        behind = found[-1].place if found else None
        question = v.FindJobs(wanted or JobFilter(), behind, page, 0, _WAIT, at)
        reply = asked(ask, question, v.JobPage)
        assert reply.at == at
        found += reply.rows
        if not reply.more or not reply.rows:
            return found


def some_life(link: Link, random: Random, runner: BareRunner, jobs: list[str]) -> None:
    """Let something happen to some job."""
    roll = random.random()
    if roll < 0.4 or not jobs:
        jobs.append(submit(link, *[task(retries=random.randint(0, 1)) for _ in range(random.randint(1, 3))]))
    elif roll < 0.8:
        for ref in runner.claim(2, wait=0.0):
            runner.report(computed(ref) if random.random() < 0.5 else failed(ref))
    elif roll < 0.9:
        command(link, c.CancelJob(random.choice(jobs), f"cancel-{random.random()}"))
    else:
        command(link, c.DeleteJob(random.choice(jobs), f"delete-{random.random()}", force=True))


@pytest.mark.usefixtures("projector")
def test_the_past_list_is_what_the_live_list_was_then(link: Link, ask: Questions) -> None:
    random, runner, jobs = Random(7), BareRunner(link), list[str]()
    seen: dict[int, list[JobRow]] = {}
    for number in range(40):
        some_life(link, random, runner, jobs)
        if number in (20, 39):
            end = position(link)
            seen[end] = ask.rows(after=end)
    assert len(seen) == 2
    for then, rows in seen.items():
        assert rows_at(ask, Moment(position=then)) == rows
        states = [JobState.SUBMITTED.value, JobState.COMPLETED.value]
        wanted = JobFilter(states=states)
        assert rows_at(ask, Moment(position=then), wanted, page=2) == [
            row for row in rows if wanted.matches(row)
        ]
        assert count_at(ask, Moment(position=then), wanted) == len(
            [row for row in rows if wanted.matches(row)]
        )
    at = min(row.submitted for row in rows)
    newest = rows_at(ask, Moment(time=at))[0]
    assert (newest.submitted, newest.version) == (at, 1)


@pytest.mark.usefixtures("projector")
def test_live_questions_are_answered_while_a_view_of_the_past_is_made(link: Link, ask: Questions) -> None:
    job_id = submit(link)
    at = Moment(position=position(link))
    told: list[str] = []

    async def asked(session: Any) -> None:
        client = (await session.link()).nc
        past = client.request(session.names.query, v.encode(v.FindJobs(JobFilter(), at=at)), timeout=10)
        reply = v.decode_reply((await past).data)
        assert isinstance(reply, Unavailable)  # it waits for nothing
        told.append(reply.message)

    async def answered(session: Any) -> None:
        await asked(session)
        question = v.FindJobs(JobFilter(), after=at.position or 0, wait=5.0)
        reply = await ask_view(session, lambda wait: question, v.JobPage)
        assert [row.id for row in reply.rows] == [job_id]
        await asked(session)

    ask.run(answered)
    assert all(f"the jobs as of {at} are being read from the log" in message for message in told)
    assert [row.id for row in rows_at(ask, at)] == [job_id]


@pytest.mark.usefixtures("projector")
def test_a_position_beyond_the_log_is_refused(link: Link, ask: Questions) -> None:
    submit(link)
    end = position(link)
    with pytest.raises(
        ArgumentError, match=f"at={end + 5} is beyond the end .* newest commit is at position {end}"
    ):
        rows_at(ask, Moment(position=end + 5))


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def of(link: Link) -> Log:
    info = shared_portal().run(jetstream(link.nc, f"STREAM.INFO.{link.names.log_stream}", {}))
    return Log(link.names.log_stream, info["created"])


@pytest.fixture
def past(nats_server: NatsServer, names: Names, of: Log) -> Iterator[Past]:
    past = Past(Endpoint(nats_server.url), names.namespace, of)
    yield past
    shared_portal().run(past.close())


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("jobledger-past-*"))


async def ids(past: Past, at: Moment, end: int, wait: float = 20.0) -> list[str]:
    async with past.at(at, end, wait) as store:
        return [row.id for row in await asyncio.to_thread(every_row, store)]


def run(work: Coroutine[Any, Any, T]) -> T:
    return shared_portal().run(work)


def test_a_few_views_are_kept_and_files_of_others_are_not(
    link: Link, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_module, "KEPT", 1)
    jobs = [submit(link) for _ in range(2)]
    end = position(link)
    for number in (1, 2):
        assert run(ids(past, Moment(position=number), end)) == jobs[:number][::-1]
    (folder,) = folders()
    assert len(list(folder.glob("*.sqlite3"))) == 1
    assert [view.known.moment.position for view in past._views] == [2]
    run(past.close())
    assert folders() == set()


def test_what_was_made_is_used_again_and_by_times_that_are_alike(link: Link, past: Past) -> None:
    jobs = [submit(link) for _ in range(3)]
    end = position(link)
    (first,) = history(link, jobs[0])
    (second,) = history(link, jobs[1])
    eventually(lambda: utc(second.commit.at) != utc(first.commit.at))
    at, later = first.commit.at, second.commit.at
    assert run(ids(past, Moment(time=at), end)) == [jobs[0]]
    assert run(ids(past, Moment(time=later - 1), end)) == [jobs[0]]
    assert run(ids(past, Moment(time=at), end)) == [jobs[0]]
    assert len(past._views) == 1
    assert run(ids(past, Moment(time=later), end)) == jobs[1::-1]
    assert len(past._views) == 2


def test_two_who_ask_at_a_time_wait_for_the_same_view(link: Link, past: Past) -> None:
    job_id = submit(link)
    at = Moment(position=position(link))

    async def both() -> list[list[str]]:
        return list(await asyncio.gather(ids(past, at, 1), ids(past, at, 1)))

    assert run(both()) == [[job_id], [job_id]]
    assert len(past._views) == 1


def test_who_cannot_wait_is_told_how_far_it_is(link: Link, past: Past) -> None:
    submit(link)
    end = position(link)
    with pytest.raises(BeingMade, match=f"at position 0 of {end}"):
        run(ids(past, Moment(position=end), end, wait=0.0))


def test_a_process_that_dies_is_told_and_the_next_question_starts_another(link: Link, past: Past) -> None:
    job_id = submit(link)
    at, end = Moment(position=position(link)), position(link)

    async def killed() -> None:
        asking = asyncio.create_task(ids(past, at, end))
        pid = await asyncio.to_thread(eventually, child_of_ours)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(JobLedgerError, match=f"the jobs as of {at} could not be read"):
            await asking

    run(killed())
    assert run(ids(past, at, end)) == [job_id]


def child_of_ours() -> int:
    """Return a process of ours that makes a view of the past; 0 if there is none."""
    for entry in Path("/proc").iterdir():
        try:
            stat, command_line = (entry / "stat").read_text(), (entry / "cmdline").read_text()
        except OSError:
            continue
        if "views.past_fold" in command_line and int(stat.rpartition(")")[2].split()[1]) == os.getpid():
            return int(entry.name)
    return 0


def test_what_a_killed_projector_left_behind_is_removed_by_the_next_one(link: Link, past: Past) -> None:
    left, kept = (Path(tempfile.mkdtemp(prefix="jobledger-past-")) for _ in range(2))
    for folder in (left, kept):
        (folder / "1.sqlite3").write_bytes(b"of somebody who was killed")
    lock = FileLock(kept / "lock")
    assert lock.acquire()
    submit(link)
    run(ids(past, Moment(position=1), 1))
    assert not left.exists()
    assert kept.exists()
    lock.release()


def test_its_commits_are_decoded_once_more_only_for_their_time() -> None:
    """What a view of a time looks at is what the codec writes."""
    from jobledger.adapters.views.past_fold import _decode_outline

    for _, (_, _, commit) in random_log(Random(3)):
        assert _decode_outline(encode_commit(commit)).at == decode_commit(encode_commit(commit)).at

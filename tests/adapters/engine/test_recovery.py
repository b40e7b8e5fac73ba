"""Finding what lives: after a restart, and while an engine serves, without reading back what it wrote itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest

from jobledger.adapters.engine import jobs, ledger
from jobledger.adapters.engine.partitions import recovery
from jobledger.adapters.engine.partitions.recovery import Checkpoint, Progress, find_live_jobs, save
from jobledger.adapters.link import Link
from jobledger.adapters.nats.log import ScannedCommit, encode_message, newest_commits, read_job, scan
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit
from support.engines import BareRunner, EngineHarness, computed, refs, submission, submit, task
from support.waiting import eventually

Start = Callable[..., EngineHarness]


def stored(link: Link) -> Checkpoint:
    """Return the checkpoint that was written last; an empty one if there is none."""
    return shared_portal().run(recovery._load(link.nc, link.names))


def stored_behind(link: Link, position: int) -> Checkpoint | None:
    """As `stored`, once it is of a later position."""
    checkpoint = stored(link)
    return checkpoint if checkpoint.position > position else None


def living(link: Link) -> list[str]:
    """Return what a start would find alive now."""
    (found,) = shared_portal().run(find_live_jobs(link.nc, [link.names]))
    return sorted(found.live)


def written_by_someone_else(link: Link) -> str:
    """Put a submitted job into the log, as an engine would that has been cut off meanwhile; return its id."""
    job_id = uuid4().hex
    commit = Commit(bytes(16), NO_PREVIOUS, 1, "another", False, [e.JobSubmitted("late", submission(task()))])
    publish = link.nc.jetstream().publish(link.names.log_subject(job_id), encode_message(1, commit))
    shared_portal().run(publish)
    return job_id


def finish_one(runner: BareRunner) -> None:
    (ref,) = runner.claim()
    runner.report(computed(ref))


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of what is read from the log to find out what lives."""
    positions: list[int] = []

    def noting(
        reading: Callable[..., AsyncIterator[ScannedCommit]],
    ) -> Callable[..., AsyncIterator[ScannedCommit]]:
        async def noted(*args: Any, **options: Any) -> AsyncIterator[ScannedCommit]:
            async for commit in reading(*args, **options):
                positions.append(commit.position)
                yield commit

        return noted

    monkeypatch.setattr(recovery, "scan", noting(scan))
    monkeypatch.setattr(recovery, "newest_commits", noting(newest_commits))
    return positions


# -- how far an engine knows the log ------------------------------------------------------------------------------


def test_what_an_engine_has_written_itself_it_knows() -> None:
    progress = Progress()
    progress.read(10)
    for position in (12, 11, 13):  # acknowledgements need not come in order
        progress.wrote(position)
    assert progress.known == 13


def test_behind_a_commit_of_somebody_else_nothing_is_known() -> None:
    progress = Progress()
    progress.read(10)
    for position in (11, 13):
        progress.wrote(position)
    assert progress.known == 10
    progress.read(12)
    assert progress.known == 13


def test_what_was_read_before_its_acknowledgement_came_does_not_hide_a_gap() -> None:
    progress = Progress()
    progress.read(10)
    progress.wrote(10)
    progress.wrote(12)
    assert progress.known == 10


def test_a_checkpoint_is_due_every_so_many_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "MANY", 3)
    dues: list[int] = []
    progress = Progress(lambda: dues.append(1))
    for position in range(1, 8):
        progress.wrote(position)
    assert len(dues) == 2


# -- checkpoints --------------------------------------------------------------------------------------------------


def test_an_engine_notes_what_lives_without_reading_back_what_it_wrote(
    start_engine: Start, link: Link, scanned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MANY", 10)
    start_engine().wait_ready()
    runner = BareRunner(link)
    for _ in range(10):
        submit(link)
        finish_one(runner)
    live = submit(link)
    checkpoint = eventually(lambda: stored_behind(link, 10))
    assert checkpoint is not None
    # What is written while it looks may be read.
    assert not set(range(1, 11)) & set(scanned)
    assert living(link) == [live]


def test_what_another_engine_wrote_at_last_is_found_by_the_gap_it_leaves(
    start_engine: Start, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MANY", 4)
    start_engine().wait_ready()
    late = written_by_someone_else(link)
    runner = BareRunner(link)
    submit(link, task("Other"), task("Other"))
    other = BareRunner(link, "Other")
    for _ in range(2):
        finish_one(other)
    submit(link, task("Other"))
    (ref,) = eventually(lambda: runner.claim(wait=0.05))
    assert ref.job_id == late


def test_a_checkpoint_of_a_later_log_hides_nothing(start_engine: Start, link: Link) -> None:
    engine = start_engine().wait_ready()
    live = submit(link)
    engine.stop()
    # As where the log was restored from a backup, and the bucket was not.
    shared_portal().run(save(link.nc, link.names, Checkpoint(1000, [])))
    assert living(link) == [live]


def test_a_start_without_a_checkpoint_finds_what_lives(
    start_engine: Start, link: Link, scanned: list[int]
) -> None:
    first = start_engine().wait_ready()
    runner = BareRunner(link)
    for _ in range(5):
        submit(link)
        finish_one(runner)
    live = submit(link, task(), task())
    first.stop()
    shared_portal().run(link.nc.jetstream().delete_key_value(link.names.checkpoints_bucket))
    scanned.clear()
    start_engine().wait_ready()
    assert len(scanned) == 6  # of each job the newest commit, and no other
    assert refs(runner.exchange(limit=1))[0].job_id == live


def test_so_many_live_jobs_can_be_noted(link: Link, start_engine: Start) -> None:
    start_engine().wait_ready().stop()
    ids = [str(uuid4()) for _ in range(20_000)]
    shared_portal().run(save(link.nc, link.names, Checkpoint(0, ids)))
    assert stored(link) == Checkpoint(0, ids)


# -- bringing jobs back -------------------------------------------------------------------------------------------


def test_live_jobs_are_read_side_by_side_but_not_all_at_once(
    start_engine: Start, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_engine().wait_ready()
    ids = {submit(link) for _ in range(40)}
    first.stop()
    monkeypatch.setattr(ledger, "_AT_ONCE", 8)
    under_way, most, read = 0, 0, []

    async def counted(client: Wire, names: Names, job_id: str) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await read_job(client, names, job_id)
        finally:
            under_way -= 1
            read.append(job_id)

    monkeypatch.setattr(jobs, "read_job", counted)
    start_engine().wait_ready()
    assert most == 8
    assert sorted(read) == sorted(ids)
    assert len(BareRunner(link).claim(limit=100)) == 40


def test_a_damaged_job_is_read_once_and_stays_noted(
    start_engine: Start, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MANY", 4)
    damaged = "damaged"
    first = start_engine().wait_ready()
    publish = link.nc.jetstream().publish(link.names.log_subject(damaged), b"no commit")
    shared_portal().run(publish)
    first.stop()
    tries: list[str] = []

    async def counted(client: Wire, names: Names, job_id: str) -> Any:
        tries.append(job_id)
        return await read_job(client, names, job_id)

    monkeypatch.setattr(jobs, "read_job", counted)
    shared_portal().run(save(link.nc, link.names, Checkpoint(0, [damaged])))
    start_engine().wait_ready()
    runner = BareRunner(link)
    for _ in range(6):
        submit(link)
        finish_one(runner)
    checkpoint = eventually(lambda: stored_behind(link, 8))
    assert checkpoint is not None
    assert damaged in checkpoint.live
    assert tries.count(damaged) == 1


def test_an_engine_that_has_nothing_to_do_says_nothing(start_engine: Start, link: Link, names: Names) -> None:
    """But for the renewal of its lease on what it owns."""
    start_engine().wait_ready()
    heard: list[str] = []

    async def listen() -> None:
        await link.nc.listen(">", lambda message: heard.append(message.subject))
        await link.nc.flush()

    shared_portal().run(listen())
    renewal = f"$KV.{names.engines_bucket}.{names.owner_key}"
    eventually(lambda: renewal in heard)
    heard.clear()  # its first checkpoint was among them
    eventually(lambda: renewal in heard)
    assert {subject for subject in heard if names.namespace in subject} == {renewal}

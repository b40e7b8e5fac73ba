"""The power fails under a server that is at work: what was acknowledged is there when it comes back.

One run of a server is traced, and looked at as failures at many moments would have left it: everything that the server
had not synced by then is gone, or only some of it is there, torn and out of order. On each such disk a new server starts.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from jobledger.adapters.embedded.folder import DataFolder

from . import appends, buckets, jobs, journal, rounds
from .cluster import lost_by_cluster
from .cuts import cuts, found_after, unexplained
from .disk import FileSystem, Survivors, tree_in
from .server import TRACER, Server, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

#: seconds; that of JetStream, unless it is told otherwise
_RELAXED = 120.0


class Run(NamedTuple):
    """A run of a server that is over."""

    kept: Path  #: its journal
    appended: list[appends.Acknowledged]

    def losses(self, *ways: tuple[FileSystem, Survivors], failures: int, seed: int) -> Iterator[appends.Loss]:
        """Yield what new servers lack after failures at random moments."""
        random = Random(seed)
        known = rounds.Known(self.appended)
        moments = rounds.moments(self.kept, known, failures, random)
        for cut in cuts(self.kept, moments, ways, random):
            yield found_after(cut, partial(self._loss, cut.at))

    def _loss(self, at: float, server: Server) -> appends.Loss:
        return asyncio.run(appends.loss(server.endpoint, self.appended, at))


def ran(place: Path, sync_interval: float) -> Run:
    kept = place / "journal"
    with Server(place / "data", sync_interval=sync_interval, journal=kept) as server:
        appended = asyncio.run(appends.append(server.endpoint, Random(1), 300))
    # Nothing that was done to the disk has escaped the tracer, or else none of this would say anything.
    assert unexplained(kept, server.store) == ""
    return Run(kept, appended)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A server as `Client()` starts it."""
    return ran(tmp_path_factory.mktemp("default"), 0.0)


@pytest.fixture(scope="module")
def relaxed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A server that acknowledges before it syncs."""
    return ran(tmp_path_factory.mktemp("relaxed"), _RELAXED)


@pytest.mark.parametrize("survivors", [Survivors.NOTHING, Survivors.SOME], ids=lambda one: one.value)
@pytest.mark.parametrize(
    "file_system", [FileSystem.JOURNALED, FileSystem.OWN_PATH], ids=lambda one: one.value
)
def test_no_acknowledged_commit_is_lost_and_no_transaction_is_torn(
    default: Run, file_system: FileSystem, survivors: Survivors
) -> None:
    for loss in default.losses((file_system, survivors), failures=8, seed=2):
        assert loss == ([], [])


def test_that_a_relaxed_server_loses_them_is_noticed(relaxed: Run) -> None:
    assert all(
        loss.lost for loss in relaxed.losses((FileSystem.JOURNALED, Survivors.NOTHING), failures=4, seed=3)
    )


def test_a_relaxed_server_loses_nothing_if_only_its_process_ends(relaxed: Run) -> None:
    """So it is the disk that makes the difference, and not how these tests look at it."""
    for loss in relaxed.losses((FileSystem.JOURNALED, Survivors.EVERYTHING), failures=3, seed=4):
        assert loss.lost == []


def test_a_file_system_that_forgets_names_of_synced_files_can_lose_the_log(default: Run) -> None:
    """What is not promised: the server does not sync all folders that its files are in."""
    (loss,) = default.losses((FileSystem.STRICT, Survivors.NOTHING), failures=1, seed=5)
    assert loss.lost


def forgotten(told: list[jobs.Told], server: Server) -> list[jobs.Told]:
    return jobs.forgotten(server.endpoint, told)


def test_what_users_were_told_of_jobs_is_so_and_the_jobs_go_on(tmp_path: Path) -> None:
    kept, random = tmp_path / "journal", Random(6)
    with Server(tmp_path / "data", journal=kept) as server:
        known = rounds.Known(told=jobs.run(server.endpoint, random, 4))
    moments = rounds.moments(kept, known, 8, random)
    for cut in cuts(kept, moments, rounds.WAYS, random):
        told = known.until(cut.at).told
        assert found_after(cut, partial(forgotten, told)) == []
    # In the middle of things: some jobs are completed, others are not.
    middle = sorted(one.at for one in known.told if one.what == "begun")[len(known.told) // 3]
    (cut,) = cuts(kept, [middle], rounds.WAYS, random)
    told = known.until(middle).told
    assert {one.what for one in told} >= {"submitted", "begun"}
    found_after(cut, lambda server: jobs.finish(server.endpoint, told))


def test_values_in_buckets_outlive_the_compaction_of_what_they_are_in(tmp_path: Path) -> None:
    """Keys of sealed jobs are in one. The server rewrites a file there when most of what is in it was replaced."""
    kept, random = tmp_path / "journal", Random(10)
    with Server(tmp_path / "data", journal=kept) as server:
        puts = asyncio.run(buckets.put(server.endpoint, random, 30))
    renamed = [
        one for one in journal.read(kept) if isinstance(one, journal.Rename) and one.new.endswith(".blk")
    ]
    assert renamed, "nothing was compacted"

    def lost(at: float, server: Server) -> list[buckets.Put]:
        return asyncio.run(buckets.missing(server.endpoint, puts, at))

    for cut in cuts(kept, [one.at for one in renamed for _ in range(2)], rounds.WAYS, random):
        assert found_after(cut, partial(lost, cut.at)) == []


@pytest.mark.parametrize("relaxed", [False, True])
def test_a_data_folder_remembers_what_was_chosen(tmp_path: Path, relaxed: bool) -> None:
    """Whether the feed is on, and whether acknowledgements wait for the disk."""
    folder, kept = DataFolder.locate(tmp_path / "data"), tmp_path / "journal"
    folder.create()
    folder.relax(7.0)
    begin = tree_in(folder.path)
    chosen = "folder.relax(5.0)" if relaxed else "folder.relax(0.0)"
    program = (
        "import sys; from jobledger.adapters.embedded.folder import DataFolder; "
        f"folder = DataFolder.locate(sys.argv[1]); folder.write(folder.feed, 'on'); {chosen}"
    )
    traced = [sys.executable, str(TRACER), str(folder.path), str(kept)]
    subprocess.run([*traced, sys.executable, "-c", program, str(folder.path)], check=True, timeout=60)
    (cut,) = cuts(kept, [time.monotonic()], [(FileSystem.JOURNALED, Survivors.NOTHING)], Random(0), begin)
    assert cut.store["feed"] == b"on"
    assert cut.store.get("sync-interval") == (b"5.0\n" if relaxed else None)


@pytest.mark.timeout(300)  # ten seconds on a machine that does nothing else
def test_a_cluster_that_loses_power_as_a_whole_loses_nothing() -> None:
    """No replica is left that could bring back what others had not synced."""
    assert lost_by_cluster(Random(11), failures=1) == []


def test_the_power_fails_again_and_again() -> None:
    """What a failure left is worked on, until the next one."""
    before = None
    for seed in (7, 8, 9):
        before = rounds.run_round(Random(seed), failures=2, before=before)
        assert before.damage == []
    assert before is not None
    prefixes = {one.job_id[:8] for one in before.known.appended}
    assert len(prefixes) == 3

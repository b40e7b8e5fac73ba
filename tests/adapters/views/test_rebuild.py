"""A view made anew from the log is the view that was kept all along: every row of every table, in either database."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import pytest

from jobledger.adapters.views.store import JobStore
from jobledger.core.codec import encode_commit
from jobledger.projections.jobs import JobsFold
from jobledger.projections.jobs.row_fold import Step
from support.dumps import dump
from support.random_history import committed, random_history

from .conftest import Opened


class Entry(NamedTuple):
    job_id: str
    step: Step


class Log:
    """The commits of some jobs, mixed, as one log has them."""

    def __init__(self, random: Random) -> None:
        left = {
            f"job-{number}": committed(random_history(random, steps=25, tasks=10), random)
            for number in range(8)
        }
        self.entries: list[Entry] = []
        while left:
            job_id = random.choice(list(left))
            placed = left[job_id].pop(0)
            position = len(self.entries) + 1
            self.entries.append(Entry(job_id, Step(position, placed.version, encode_commit(placed.commit))))
            if not left[job_id]:
                del left[job_id]

    def read_again(self, job_id: str, version: int) -> Iterator[Step]:
        return (step for owner, step in self.entries if owner == job_id and step.version <= version)

    def project(self, store: JobStore, *, cuts: set[int], end: int | None = None) -> None:
        """Move a view from where it stands, as a projector that has just been started does: a transaction at each cut."""
        fold = JobsFold(self.read_again)
        saved = store.position()
        end = len(self.entries) if end is None else end
        for job_id, step in self.entries[saved:end]:
            fold.add(job_id, step)
            if step.position in cuts or step.position == end:
                store.save(fold.take(), after=saved, position=step.position)
                saved = step.position


@pytest.mark.parametrize("seed", range(4))
def test_however_often_it_was_saved_and_whenever_it_was_killed(
    seed: int, store_url: str, opened: Opened
) -> None:
    random = Random(seed)
    log = Log(random)
    everywhere = set(range(1, len(log.entries)))
    live = opened(store_url)
    log.project(live, cuts={cut for cut in everywhere if random.random() < 0.5})
    kept = dump(store_url)
    assert len(kept) >= 3

    live.reset()
    log.project(live, cuts=set())
    assert dump(store_url) == kept, "made anew in one transaction"

    live.reset()
    log.project(live, cuts=set(random.sample(sorted(everywhere), 3)), end=random.choice(sorted(everywhere)))
    live.close()
    log.project(opened(store_url), cuts=set())
    assert dump(store_url) == kept, "made anew by one that was killed, and another one"

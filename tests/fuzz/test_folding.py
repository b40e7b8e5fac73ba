"""A history that was changed is folded as far as it makes sense, and no further."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.core import events as e
from jobledger.core.codec import CodecError, decode_commit
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import LifecycleError
from jobledger.core.submission import Submission, TaskSpec
from support.histories import snapshot, submission, task

from .budget import examples
from .examples import random_histories, recorded
from .mutation import damaged, lied_about

HISTORIES = [*recorded(), *random_histories(6)]
EVERYTHING = [one for history in HISTORIES for one in history]


@examples(1000)
@given(random=st.randoms(use_true_random=True))
def test_an_event_that_cannot_be_is_refused_and_the_job_is_as_it_was(random: Random) -> None:
    history = random.choice(HISTORIES)
    place = random.randrange(len(history))
    job = Job("job-1")
    for data in history[:place]:
        commit = decode_commit(data)
        for event in commit.events:
            evolve(job, event, commit.at)
    for _ in range(8):
        data = history[place]
        changed = lied_about(data, random) if random.random() < 0.7 else damaged(data, random, EVERYTHING)
        try:
            commit = decode_commit(changed)
        except CodecError:
            continue
        for event in commit.events:
            before = snapshot(job)
            try:
                evolve(job, event, commit.at)
            except LifecycleError:
                assert snapshot(job) == before
                break


VAST = [0, 10**12]


@pytest.mark.parametrize(
    "event",
    [
        e.TasksClaimed("runner", 1, VAST),
        e.TasksSkipped(VAST, 0),
        e.TasksCanceled(VAST, 0),
        e.TasksAbandoned(VAST, 0),
        e.JobRetried("one", VAST, 0),
        e.CancelRequested(0, VAST, "one"),
        e.SubtasksStaged(0, 1, Submission([b""], [TaskSpec("T", 1, 0, "d")], [0, 1], start=10**12)),
        e.TaskComputed(0, 1, 1, 2, Submission([b""], [TaskSpec("T", 1, 0, "d")], [0, 1], [VAST], [0, 1])),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_about_very_many_tasks_takes_no_memory(event: e.Event) -> None:
    job = Job("job-1")
    evolve(job, e.JobSubmitted("a job", submission(task())), 1)
    if not isinstance(event, e.TasksClaimed):
        evolve(job, e.TasksClaimed("runner", 1, [0, 1]), 2)
    tracemalloc.start()
    try:
        with pytest.raises(LifecycleError):
            evolve(job, event, 3)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()

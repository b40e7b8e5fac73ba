"""Events and commands that mostly should not be: drawn at random, or right but for one thing."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.submission import Submission, columns
from support.columns import packed
from support.histories import ERROR, JOB
from support.oracle import Oracle
from support.shapes import new_tasks, random_tasks

picks = st.integers(0, 60)
small = st.integers(-1, 12)
attempts = st.integers(-1, 5)
command_ids = st.sampled_from(["one", "two", "three", "four", "five", "six"])
job_options = st.builds(
    e.JobOptions,
    continues=st.booleans(),
    deadline=st.sampled_from([0, 0, 0, 50, 400]),
    key=st.sampled_from(["", "again"]),
    sealed=st.sampled_from(["", "keys/1"]),
)

#: submissions that are mostly malformed, or begin where they should not
dubious = st.one_of(
    new_tasks(max_size=2).map(lambda tasks: next(columns(tasks))),
    st.builds(
        Submission,
        inputs=st.lists(st.just(b""), max_size=2),
        specs=st.just([]),
        spec_runs=st.lists(st.integers(-1, 2), max_size=2),
        dependency_sets=st.lists(st.lists(st.integers(-1, 2), max_size=2), max_size=1),
        start=st.integers(-1, 2),
    ),
)
range_lists = st.one_of(
    st.lists(small, max_size=4),  # hardly ever ranges
    picks.map(lambda number: [number, number + 1]),
    st.tuples(small, small).map(lambda pair: [min(pair), max(pair) + 1]),
)
numbers = small | picks
attempt = (numbers, attempts)
facts = (*attempt, st.just(10), st.just(20))
at_job = st.just(JOB)
by = (st.just("user@host"), st.just("enough"))

arbitrary_events: st.SearchStrategy[e.Event] = st.one_of(
    st.builds(e.JobSubmitted, st.just("again"), dubious),
    st.builds(e.SubtasksStaged, *attempt, dubious),
    st.builds(e.TasksClaimed, st.just("runner"), attempts, range_lists),
    st.builds(e.TaskComputed, *facts, st.none() | dubious),
    st.builds(e.TaskReused, *facts, st.just("job-0"), st.just(7)),
    st.builds(e.AttemptFailed, *facts, st.just(ERROR)),
    st.builds(e.TaskFailed, *facts, st.just(ERROR)),
    st.builds(e.OptionalTaskFailed, *facts, st.just(ERROR)),
    st.builds(e.TaskCanceled, *facts),
    st.builds(e.TaskProgressed, *attempt, st.just(10)),
    st.builds(e.TasksSkipped, range_lists, numbers),
    st.builds(e.TasksCanceled, range_lists, numbers),
    st.builds(e.TasksAbandoned, range_lists, numbers),
    st.builds(e.TaskReleased, *attempt, st.just("")),
    st.builds(e.LeaseExpired, *attempt, st.just("runner")),
    st.builds(e.CancelRequested, numbers, range_lists, command_ids),
    st.just(e.JobCompleted()),
    st.builds(e.JobFailed, numbers),
    st.builds(e.JobCanceled, command_ids),
    st.builds(e.JobRetried, command_ids, range_lists, small, task=numbers),
    st.builds(e.DeadlineExceeded, st.sampled_from([0, 50, 400])),
    st.builds(e.JobDeleted, command_ids),
    st.builds(e.JobErased, st.sampled_from(["", "keys/1", "keys/2"])),
)
arbitrary_commands: st.SearchStrategy[c.Command] = st.one_of(
    st.builds(c.SubmitJob, at_job, st.sampled_from(["", "a job", "again"]), dubious, options=job_options),
    st.builds(c.StageSubtasks, at_job, *attempt, dubious),
    st.builds(c.ReportComputed, at_job, *facts, st.none() | dubious),
    st.builds(c.ReportReused, at_job, *facts, st.just("job-0"), st.just(7)),
    st.builds(c.ReportFailed, at_job, *facts, st.just(ERROR), final=st.booleans()),
    st.builds(c.ReportCanceled, at_job, *facts),
    st.builds(c.ReportProgress, at_job, *attempt, st.just(10)),
    st.builds(c.ReleaseTask, at_job, *attempt, st.just("")),
    st.builds(c.ExpireLease, at_job, *attempt),
    st.builds(c.CancelTask, at_job, command_ids, numbers, *by),
    st.builds(c.EraseJob, at_job),
    st.builds(c.RetryJob, at_job, command_ids, task=numbers),
    st.builds(
        c.ClaimTasks,
        at_job,
        st.just("runner"),
        st.lists(small, max_size=3),
        small,
        st.dictionaries(st.sampled_from(["api", "other"]), st.integers(-1, 3)),
    ),
)


def almost_right(random: Random, oracle: Oracle) -> e.Event:
    """Return an event that may be allowed, or is not for one reason only."""
    ready = [node for node in oracle.nodes if node.ready]
    node = random.choice(ready if ready and random.random() < 0.4 else oracle.nodes)
    number, attempt = node.number, node.attempt + random.choice([0, 0, 0, 1, -1])
    like = (node.state, node.attempt)
    alike = [other.number for other in oracle.nodes if (other.state, other.attempt) == like]
    several = random.sample(alike, random.randint(1, min(3, len(alike))))
    some = packed(several if random.random() < 0.5 else [number])
    facts = (number, attempt, 10, 20)
    events: list[e.Event] = [
        *[e.TasksClaimed("runner", attempt + 1, some)] * 4,
        e.TaskComputed(*facts),
        e.TaskReused(*facts, "job-0", 7),
        e.AttemptFailed(*facts, ERROR),
        e.TaskFailed(*facts, ERROR),
        e.OptionalTaskFailed(*facts, ERROR),
        *[e.TaskCanceled(*facts)] * 2,
        e.TaskProgressed(number, attempt, 10),
        e.TaskReleased(number, attempt, ""),
        e.LeaseExpired(number, attempt, "runner"),
        e.SubtasksStaged(number, attempt, next(columns(random_tasks(random, 2)))),
        e.TasksSkipped(some, number),
        e.TasksCanceled(some, number),
        e.TasksAbandoned(some, random.choice([number, -1, len(oracle.nodes)])),
        e.CancelRequested(number, some, "again"),
        e.JobRetried("again", some, 1, "", random.choice([-1, number, len(oracle.nodes)])),
        e.JobCompleted(),
        e.JobFailed(number),
        e.JobCanceled("again"),
        e.DeadlineExceeded(oracle.deadline + random.choice([0, 0, 1])),
        e.JobDeleted("again"),
        e.JobErased(random.choice(["", "keys/1"])),
    ]
    return random.choice(events)

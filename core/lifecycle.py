"""What states a job and a task can be in, and every way from one to the next.

Theory of operation
-------------------
`TaskLifecycle` and `JobLifecycle` are the only place where a transition exists. They are python-statemachine classes,
so they can be drawn, checked and driven; but sending an event through one costs about 100 µs, and a job of 100,000
tasks takes 200,000 transitions. So both are compiled at import into flat tables, one `bytes` of targets per event,
indexed by the state's number: 0.05 µs a look-up. `tests/core/test_lifecycle.py` proves table and machine equal for
every state and event; `docs/states.md` is generated from the machines.

Folding needs no guards: what a guard would decide (is a retry left? is the task optional?) is decided once, by
`decisions`, and recorded as different events.

A job's RUNNING and STARTED follow from its tasks. The fold sends `runs` and `rests` as the first task starts and the
last one stops; the log carries only what cannot be derived (completed, failed, canceled, retried).
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from statemachine import State, StateMachine

# Both numberings are stored in views and shown to other programs: numbers are never reused or changed.


class TaskState(Enum):
    """Where one task stands. "Completed" is derived: the task is finished and so is its whole subtree.

    >>> [state.name for state in TaskState]
    ['QUEUED', 'RUNNING', 'COMPUTED', 'FAILED', 'SKIPPED', 'FAILED_OPTIONAL', 'CANCELED', 'ABANDONED']
    >>> job.tasks[0].state is TaskState.COMPUTED
    True
    """

    QUEUED = 1  #: waiting: for a dependency, for a runner, or because its job is halted
    RUNNING = 2  #: claimed by a runner
    COMPUTED = 3  #: it ran to its end; never runs again
    FAILED = 4  #: it failed and no retry is left, until a user retries it or its job
    SKIPPED = 5  #: it never ran, because another task inside its optional subtree failed or was canceled
    FAILED_OPTIONAL = 6  #: it failed inside an optional subtree, or was stopped there; the job goes on
    CANCELED = 7  #: canceled by a user, itself or with a task above it
    ABANDONED = 8  #: it cannot run, because it depends on a task that failed or was canceled


class JobState(Enum):
    """Where one job stands, derived from its tasks and from cancel and retry.

    >>> [state.name for state in JobState]
    ['SUBMITTED', 'RUNNING', 'STARTED', 'COMPLETED', 'FAILED', 'CANCELED', 'DELETED']
    >>> job.state is JobState.COMPLETED
    True
    """

    SUBMITTED = 1  #: no task has started yet
    RUNNING = 2  #: at least one task is running
    STARTED = 3  #: some tasks are computed, others are queued, none is running
    COMPLETED = 4  #: every task is finished, none failed (failures inside optional subtrees aside)
    FAILED = 5  #: a task failed, or the deadline passed; what is queued, if anything, is halted
    CANCELED = 6  #: canceled by a user, or nothing is left of it but what was; what is queued, if anything, is halted
    DELETED = 7  #: deleted by a user: nobody is shown it any more


class TaskLifecycle(StateMachine):
    """One task, from queued to its end.

    {statechart:md}
    """

    queued = State(value=TaskState.QUEUED.value, initial=True)
    running = State(value=TaskState.RUNNING.value)
    computed = State(value=TaskState.COMPUTED.value, final=True)
    failed = State(value=TaskState.FAILED.value)
    skipped = State(value=TaskState.SKIPPED.value, final=True)
    failed_optional = State(value=TaskState.FAILED_OPTIONAL.value, final=True)
    canceled = State(value=TaskState.CANCELED.value)
    abandoned = State(value=TaskState.ABANDONED.value)

    claim = queued.to(running)
    compute = running.to(computed)
    fail_attempt = running.to(queued)  # an attempt failed, a retry is left
    release = running.to(queued)  # the runner gave it back
    expire = running.to(queued)  # the runner's lease ran out
    fail = running.to(failed)
    fail_optional = running.to(failed_optional)
    skip = queued.to(skipped)
    cancel = queued.to(canceled) | running.to(canceled)  # a running one when it stops because it was asked to
    abandon = queued.to(abandoned)
    retry = failed.to(queued) | canceled.to(queued) | abandoned.to(queued)  # the user retried it, or its job


class JobLifecycle(StateMachine):
    """One job, from submitted to settled, and back to life by a retry.

    {statechart:md}
    """

    submitted = State(value=JobState.SUBMITTED.value, initial=True)
    running = State(value=JobState.RUNNING.value)
    started = State(value=JobState.STARTED.value)
    completed = State(value=JobState.COMPLETED.value)
    failed = State(value=JobState.FAILED.value)
    canceled = State(value=JobState.CANCELED.value)
    deleted = State(value=JobState.DELETED.value, final=True)

    run = submitted.to(running) | started.to(running)
    rest = submitted.to(started) | running.to(started)
    complete = submitted.to(completed) | running.to(completed) | started.to(completed)
    fail = running.to(failed) | started.to(failed) | canceled.to(failed)  # a failure outranks a cancel
    cancel = submitted.to(canceled) | running.to(canceled) | started.to(canceled)
    stop = canceled.to(canceled) | failed.to(failed)  # canceled when it was halted already: what runs is told
    expire = submitted.to(failed) | running.to(failed) | started.to(failed)  # its deadline passed
    retry = failed.to(submitted) | canceled.to(submitted)
    retry_tasks = submitted.to(submitted) | running.to(running) | started.to(started)  # of a job that goes on
    delete = completed.to(deleted) | failed.to(deleted) | canceled.to(deleted)


class LifecycleError(ValueError):
    """An event that the lifecycle forbids in the state at hand: a history no engine of ours could have written."""


def compile_table(machine: type[StateMachine]) -> dict[str, bytes]:
    """Return for each event of `machine` its targets: ``table[event][state]``, 0 where the event is forbidden.

    Each row has 256 entries, so that ``bytes.translate`` moves a whole range of tasks at once.

    Errors: ValueError if the machine is more than a flat table can say (guards, nesting, two targets for one event).
    """
    rows: dict[str, bytearray] = {}
    states: list[Any] = list(machine.states)
    for state in states:
        for transition in state.transitions:
            guarded = any(transition.cond) or any(transition.validators)
            if len(transition.targets) != 1 or transition.is_eventless or guarded or state.states:
                raise ValueError(f"{machine.__name__}: {transition!r} does not fit a flat table")
            for event in transition.events:
                row = rows.setdefault(str(event), bytearray(256))
                if row[state.value]:
                    raise ValueError(f"{machine.__name__}: two targets for {event} in {state.id}")
                row[state.value] = transition.target.value
    return {event: bytes(row) for event, row in rows.items()}


TASK_TABLE = compile_table(TaskLifecycle)
JOB_TABLE = compile_table(JobLifecycle)

#: job states in which no task may be claimed, whatever is queued
HALTED = frozenset(
    {JobState.COMPLETED.value, JobState.FAILED.value, JobState.CANCELED.value, JobState.DELETED.value}
)

"""Random job histories as engines write them: every event comes out of `decide`, commits hold one decision or several."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from jobledger.core import commands as c
from jobledger.core.codec import Commit
from jobledger.core.decisions import Refusal
from jobledger.core.events import Error, Event
from jobledger.core.job import Job
from jobledger.core.submission import NewTask, Submission

from .histories import JOB, JobDriver, submission, task

T0 = 1_700_000_000_000_000  # µs: 2023-11-14 22:13:20 UTC
RUNNERS = ("runner-a", "runner-b", "runner-c")


class Placed(NamedTuple):
    """A commit where a log would have it."""

    position: int
    version: int
    commit: Commit


def committed(driver: JobDriver, random: Random | None = None) -> list[Placed]:
    """Return the driver's history as commits, one decision each, or, given a source of chance, several.

    One tick of the driver's clock is a millisecond after T0. Other jobs write, too: positions have gaps.
    """
    groups: list[tuple[int, list[Event]]] = []
    for at, events in driver.history:
        if groups and random is not None and random.random() < 0.4:
            groups[-1][1].extend(events)
        else:
            groups.append((at, list(events)))
    return [
        Placed(3 * version, version, Commit(bytes(16), bytes(32), T0 + 1000 * at, "engine", False, events))
        for version, (at, events) in enumerate(groups, 1)
    ]


def random_history(random: Random, *, steps: int = 60, tasks: int = 60) -> JobDriver:
    """Return a history of about `steps` decisions over at most about `tasks` tasks."""
    driver = JobDriver()
    driver.submit(*_some_tasks(random, random.randint(1, 3), roots=True))
    for step in range(steps):
        try:
            driver.do(_next_command(random, driver.job, step, room=len(driver.job.graph) < tasks))
        except Refusal:
            continue
    return driver


def _next_command(random: Random, job: Job, step: int, *, room: bool) -> c.Command:
    running = list(job.claimed_by)
    roll = random.random()
    if roll < 0.02:
        return c.CancelJob(JOB, f"cancel-{step}", "me@here", random.choice(["", "not needed"]))
    if roll < 0.12:
        return c.RetryJob(JOB, f"retry-{step}")
    if roll < 0.4 or not running:
        kinds = list(range(len(job.specs)))
        return c.ClaimTasks(JOB, random.choice(RUNNERS), kinds, random.randint(1, 6))
    number = random.choice(running)
    attempt = job.attempt[number]
    started = T0 + step
    display = random.choice([None, None, f"task {number} at step {step}"])
    if roll < 0.45:
        return c.ReleaseTask(JOB, number, attempt, "shutting down")
    if roll < 0.5:
        return c.ExpireLease(JOB, number, attempt)
    if roll < 0.65:
        error = Error("KeyError", f"'{step}'", "Traceback …")
        return c.ReportFailed(JOB, number, attempt, started, started + 5, error, display)
    if roll < 0.7 and room:
        return c.StageSubtasks(JOB, number, attempt, _chunk(random, job, number))
    subtasks = _chunk(random, job, number) if room and random.random() < 0.5 else None
    return c.ReportComputed(JOB, number, attempt, started, started + 7, subtasks, display)


def _chunk(random: Random, job: Job, number: int) -> Submission:
    start = job.staged_count(number)
    tasks = submission(*_some_tasks(random, random.randint(1, 5)))
    if not start:
        return tasks
    # without dependencies: theirs count from the first chunk on
    return Submission(tasks.inputs, tasks.specs, tasks.spec_runs, start=start)


def _some_tasks(random: Random, count: int, *, roots: bool = False) -> list[NewTask]:
    tasks = []
    for position in range(count):
        after: list[int] = []
        if position and not roots and random.random() < 0.4:
            after = random.sample(range(position), random.randint(1, position))
        optional = not roots and random.random() < 0.2
        retries = random.randint(0, 2)
        text = b'{"n":%d}' % position
        tasks.append(task(random.choice("ABC"), after=after, data=text, retries=retries, optional=optional))
    return tasks

"""Random job histories as engines write them: every event comes out of `decide`, commits hold one decision or several."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.decisions import Refusal
from jobledger.core.policy import CONTINUE, HALT, INHERIT, NO_POLICY, Policy
from jobledger.core.submission import NewTask, Submission, TaskSpec

from .histories import JOB, JobDriver, submission

T0 = 1_700_000_000_000_000  # µs: 2023-11-14 22:13:20 UTC
TICK = 1000  # µs from one command to the next
RUNNERS = ("runner-a", "runner-b", "runner-c")


class Placed(NamedTuple):
    """A commit where a log would have it."""

    position: int
    version: int
    commit: Commit


def committed(driver: JobDriver, random: Random | None = None) -> list[Placed]:
    """Return the driver's history as commits, one decision each, or, given a source of chance, several.

    One tick of a driver's clock is a millisecond after T0, unless its clock tells such times itself. Other jobs write,
    too: positions have gaps.
    """
    groups: list[tuple[int, list[e.Event]]] = []
    for at, events in driver.history:
        if groups and random is not None and random.random() < 0.4:
            groups[-1][1].extend(events)
        else:
            groups.append((at, list(events)))
    return [
        Placed(3 * version, version, Commit(bytes(16), bytes(32), _real(at), "engine", False, events))
        for version, (at, events) in enumerate(groups, 1)
    ]


def _real(at: int) -> int:
    return at if at >= T0 else T0 + TICK * at


class ClockedDriver(JobDriver):
    """A driver whose clock is real: a tick after T0 with each command, so that delays and deadlines come to pass."""

    def __init__(self, *roots: NewTask, options: e.JobOptions | None = None) -> None:
        super().__init__()
        self.now = T0
        self.do(c.SubmitJob(JOB, "a job", submission(*roots), "user@host", options))

    def do(self, command: c.Command) -> list[e.Event]:
        self.now += TICK - 1  # and one that every driver adds
        self.job.graph.wake(self.now + 1)
        return super().do(command)

    def pass_time(self, microseconds: int) -> None:
        self.now += microseconds


def random_history(random: Random, *, steps: int = 60, tasks: int = 60) -> ClockedDriver:
    """Return a history of about `steps` decisions over at most about `tasks` tasks."""
    options = e.JobOptions(
        {"team": "maps"} if random.random() < 0.3 else {},
        continues=random.random() < 0.5,
        deadline=T0 + random.randint(1, 2 * steps) * TICK if random.random() < 0.2 else 0,
    )
    driver = ClockedDriver(*_some_tasks(random, random.randint(1, 3), roots=True), options=options)
    for step in range(steps):
        try:
            driver.do(_next_command(random, driver, step, room=len(driver.job.graph) < tasks))
        except Refusal:
            continue
    return driver


def _next_command(random: Random, driver: JobDriver, step: int, *, room: bool) -> c.Command:
    running = list(driver.job.claimed_by)
    if 0 < driver.job.deadline <= driver.now and random.random() < 0.3:
        return c.ExpireJob(JOB)
    roll = random.random()
    if roll < 0.12:
        return _intervention(random, driver, step)
    if roll < 0.4 or not running:
        kinds = list(range(len(driver.job.specs)))
        return c.ClaimTasks(JOB, random.choice(RUNNERS), kinds, random.randint(1, 6))
    return _report(random, driver, random.choice(running), step, room=room)


def _intervention(random: Random, driver: JobDriver, step: int) -> c.Command:
    number = random.randrange(len(driver.job.graph))
    why = random.choice(["", "not needed"])
    roll = random.random()
    if roll < 0.1:
        return c.CancelJob(JOB, f"cancel-{step}", "me@here", why, grace=random.choice([-1, 5_000_000]))
    if roll < 0.35:
        return c.CancelTask(JOB, f"cancel-{step}", number, "me@here", why)
    if roll < 0.7:
        return c.RetryJob(JOB, f"retry-{step}", deadline=driver.now + 20 * TICK if roll < 0.4 else 0)
    if roll < 0.97:
        return c.RetryJob(JOB, f"retry-{step}", "me@here", number)
    return c.DeleteJob(JOB, f"delete-{step}", "me@here", why, force=random.random() < 0.5)


def _report(random: Random, driver: JobDriver, number: int, step: int, *, room: bool) -> c.Command:
    job, now = driver.job, driver.now
    attempt = job.attempt[number]
    started = now - random.randint(0, 2 * TICK)
    times = (started, max(started, now - random.randint(0, TICK)))
    display = random.choice([None, None, f"task {number} at step {step}"])
    counted = random.choice([None, [e.Progress(random.choice(["", "tiles"]), 9, random.randint(0, 9))]])
    result = random.choice([None, e.Value(b'{"step":%d}' % step), e.Value(object=f"{JOB}/abc", size=99_999)])
    roll = random.random()
    if roll < 0.08:
        return c.ReleaseTask(JOB, number, attempt, "shutting down")
    if roll < 0.16:
        return c.ExpireLease(JOB, number, attempt, alone=roll < 0.12)
    if roll < 0.28:
        return c.ReportProgress(JOB, number, attempt, started, counted, display)
    if roll < 0.34:
        return c.ReportCanceled(JOB, number, attempt, *times, display, counted)
    if roll < 0.52:
        error = e.Error("KeyError", f"'{step}'", "Traceback …")
        return c.ReportFailed(JOB, number, attempt, *times, error, display, counted, final=roll < 0.36)
    if roll < 0.58:
        return c.ReportReused(JOB, number, attempt, *times, "another-job", 7, result)
    if roll < 0.64 and room:
        return c.StageSubtasks(JOB, number, attempt, _chunk(random, driver, number))
    subtasks = _chunk(random, driver, number) if room and random.random() < 0.5 else None
    return c.ReportComputed(JOB, number, attempt, *times, subtasks, display, counted, result)


def _chunk(random: Random, driver: JobDriver, number: int) -> Submission:
    start = driver.job.staged_count(number)
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
        spec = TaskSpec(
            random.choice("ABC"), 1, 0, "default", random.randint(0, 2), optional, _some_policy(random)
        )
        tasks.append(NewTask(spec, b'{"n":%d}' % position, frozenset(after)))
    return tasks


def _some_policy(random: Random) -> Policy | None:
    if random.random() < 0.6:
        return None
    policy = Policy(
        priority=random.choice([0, 0, 5]),
        not_before=T0 + random.randint(1, 30) * TICK if random.random() < 0.3 else 0,
        on_failure=random.choice([INHERIT, HALT, CONTINUE]),
        delay=random.choice([0, 5 * TICK]),
        key=(key := random.choice(["", "api"])),
        limit=2 if key else 0,
        reuse=random.random() < 0.3,
    )
    return None if policy == NO_POLICY else policy

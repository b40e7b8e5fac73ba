"""Random job histories as an engine would write them: every event comes out of `decide`."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from jobledger.core import commands as c
from jobledger.core.codec import Commit
from jobledger.core.decisions import Refusal, decide
from jobledger.core.events import Error, Event
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import TaskState
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns

T0 = 1_700_000_000_000_000  # µs; every decision comes 1 ms after the one before
RUNNERS = ("runner-a", "runner-b", "runner-c")


class Placed(NamedTuple):
    position: int
    version: int
    commit: Commit


class Author:
    """Writes one job's history, command by command."""

    def __init__(self, job_id: str = "01890a5d-ac96-774b-bcce-b302099a8057", *, first_position: int = 1) -> None:
        self.job = Job(job_id)
        self.commits: list[Placed] = []
        self.now = T0
        self._next_position = first_position
        self._gathered: list[Event] = []

    def tell(self, command: c.Command, *, write: bool = True) -> list[Event]:
        """Decide and apply one command; write what was gathered as one commit unless `write` is False."""
        if not self._gathered:
            self.now += 1000
        events = decide(self.job, command, self.now)
        for event in events:
            evolve(self.job, event, self.now)
        self._gathered += events
        if write:
            self.write()
        return events

    def write(self) -> None:
        if self._gathered:
            version = len(self.commits) + 1
            commit = Commit(bytes(16), bytes(32), self.now, "engine", self.job.settled, self._gathered)
            self.commits.append(Placed(self._next_position, version, commit))
            self._next_position += 3  # other jobs write, too
            self._gathered = []


def submission(*tasks: NewTask) -> Submission:
    (one,) = columns(tasks)
    return one


def task(name: str, *, input: bytes = b"", after: tuple[int, ...] = (), **options: object) -> NewTask:  # noqa: A002
    """Return a task to submit; `after` are positions in the same submission, `options` those of a TaskSpec."""
    spec = TaskSpec(name, 1, 0, **{"cluster": "default", **options})  # type: ignore[arg-type]
    return NewTask(spec, input, frozenset(after))


def random_history(random: Random, *, steps: int = 60, tasks: int = 60) -> Author:
    """Return a history of about `steps` decisions over at most about `tasks` tasks."""
    author = Author()
    job = author.job
    author.tell(c.SubmitJob(job.id, "random", _some_tasks(random, random.randint(1, 3), roots=True), "me@here"))
    for step in range(steps):
        command = _next_command(random, job, step, room=len(job.graph) < tasks)
        try:
            author.tell(command, write=random.random() < 0.6)
        except Refusal:
            continue
    author.write()
    return author


def _next_command(random: Random, job: Job, step: int, *, room: bool) -> c.Command:
    running = list(job.claimed_by)
    roll = random.random()
    if roll < 0.02:
        return c.CancelJob(job.id, f"cancel-{step}", "me@here", random.choice(["", "not needed"]))
    if roll < 0.12:
        return c.RetryJob(job.id, f"retry-{step}")
    if roll < 0.4 or not running:
        specs = list(range(len(job.specs)))
        return c.ClaimTasks(job.id, random.choice(RUNNERS), specs, random.randint(1, 6))
    number = random.choice(running)
    attempt = job.attempt[number]
    started = T0 + step
    display = random.choice([None, None, f"task {number} at step {step}"])
    if roll < 0.45:
        return c.ReleaseTask(job.id, number, attempt, "shutting down")
    if roll < 0.5:
        return c.ExpireLease(job.id, number, attempt)
    if roll < 0.65:
        error = Error("KeyError", f"'{step}'", "Traceback …")
        return c.ReportFailed(job.id, number, attempt, started, started + 5, error, display)
    if roll < 0.7 and room:
        return c.StageSubtasks(job.id, number, attempt, _chunk(random, job, number))
    subtasks = _chunk(random, job, number) if room and random.random() < 0.5 else None
    return c.ReportComputed(job.id, number, attempt, started, started + 7, subtasks, display)


def _chunk(random: Random, job: Job, number: int) -> Submission:
    start = job.staged_count(number)
    tasks = _some_tasks(random, random.randint(1, 5))
    if not start:
        return tasks
    # what follows a staged chunk depends on nothing here: positions would have to be moved
    return Submission(tasks.inputs, tasks.specs, tasks.spec_runs, start=start)


def _some_tasks(random: Random, count: int, *, roots: bool = False) -> Submission:
    new = []
    for position in range(count):
        after: frozenset[int] = frozenset()
        if position and not roots and random.random() < 0.4:
            after = frozenset(random.sample(range(position), random.randint(1, position)))
        optional = not roots and random.random() < 0.2
        spec = TaskSpec(random.choice("ABC"), 1, 0, "default", random.randint(0, 2), optional)
        new.append(NewTask(spec, b'{"n":%d}' % position, after))
    return submission(*new)


def states(job: Job) -> list[TaskState]:
    return [job.state_of(number) for number in range(len(job.graph))]

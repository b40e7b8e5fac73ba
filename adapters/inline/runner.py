"""Runs inline tasks: claim one, execute it, report it, until nothing is ready and no time is left to wait for."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isclass
from typing import Any

import msgspec

from jobledger.core.commands import Report, ReportComputed, ReportFailed
from jobledger.core.context import JobCache
from jobledger.core.decisions import Refusal
from jobledger.core.errors import ArgumentError
from jobledger.core.events import Error
from jobledger.core.task import TaskClass, TaskIdentifier

from ..engine.runners.dispatch import Capability
from ..portal import shared_portal
from ..runner.assignment import Assignment
from ..runner.attempt.context import Equipment
from ..runner.attempt.execution import execute
from ..runner.attempt.user_code import UserCode
from ..runner.attempt.values import InlineValues
from ..runner.caches.cache import InMemoryCache
from ..runner.registry import TaskRegistry
from ..runner.telemetry.log_level import log_level
from ..sealing.keys import Keyring
from .engine import InlineEngine

_RUNNER = "inline"
_MAX_REPORT = 8 * 1024 * 1024  # bytes

_decode_report = msgspec.msgpack.Decoder(Report).decode


class InlineRunner:
    """Runs tasks of its classes and its cluster on the calling thread.

    >>> client = InlineClient()
    >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
    >>> client.runner(tasks=[Greet]).run_all()
    2
    """

    def __init__(
        self,
        engine: InlineEngine,
        tasks: Iterable[TaskClass],
        cluster: str,
        *,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
        keyring: Keyring,
    ) -> None:
        self.cluster = cluster
        self._engine = engine
        self._tasks = TaskRegistry(tasks)
        self._equipment = Equipment(
            self._tasks,
            InMemoryCache() if cache is None else cache,
            cluster,
            context() if isclass(context) else context,
            log_level(),
            _MAX_REPORT,
            values=InlineValues(engine.answer),
            now=lambda: engine.clock.micros,
            seal=lambda job_id, key: shared_portal().run(keyring.seal(job_id, key)),
        )

    def register(self, task: TaskClass) -> None:
        """Add a task class. Errors: ArgumentError or TypeError for what cannot be run, or not beside the others.

        >>> runner = InlineClient().runner()
        >>> runner.register(Greet)
        >>> runner.tasks_to_run
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        self._tasks.register(task)

    @property
    def tasks_to_run(self) -> list[TaskIdentifier]:
        """What this runner takes.

        >>> InlineClient().runner(tasks=[Greet]).tasks_to_run
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        return self._tasks.identifiers

    def run_all(self, *, skip_time: bool = True) -> int:
        """Run until nothing is left to do for this runner. Return how many attempts were made.

        Shape:  `skip_time` lets the clock jump to when the next task is due, or the next deadline ends; otherwise
                this returns as soon as nothing is ready at the present time.
        Errors: ArgumentError without any task class.

        >>> client = InlineClient()
        >>> job = client.jobs().submit("greetings", Greet("world"), start=3600)
        >>> client.runner(tasks=[Greet]).run_all(skip_time=False), client.runner(tasks=[Greet]).run_all()
        (0, 1)
        >>> print(client.clock.now)
        2026-01-01 01:00:00+00:00
        """
        attempts = 0
        while True:
            while self.run_one():
                attempts += 1
            wake = self._engine.next_wake if skip_time else None
            if wake is None:
                return attempts
            before = self._engine.clock.micros
            self._engine.clock.reach(wake)
            if self._engine.clock.micros == before:
                return attempts  # what is due is for others

    def run_one(self) -> bool:
        """Run the task that is next, if any is ready, and return whether one was.

        >>> client = InlineClient()
        >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
        >>> client.runner(tasks=[Greet]).run_one()
        True
        >>> [task.state.name for task in job.tasks]
        ['COMPUTED', 'QUEUED']
        """
        if not self._tasks.classes:
            raise ArgumentError("this runner has no tasks: pass tasks=[…] or register one before running it")
        job = self._engine.claim(_RUNNER, Capability(self.cluster, tuple(self._tasks.identifiers)))
        if job is None:
            return False
        ((task, attempt, spec, data, *_),) = job.tasks
        assignment = Assignment(job.job_id, job.job_name, task, attempt, job.specs[spec], data)
        if job.sealed:
            (assignment.place,), assignment.sealed, assignment.indirect = job.places, job.sealed, True
        started = self._engine.clock.micros
        user_code = UserCode()
        try:
            execute(assignment, self._equipment, user_code)
        finally:
            user_code.close()
        for payload in assignment.reports:
            self._report(assignment, _on_time(_decode_report(payload), started, self._engine.clock.micros))
        return True

    def _report(self, assignment: Assignment, report: Report) -> None:
        limit = assignment.spec.asked.timeout
        if isinstance(report, ReportComputed) and limit and report.stopped - report.started > limit:
            error = Error("TimeoutError", f"the attempt took longer than its time limit of {limit / 1e6:g} s")
            a = assignment
            report = ReportFailed(a.job_id, a.task, a.attempt, report.started, report.stopped, error)
        try:
            self._engine.report(report)
        except Refusal as refusal:
            if refusal.code == "invalid":
                raise  # a runner never says such a thing
            # The task itself had its job deleted, or the like: its result is not wanted any more.


def _on_time(report: Report, started: int, stopped: int) -> Report:
    """Return the report with times of the virtual clock."""
    if hasattr(report, "stopped"):
        return msgspec.structs.replace(report, started=started, stopped=stopped)
    return report

"""Forks of jobs that a `JobDriver` drove, without a log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.submission import TaskSpec
from jobledger.projections.forking import PART, Edit, Fork, plan_fork
from jobledger.projections.job_view import JobView

from .histories import JOB, JobDriver
from .random_history import Placed, committed

FORK = "job-2"
ORIGIN = e.Origin(JOB, 12, 4, bytes(32))


def view_of(driver: JobDriver, *, job_id: str = JOB, commits: list[Placed] | None = None) -> JobView:
    """Return what readers see of a job, up to the last of these commits; None: of all."""
    view = JobView(job_id)
    for placed in committed(driver) if commits is None else commits:
        view.apply(placed.position, placed.version, placed.commit)
    return view


def edit(view: JobView, number: int, data: bytes = b"edited", **fields: Any) -> Edit:
    """Return another input for a task."""
    spec = view.job.spec_of(number)
    return Edit(TaskSpec(**{name: getattr(spec, name) for name in TaskSpec.__struct_fields__} | fields), data)


def plan(view: JobView, *edited: int, part: int = PART, **options: Any) -> Fork:
    return plan_fork(view, FORK, {number: edit(view, number) for number in edited}, part=part, **options)


def write(planned: Fork, driver: JobDriver | None = None, **options: Any) -> JobDriver:
    """Have a fork written, as a client does, and return it."""
    driver = driver or JobDriver()
    for part in planned.parts[:-1]:
        driver.do(c.TakeOver(FORK, part))
    driver.do(fork_job(planned, **options))
    return driver


def fork_job(planned: Fork, **options: Any) -> c.ForkJob:
    given: Mapping[str, Any] = {"origin": ORIGIN} | options
    return c.ForkJob(FORK, "a job", planned.roots, "user@host", e.JobOptions(**given), planned.parts[-1])

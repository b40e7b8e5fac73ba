"""Following a job: wait, watch, logs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from jobledger.core.errors import ArgumentError

from .. import exits
from .. import output as out
from ..connection import HERE, Connection
from ..output import Output
from ..references import JobReference, id_of, job_of
from ..times import AsOf, Past, Seconds
from .facts import facts_of

if TYPE_CHECKING:
    from ...client.job import Job

Timeout = Annotated[Seconds | None, Parameter(help="How long at most; default: without limit.")]
_Level = Literal["debug", "info", "warning", "error", "critical"]


def wait(
    job: JobReference,
    /,
    *,
    timeout: Timeout = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Wait until a job is settled; the exit code says how it ended.

    It is 0 if it completed, 5 if it failed, 6 if it was canceled, 7 if the time was over before.
    """
    with server.client() as client:
        found = job_of(client, job)
        code = settled(found, timeout)
        if output != "table" and code != exits.TIMED_OUT:
            out.facts(facts_of(found), output)
        return code


def watch(
    job: JobReference,
    /,
    *,
    timeout: Timeout = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Print how a job stands whenever that changes, until it is settled.

    The exit codes are those of `job wait`.
    """
    with server.client() as client:
        found = job_of(client, job)
        try:
            out.stream(map(_standing, found.watch(timeout=timeout)), output)
        except TimeoutError as error:
            out.say(f"jobledger: {error}")
            return exits.TIMED_OUT
        return settled(found, 0.0)


def logs(
    job: JobReference,
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], help="Go on until the job is settled.")
    ] = False,
    task: Annotated[
        int | None, Parameter(help="Only of the task of this number.", validator=Number(gte=0), metavar="N")
    ] = None,
    level: Annotated[_Level | None, Parameter(help="Only of this level and above.")] = None,
    text: Annotated[str | None, Parameter(help="Only lines with this text, in upper or lower case.")] = None,
    since: Annotated[Past | None, Parameter(help="Only from that time on, or from so long ago.")] = None,
    until: Annotated[Past | None, Parameter(help="Only before that time.")] = None,
    at: AsOf = None,
    limit: Annotated[
        int | None,
        Parameter(
            name=["--limit", "-n"],
            help="Only the newest ones; default: all.",
            validator=Number(gte=1),
            metavar="N",
        ),
    ] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Print what the tasks of a job logged, the oldest lines first."""
    if follow and (until or limit):
        raise ArgumentError(
            f"--follow and {'--until' if until else '--limit'} exclude each other: what is followed has no end yet"
        )
    if at is not None and (follow or until):
        raise ArgumentError(
            f"--at and {'--follow' if follow else '--until'} exclude each other: both say where to end"
        )
    with server.client() as client:
        jobs, job_id = client.jobs(), id_of(client, job, at)
        if at is not None:
            until = jobs.find(job_id, at=at).as_of + timedelta(microseconds=1)
        given: dict[str, Any] = {"task": task, "level": level and level.upper(), "text": text, "since": since}
        if follow:
            out.stream(((str(line), _facts(line)) for line in jobs.follow_logs(job_id, **given)), output)
        else:
            found = jobs.query_logs(job_id, until=until, limit=limit, **given)
            out.stream(((str(line), _facts(line)) for line in found), output)
            if found.dropped:
                out.say(f"jobledger: {found.dropped:,} lines and spans of this job were lost")
    return 0


def settled(job: Job, timeout: float | None) -> int:
    """Wait for a job; return the exit code for how it ended, having said so."""
    from jobledger.core.lifecycle import JobState

    try:
        state = job.wait(timeout, raise_on_failure=False).state
    except TimeoutError as error:
        out.say(f"jobledger: {error}")
        return exits.TIMED_OUT
    known = f"job {job.name!r} ({job.id})"
    again = f"`jobledger job retry {job.id}` goes on from there, keeping what is computed"
    if state is JobState.FAILED:
        out.say(f"jobledger: {known} failed{_why(job)}. Once the cause is mended, {again}")
        return exits.JOB_FAILED
    if state is JobState.CANCELED:
        out.say(f"jobledger: {known} was canceled; {again}")
        return exits.JOB_CANCELED
    out.say(f"jobledger: {known} {state.name.lower()}")
    return 0


def _why(job: Job) -> str:
    error = job.error
    if error is None:
        return ""
    number = error.task_id.rpartition("/")[2]
    return f": task {number} ({job.tasks[int(number)].display}): {error}" if number else f": {error}"


def _standing(job: Job) -> tuple[str, dict[str, Any]]:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    counts = {state.name: count for state, count in job.tasks_by_state.items() if count}
    state, percent = job.state, job.percent
    tasks = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return (
        f"{now:%H:%M:%S}Z  {state.name:<9}  {percent:5.1f} %  {tasks}",
        {"at": now, "id": job.id, "state": state, "percent": percent, "tasks": counts},
    )


def _facts(line: Any) -> dict[str, Any]:
    return {name: getattr(line, name) for name in line.__dataclass_fields__ if name != "level"}

"""Stepping in: cancel, retry, delete; one job, a task of it, or many jobs at once."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from jobledger.core.errors import ArgumentError, JobNotDeletable

from .. import output as out
from ..connection import HERE, Connection
from ..output import Output
from ..references import TargetReference, id_of, target_of
from ..selection import NOTHING_SELECTED, All, DryRun, Selected, Yes, each
from ..times import Future, Seconds

_Reason = Annotated[str, Parameter(help="Why; the history shows it.")]


def cancel(
    job: TargetReference = None,
    /,
    *,
    reason: _Reason = "",
    grace: Annotated[
        Seconds | None, Parameter(help="Stop running tasks after that time; default: they are only told.")
    ] = None,
    selected: Selected = NOTHING_SELECTED,
    everything: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Cancel a job, one task with its subtree, or all that are selected.

    A running task is told, and may stop; it is stopped only if a grace is given.
    """
    with server.client() as client:
        jobs = client.jobs()
        if job is None:
            return each(
                jobs.cancel_all,
                selected,
                everything=everything,
                yes=yes,
                dry_run=dry_run,
                form=output,
                reason=reason,
                grace=grace,
            )
        _one(job, selected, everything, dry_run)
        target = target_of(client, job)
        count = jobs.cancel(str(target), reason=reason, grace=grace)
        _tell(str(target), int(count), output, "canceled" if count else "nothing was left to cancel")
    return 0


def retry(
    job: TargetReference = None,
    /,
    *,
    deadline: Annotated[
        Future | None, Parameter(help="A new deadline: a time, or how long from now. For a single job.")
    ] = None,
    selected: Selected = NOTHING_SELECTED,
    everything: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Resume a failed or canceled job, one task of it, or all that are selected.

    What is computed is kept and does not run again.
    """
    with server.client() as client:
        jobs = client.jobs()
        if job is None:
            if deadline is not None:
                raise ArgumentError("--deadline is for a single job: name it, or leave out --deadline")
            return each(
                jobs.retry_all, selected, everything=everything, yes=yes, dry_run=dry_run, form=output
            )
        _one(job, selected, everything, dry_run)
        target = target_of(client, job)
        count = jobs.retry(str(target), deadline=deadline)
        _tell(str(target), count, output, f"{count:,} task{'' if count == 1 else 's'} may run again")
    return 0


def delete(
    job: Annotated[TargetReference, Parameter(help="The id of a job, latest, or latest:NAME.")] = None,
    /,
    *,
    force: Annotated[bool, Parameter(help="Also what is not settled: it is canceled first.")] = False,
    reason: _Reason = "",
    selected: Selected = NOTHING_SELECTED,
    everything: All = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Delete a settled job, or all that are selected.

    Nobody is shown it any more; the log keeps its history.
    """
    with server.client() as client:
        jobs = client.jobs()
        if job is None:
            return each(
                jobs.delete_all,
                selected,
                everything=everything,
                yes=yes,
                dry_run=dry_run,
                form=output,
                force=force,
                reason=reason,
            )
        _one(job, selected, everything, dry_run)
        job_id = id_of(client, job)
        try:
            jobs.delete(job_id, force=force, reason=reason)
        except JobNotDeletable as error:
            raise JobNotDeletable(f"{error}: --force") from None
        _tell(job_id, 1, output, "deleted")
    return 0


def _one(job: str, selected: Selected, everything: bool, dry_run: bool) -> None:
    """Errors: ArgumentError for what goes with many jobs only."""
    given = "--all" if everything else "--dry-run" if dry_run else "a condition" if selected.criteria else ""
    if given:
        raise ArgumentError(f"{given} goes with many jobs, and {job!r:.100} is one: leave out one of them")


def _tell(target: str, affected: int, output: Output, done: str) -> None:
    if output == "table":
        out.say(f"jobledger: {done}: {target}")
    else:
        out.facts({"id": target, "affected": affected}, output)

"""Stepping in with many jobs at once: all that a selection means are found first, then each is treated by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from jobledger.core.errors import ArgumentError, JobLedgerError, ServerUnavailable
from jobledger.core.lifecycle import JobState
from jobledger.core.options import Seconds
from jobledger.projections.jobs import JobRow

from .. import arguments
from ..pipelining import pipelined
from ..query.queries import rows
from ..query.selection import Extent, Selection
from . import intervening

if TYPE_CHECKING:
    from ..session import Session

#: requests under way at a time
_AT_ONCE = 64

_LIVE = (JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED)
_RETRYABLE = (JobState.FAILED, JobState.CANCELED)
_OVER = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job.

    >>> job = client.jobs().submit("forgotten", Greet("world"))
    >>> outcome = next(iter(client.jobs().cancel_all(name="forgotten")))
    >>> print(outcome)
    forgotten (...): 1 affected
    >>> outcome.job.name, outcome.affected, outcome.error
    ('forgotten', 1, None)
    """

    job: JobRow  #: as the view knew it when it was selected
    affected: int = (
        0  #: tasks that may run again; else 1 for a job that was changed, 0 for one there was nothing to do
    )
    error: JobLedgerError | None = None  #: why it was not possible

    def __str__(self) -> str:
        told = (
            str(self.error)
            if self.error
            else f"{self.affected} affected"
            if self.affected
            else "nothing to do"
        )
        return f"{self.job.name} ({self.job.id}): {told}"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of many jobs: iterate over it, or look at those that failed. `str()` sums it up in a line.

    >>> jobs = [client.jobs().submit(f"mistake {number}", Greet("world")) for number in (1, 2)]
    >>> outcomes = client.jobs().cancel_all(name="mistake ")
    >>> print(outcomes)
    2 of 2 jobs canceled
    >>> outcomes.verb, outcomes.dry_run, sorted(outcome.job.name for outcome in outcomes.outcomes)
    ('canceled', False, ['mistake 1', 'mistake 2'])
    """

    verb: str  #: what was done, such as "canceled"
    outcomes: tuple[Outcome, ...]
    dry_run: bool  #: nothing was done: this is only what was selected

    @property
    def count(self) -> int:
        """How many jobs were selected.

        >>> job = client.jobs().submit("selected", Greet("world"))
        >>> client.jobs().cancel_all(name="selected", dry_run=True).count
        1
        """
        return len(self.outcomes)

    @property
    def changed(self) -> list[Outcome]:
        """Those it had an effect on.

        >>> job = client.jobs().submit("changed", Greet("world"))
        >>> [outcome.job.name for outcome in client.jobs().cancel_all(name="changed").changed]
        ['changed']
        """
        return [outcome for outcome in self.outcomes if outcome.affected]

    @property
    def failed(self) -> list[Outcome]:
        """Those it was not possible for, each with its `error`.

        >>> job = client.jobs().submit("unfinished", Greet("world"))
        >>> for outcome in client.jobs().delete_all(name="unfinished", job_states=JobState.SUBMITTED).failed:
        ...     print(outcome)
        unfinished (...): job ... cannot be deleted: it is SUBMITTED. ...
        """
        return [outcome for outcome in self.outcomes if outcome.error]

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __str__(self) -> str:
        jobs = f"{self.count} job{'' if self.count == 1 else 's'}"
        if self.dry_run:
            return f"{jobs} would be {self.verb}"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{len(self.changed)} of {jobs} {self.verb}{failed}"


async def cancel_all(
    session: Session,
    temporal_extent: Extent | None = None,
    *,
    dry_run: bool = False,
    everything: bool = False,
    reason: str = "",
    grace: Seconds | None = None,
    **selection: Unpack[Selection],
) -> Outcomes:
    """Cancel every job that is meant and not over, each as `cancel` does. Return what became of each.

    `dry_run=True` does nothing: `count` of the result says how many jobs it would be.
    Shape:  the selection is that of `query`; with none at all, `everything=True` says that this is no mistake.
    Errors: ArgumentError; ServerUnavailable, as `query`. What is not possible for one job is told in its outcome.

    >>> job = client.jobs().submit("mistaken", Greet("world"))
    >>> print(client.jobs().cancel_all(name="mistaken", dry_run=True))
    1 job would be canceled
    >>> print(client.jobs().cancel_all(name="mistaken", reason="a mistake"))
    1 of 1 job canceled
    """
    arguments.reason(reason)
    arguments.grace(grace)

    async def cancel(job: JobRow) -> int:
        return int(await intervening.cancel(session, job.id, reason, grace))

    found = await _selected(session, temporal_extent, selection, _LIVE, everything)
    return await _each("canceled", found, cancel, dry_run)


async def retry_all(
    session: Session,
    temporal_extent: Extent | None = None,
    *,
    dry_run: bool = False,
    everything: bool = False,
    **selection: Unpack[Selection],
) -> Outcomes:
    """Retry every job that is meant and has failed or was canceled, each as `retry` does. Return what became of each.

    Shape, `dry_run` and errors: as `cancel_all`.

    >>> job = client.jobs().submit("interrupted", Greet("world"))
    >>> client.jobs().cancel(job)
    True
    >>> print(client.jobs().retry_all(name="interrupted"))
    1 of 1 job retried
    """

    async def retry(job: JobRow) -> int:
        return await intervening.retry(session, job.id)

    found = await _selected(session, temporal_extent, selection, _RETRYABLE, everything)
    return await _each("retried", found, retry, dry_run)


async def delete_all(
    session: Session,
    temporal_extent: Extent | None = None,
    *,
    dry_run: bool = False,
    everything: bool = False,
    force: bool = False,
    reason: str = "",
    **selection: Unpack[Selection],
) -> Outcomes:
    """Delete every job that is meant and over, each as `delete` does. Return what became of each.

    `force=True` deletes those that are not over, too.
    Shape, `dry_run` and errors: as `cancel_all`.

    >>> job = client.jobs().submit("obsolete", Greet("world"))
    >>> client.jobs().cancel(job)
    True
    >>> print(client.jobs().delete_all(name="obsolete"))
    1 of 1 job deleted
    """
    arguments.flag("force", force)
    arguments.reason(reason)

    async def delete(job: JobRow) -> int:
        await intervening.delete(session, job.id, force, reason)
        return 1

    found = await _selected(session, temporal_extent, selection, None if force else _OVER, everything)
    return await _each("deleted", found, delete, dry_run)


async def _selected(
    session: Session,
    extent: Extent | None,
    selection: Selection,
    states: tuple[JobState, ...] | None,
    everything: bool,
) -> list[JobRow]:
    """Return the jobs that are meant; of these states, if the selection says nothing about states."""
    given = extent is not None or any(value is not None and value != "" for value in selection.values())
    if arguments.flag("everything", everything) and given:
        raise ArgumentError("everything=True goes with no selection: leave it out, or the selection")
    if not (given or everything):
        raise ArgumentError(
            "no job is selected: say which ones are meant, as for query(), or everything=True for all of them"
        )
    if states is not None and selection.get("job_states") is None:
        selection = {**selection, "job_states": states}
    return await rows(session, extent, **selection)


async def _each(
    verb: str, found: list[JobRow], do: Callable[[JobRow], Awaitable[int]], dry_run: bool
) -> Outcomes:
    if arguments.flag("dry_run", dry_run):
        return Outcomes(verb, tuple(Outcome(job) for job in found), dry_run=True)
    away: ServerUnavailable | None = None

    async def one(job: JobRow) -> Outcome:
        nonlocal away
        if away is not None:  # the others need not find out one by one
            return Outcome(job, error=away)
        try:
            return Outcome(job, await do(job))
        except ServerUnavailable as error:
            away = error
            return Outcome(job, error=error)
        except JobLedgerError as error:
            return Outcome(job, error=error)

    return Outcomes(verb, tuple(await pipelined(found, one, _AT_ONCE)), dry_run=False)

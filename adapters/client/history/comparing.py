"""Comparing two jobs."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from jobledger.core.errors import ArgumentError
from jobledger.projections.comparing import compare
from jobledger.projections.differences import JobDiff

from .. import arguments
from ..arguments import JobOrId
from ..read.facts import JobFacts
from ..read.reading import Reading

if TYPE_CHECKING:
    from ..session import Session


async def diff(
    session: Session, left: JobOrId, right: JobOrId, *, duration_factor: float | None = None
) -> JobDiff:
    """Compare two runs: their tasks, how those ended, after how many attempts, with which errors and results.

    Tasks are matched from the root tasks down: those of the same name and input, in order; then what is left of the same
    name. Numbers do not matter, so that a fork is compared with the job it comes from.

    Shape:  jobs, or their ids; also jobs as they were, such as `job.at(position)`. With `duration_factor` tasks differ as
            well if one ran more than so many times as long as the other; without it, times make no difference.
    Errors: NotFoundError; ArgumentError.

    >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
    >>> client.runner(tasks=[Greet]).run_all()
    >>> diff = client.jobs().diff(job, client.jobs().fork(job, tasks={1: Greet("her")}))
    >>> print(diff)
    job: state: COMPLETED → STARTED
    Greet[1]: state: COMPUTED → QUEUED, input: "me" → "her", attempts: 1 → 0
    """
    factor = _factor(duration_factor)
    views = [await _reading(session, given).refresh() for given in (left, right)]
    return await asyncio.to_thread(compare, *views, duration_factor=factor)


def _reading(session: Session, given: JobOrId) -> Reading:
    return given._reading if isinstance(given, JobFacts) else Reading(session, arguments.job_id(given))


def _factor(given: Any) -> float | None:
    if given is None:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool) and 1 <= given < math.inf:
        return float(given)
    raise ArgumentError(
        f"duration_factor={given!r:.100} is no factor: pass a number from 1 up, such as 2 for twice as long"
    )

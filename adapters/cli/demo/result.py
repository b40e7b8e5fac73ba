"""What came of the demo: what the job computed, and the proof from the log that nothing was computed again."""

from __future__ import annotations

import json

from jobledger import Job, JobLedgerError
from jobledger.cache import JobCache

from .evidence import fold
from .screen import Screen
from .survey import TOTALS, Counts, SurveyModule

LARGEST = 5  # packages that are shown


class NotAsDescribed(JobLedgerError):
    """The demo went another way than it says it does."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the demo did not go as described: {what}")


def show_totals(job: Job, cache: JobCache, screen: Screen) -> None:
    """Show what the last task of the job left in the cache. Errors: NotAsDescribed if a module is missing there."""
    packages = {name: Counts(**counts) for name, counts in json.loads(cache[TOTALS]).items()}
    total = sum(packages.values(), Counts())
    tasks = len(job.tasks.filter(name=SurveyModule.__name__))
    if total.modules != tasks:
        raise NotAsDescribed(
            f"{tasks} tasks counted a module each, but the result has {total.modules} modules"
        )
    largest = sorted(packages, key=lambda name: packages[name].lines, reverse=True)[:LARGEST]
    rows = [_row(name, packages[name]) for name in largest]
    screen.table(
        ["largest packages", "modules", "lines", "classes", "functions", "imports"],
        [*rows, _row(f"all {len(packages)} packages", total)],
    )
    if total.unparsed:
        screen.say(f"  {total.unparsed} modules are no valid Python here; only their lines are counted.")


def _row(name: str, counts: Counts) -> list[str | int]:
    return [name, counts.modules, counts.lines, counts.classes, counts.functions, counts.imports]


def show_evidence(job: Job, screen: Screen) -> None:
    """Show how often everything ran, by the log. Errors: NotAsDescribed if anything computed ran again."""
    seen = fold(job.history)
    tasks = job.tasks
    failed = ", ".join(tasks[number].display for number in sorted(seen.failed))
    screen.title(f"What the log says, in {seen.events:,} events")
    numbers = {
        "tasks were computed before the retry": len(seen.computed_before),
        "tasks were computed after it": len(seen.computed_after),
        f"tasks ran twice, having failed at first: {failed}": len(seen.ran_twice),
        "computed tasks ran again": len(seen.ran_again),
        f"attempts in all, for {len(tasks):,} tasks": seen.runs.total(),
    }
    if seen.given_back:
        numbers["more attempts were given back by a runner that had not begun them"] = seen.given_back
    screen.numbers(numbers)
    if job.settled_at is not None:
        elapsed = (job.settled_at - job.submitted_at).total_seconds()
        screen.say(f"  From the submission to the end it took {elapsed:.1f} s, new deployment included.")
    if seen.ran_again:
        raise NotAsDescribed(f"tasks that were computed ran again: {sorted(seen.ran_again)}")
    if seen.ran_twice != seen.failed:
        raise NotAsDescribed(
            f"tasks {sorted(seen.failed)} failed, but tasks {sorted(seen.ran_twice)} ran twice: was a runner lost?"
        )
    if len(seen.computed) != len(tasks):
        raise NotAsDescribed(f"the job is completed, but only {len(seen.computed)} of {len(tasks)} tasks are")

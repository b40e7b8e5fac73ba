"""Bugs that are planted on purpose: a test of the simulation, which has to find each of them.

Most are a function of the product with one piece of its text replaced, as somebody might get it wrong. When a function is
rewritten and the piece is gone, its bug says so: plant the same one another way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from jobledger.adapters.engine import ledger
from jobledger.adapters.engine.jobs import LiveJobs
from jobledger.adapters.engine.live import LiveJob
from jobledger.adapters.engine.partitions import share
from jobledger.adapters.engine.runners import exchange
from jobledger.adapters.engine.runners.leases import Leases
from jobledger.adapters.engine.runners.slots import Slots
from jobledger.adapters.engine.timers import Timers
from jobledger.adapters.engine.writing import commits
from jobledger.adapters.nats.log import LogWriter
from jobledger.adapters.runner.assignment import Assignments
from jobledger.adapters.runner.exchange.line import Line
from jobledger.adapters.runner.lease import Lease
from jobledger.adapters.runner.running.todo import Todo
from jobledger.adapters.views.projector import _Pass
from jobledger.adapters.views.sqlite import SQLiteJobs
from jobledger.core import decisions
from jobledger.core.decisions import interventions, refusal, work
from jobledger.core.job import steps
from support.mutants import mutated


class Bug(NamedTuple):
    """Where it is, and which piece of text is replaced by which; several places where one alone is caught by another."""

    profile: str  #: in which it is found soonest
    places: tuple[tuple[Any, str, str, str], ...]


def _one(profile: str, owner: Any, name: str, old: str, new: str) -> Bug:
    return Bug(profile, ((owner, name, old, new),))


BUGS: dict[str, Bug] = {
    # -- what is told before it is true
    "answered before the log has it": _one(
        "restarts", LiveJob, "when_written", "if self.durable == self.decided:", "if True:"
    ),
    "answered when the first of several jobs is written": _one(
        "calm", exchange.Exchanges, "_conclude", "elif not missing:", "else:"
    ),
    "settled before the log says so": _one(
        "calm", LiveJob, "settled", "self.idle and self.job.settled", "self.job.settled"
    ),
    "all commits of a batch are at the place of the first": _one(
        "calm", commits.Committer, "_put_together", "outcome + place", "outcome"
    ),
    # -- fences
    "no expectation on what is written": _one(
        "suspended", LogWriter, "put", "_EXPECTED % after", 'b"NATS/1.0\\r\\n\\r\\n"'
    ),
    "a report of any attempt is taken": Bug(
        "suspended",
        (
            (refusal, "check_current", "job.attempt[task] != report.attempt or ", ""),
            (refusal, "is_current", " and job.attempt[task] == report.attempt", ""),
            (steps, "check_running", " and job.attempt[task] == event.attempt", ""),
        ),
    ),
    # -- leases
    "leases never end": _one("crashes", Leases, "expired", "if deadline <= now", "if False"),
    "claims are not put under a lease": _one(
        "crashes", exchange.Exchanges, "_claim", "ledger.leases.claimed(runner, live)", "pass"
    ),
    "claims of the past are not put under a lease": _one(
        "crashes", ledger.Ledger, "find", "self.leases.claimed(runner, live)", "pass"
    ),
    "the engine's lease ends before the runner's": _one(
        "suspended", Leases, "extend", "+ self.length", "+ self.length / 2"
    ),
    "the runner begins whatever its lease says": Bug(
        "suspended",
        (
            (Todo, "take", "lane and clock() <= lease.until", "lane"),
            (Todo, "_wait", "if not self._lease.over:", "if True:"),
        ),
    ),
    "a late answer renews a lease that was over": _one(
        "suspended", Lease, "renewed", "if not uncounted or asked <= self.until:", "if True:"
    ),
    "a lease counts from the answer": _one("network", Lease, "renewed", "asked + length", "clock() + length"),
    "what is lost is run all the same": _one(
        "suspended", Line, "_alive", "self.assignments.lose(reply.lost)", "()"
    ),
    # -- answers that are lost
    "what was handed out twice is run twice": _one(
        "network", Assignments, "admit", "key not in held and key not in settled", "key not in settled"
    ),
    "a job that is submitted again is begun again": _one(
        "network", work, "submit", "if job.state:", "if False:"
    ),
    "a retry that is asked for again is another one": _one(
        "network", interventions, "retry", "if command.command_id in job.commands:", "if False:"
    ),
    # -- doubt about the log
    "a takeover reads nothing": _one(
        "crashes",
        share.Share,
        "_find_live_jobs",
        "await find_live_jobs(self._client, parts, known) if parts else []",
        "[Checkpoint() for _ in parts]",
    ),
    "a checkpoint leaves a job out": _one(
        "crashes", LiveJobs, "unsettled", "[*self._live, *self._absent]", "[*self._live][1:]"
    ),
    # -- limits, timers
    "the slots of a job that is over stay taken": _one(
        "calm", Slots, "forget", "not live.dead and self.free(live.job.id, live.job.slots)", "False"
    ),
    "nobody waits for a retry that is delayed": _one(
        "calm", Timers, "set", "if at is not None:", "if at is not None and not live.job.counts[1]:"
    ),
    # -- views
    "the view's position is saved before its rows": _one(
        "calm",
        SQLiteJobs,
        "save",
        "        write(c, rows, changes.deleted)",
        "    with self._transaction() as c:\n        write(c, rows, changes.deleted)",
    ),
    "two projectors move one view": _one("calm", SQLiteJobs, "save", "if found != after:", "if False:"),
    "a view is where it was folded, not where it was saved": _one(
        "calm", _Pass, "_save", "self._saved, self._folded)", "self._saved, self._folded + 1)"
    ),
}


def _users() -> Iterator[dict[Any, Any]]:
    for name, module in list(sys.modules.items()):
        if name.startswith("jobledger."):
            yield vars(module)
    yield decisions._DECISIONS


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Have the product as this bug makes it, for a while."""
    undo: list[tuple[Any, Any, Any]] = []
    try:
        for owner, attribute, old, new in BUGS[name].places:
            found = vars(owner)[attribute]
            function = found.fget if isinstance(found, property) else found
            mutant = mutated(function, old, new)
            if isinstance(owner, type):
                setattr(
                    owner, attribute, mutant
                )  # a property is one again: its text begins with the decorator
                undo.append((owner, attribute, found))
                continue
            for names in _users():
                for key in [key for key, value in names.items() if value is function]:
                    names[key] = mutant
                    undo.append((names, key, function))
        yield
    finally:
        for home, key, value in reversed(undo):
            if isinstance(home, dict):
                home[key] = value
            else:
                setattr(home, key, value)

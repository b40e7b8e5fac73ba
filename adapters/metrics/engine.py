"""What an engine tells: counts of what it has written, and what its jobs are at right now.

A commit that was acknowledged is put aside and counted within a second, or when somebody asks: nobody waits for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .figures import Histogram, Sample, Samples
from .kinds import KnownTasks
from .queues import survey
from .tally import Contents, Tally

if TYPE_CHECKING:
    from jobledger.core.job import Job

    from ..engine.ledger import Ledger
    from ..engine.live import LiveJob
    from ..protocol import RefusedReport

_SOON = 1.0  # seconds after which what was put aside is counted
_MANY = 500  # commits after which it is counted at once

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WAITS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NUMBERS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
_BYTES = tuple(4.0**power for power in range(4, 13))  # 256 bytes to 16 MiB


class _Written(NamedTuple):
    live: LiveJob
    at: int
    contents: Contents
    size: int
    seconds: float


class EngineMeter:
    """Counts for one process, whichever engines come and go in it. To be used on the event loop."""

    def __init__(self) -> None:
        self._ledgers: list[Ledger] = []
        self._known = KnownTasks()
        self._tally = Tally(self._known)
        self._aside: list[_Written] = []
        self._soon: asyncio.TimerHandle | None = None
        self._exchanges = 0
        self._refused: Counter[str] = Counter({"stale": 0})
        self._failed: Counter[str] = Counter({"conflict": 0, "refused": 0, "unacknowledged": 0})
        self._histograms = {
            "jobledger_exchange_wait_seconds": Histogram(_WAITS),
            "jobledger_commit_seconds": Histogram(_SECONDS),
            "jobledger_commit_bytes": Histogram(_BYTES),
            "jobledger_commit_events": Histogram(_NUMBERS),
            "jobledger_commit_decisions": Histogram(_NUMBERS),
        }

    # -- what the engine says -------------------------------------------------------------------------------------

    def serves(self, ledger: Ledger) -> None:
        """The partition of this ledger is served here."""
        self._ledgers.append(ledger)

    def rests(self, ledger: Ledger) -> None:
        """It is not any more, if it was."""
        self._ledgers = [other for other in self._ledgers if other is not ledger]

    def wrote(self, live: LiveJob, at: int, contents: Contents, size: int, seconds: float) -> None:
        """A commit was acknowledged.

        Units:  `at` is when it was decided, in µs since 1970 UTC; `size` is bytes, `seconds` from append to
                acknowledgement.
        """
        self._aside.append(_Written(live, at, contents, size, seconds))
        if len(self._aside) >= _MANY:
            self._count()
        elif self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_SOON, self._count)

    def failed(self, reason: str) -> None:
        """A commit was not acknowledged."""
        self._failed[reason] += 1

    def exchanged(self, refused: Iterable[RefusedReport]) -> None:
        """A runner's reports were taken, but for these."""
        self._exchanges += 1
        for report in refused:
            self._refused[report.code] += 1

    def waited(self, seconds: float) -> None:
        """An exchange was held open for so long."""
        self._histograms["jobledger_exchange_wait_seconds"].observe(seconds)

    # -- what it is asked -----------------------------------------------------------------------------------------

    async def samples(self) -> Samples:
        """Return all figures as of now."""
        self._count()
        ledgers = self._ledgers
        samples = {"jobledger_engine_serving": [Sample((), float(bool(ledgers)))]}
        samples["jobledger_engine_partitions"] = [Sample((), float(len(ledgers)))]
        if ledgers:
            samples |= await survey([ledger.jobs for ledger in ledgers], self._known)
            # Every runner talks to every partition: to add them up would count each of them many times.
            runners = max(ledger.leases.runners for ledger in ledgers)
            samples["jobledger_runners"] = [Sample((), float(runners))]
            waiting = max(ledger.dispatcher.waiting for ledger in ledgers)
            parked = sum(ledger.parked for ledger in ledgers)
            samples["jobledger_unwritable_jobs"] = [Sample((), float(parked))]
            samples["jobledger_runners_waiting"] = [Sample((), float(waiting))]
        samples |= self._tally.samples()
        samples |= {name: [histogram.sample()] for name, histogram in self._histograms.items()}
        samples["jobledger_exchanges_total"] = [Sample((), float(self._exchanges))]
        samples["jobledger_reports_refused_total"] = _by_reason(self._refused)
        samples["jobledger_commits_failed_total"] = _by_reason(self._failed)
        return samples

    def _count(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        aside, self._aside = self._aside, []
        of = self._histograms
        computed: dict[Job, list[int]] = {}  # of all commits of a job together: they are counted at once
        for live, at, contents, size, seconds in aside:
            computed.setdefault(live.job, []).extend(contents.computed)
            self._tally.count(live.job, contents)
            of["jobledger_commit_seconds"].observe(seconds)
            of["jobledger_commit_bytes"].observe(size)
            of["jobledger_commit_events"].observe(contents.events)
            of["jobledger_commit_decisions"].observe(contents.decisions)
            live.growth.note(len(live.job.graph), at)
        for job, tasks in computed.items():
            self._tally.count_computed(job, tasks)


def _by_reason(counts: Counter[str]) -> list[Sample]:
    return [Sample((reason,), float(number)) for reason, number in counts.items()]

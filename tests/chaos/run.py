"""One run: load and faults side by side, then the end of the faults, and the reckoning."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from chaos.faults import WEIGHTS, Faults
from chaos.load import Load
from chaos.reckoning import Figures, Reckoning
from chaos.shapes import varied, wide
from chaos.site import Embedded, OwnServer
from jobledger import Client, Task
from jobledger.adapters.client.query.viewing import ask_view
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import stored_messages
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.views.protocol import FindJobs, JobPage
from jobledger.projections.jobs import JobFilter, JobRow

_NAMES = Names("default")
#: leases after the end of the faults within which all jobs have to be settled
_LEASES = 2
#: seconds to wait beyond that, so that what is late can be told from what is stuck
_LATE = 120.0


@dataclass(frozen=True)
class Options:
    """What to do. Units: `seconds`, `every` and `lease` are seconds."""

    seconds: float = 600.0
    seed: int = 1
    every: float = 0.2
    tasks: int = 20_000
    outstanding: int = 5_000
    lease: float = 15.0
    engines: int = 2
    runners: int = 4
    partitions: int = 4
    concurrency: int = 8
    relays: bool = True
    embedded: bool = False
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    struck: frozenset[str] = frozenset()  #: kinds of processes that faults strike; all if there are none
    draw: Callable[[Random], tuple[Task, int]] = varied
    step_in: float = 0.2  #: share of jobs that are canceled and gone on with
    to_the_end: bool = False  #: faults end once nearly everything has begun, however long that takes
    in_time: bool = True  #: it is wrong if not all settle in time
    keep: Path | None = None  #: where everything is left


def competing(count: int, **given: Any) -> Options:
    """Return the options of a run in which runners compete for this many claims, and those of them that are suspended come
    back when others have what they held."""
    return Options(
        tasks=count,
        outstanding=50_000,
        weights={"freeze": 3, "kill": 1},
        struck=frozenset({"runner"}),
        draw=wide,
        step_in=0.0,
        seconds=1.0,
        to_the_end=True,
        in_time=False,
        relays=False,
        **given,
    )


@dataclass(frozen=True)
class Outcome:
    """What came of it. `findings` is what is wrong."""

    options: Options
    faults: Counter[tuple[str, str]]
    figures: Figures
    slowest_answer: float
    refused: int  #: submissions for which the log had no room
    settled_after: float  #: seconds from the end of the faults until the last job was settled
    findings: list[str]

    @property
    def limit(self) -> float:
        """How many seconds `settled_after` may be."""
        return _LEASES * self.options.lease


def run(options: Options) -> Outcome:
    """Have it happen. Errors: AssertionError where not even the end can be brought about."""
    with ExitStack() as ends:
        folder = options.keep or Path(ends.enter_context(tempfile.TemporaryDirectory()))
        site: OwnServer | Embedded
        if options.embedded:
            site = Embedded(folder, ends, runners=options.runners, concurrency=options.concurrency)
        else:
            site = OwnServer(
                folder,
                ends,
                engines=options.engines,
                runners=options.runners,
                partitions=options.partitions,
                lease=options.lease,
                concurrency=options.concurrency,
                relays=options.relays,
            )
        faults = Faults(
            site.victims,
            site.networks,
            site.disk,
            options.seed,
            every=options.every,
            lease=options.lease,
            weights=options.weights,
            struck=options.struck,
        )
        load = Load(
            site.client,
            site.notes,
            options.seed,
            options.draw,
            tasks=options.tasks,
            seconds=options.seconds * 0.9,
            outstanding=options.outstanding,
            step_in=options.step_in,
        )
        load.start()
        until = time.monotonic() + options.seconds
        faults.run(lambda: load.over if options.to_the_end else time.monotonic() >= until)
        load.stop()
        faults.end()
        ended = time.time()
        findings = _settle(load, faults, site, ended + _LEASES * options.lease)
        reckoning = Reckoning(partitions=site.partitions)
        position = shared_portal().run(_read(site.client, reckoning))
        rows = shared_portal().run(_view(site.client, position))
        findings += reckoning.finish(site.notes, load.expected, rows)
        figures = reckoning.figures
        after = figures.settled_at / 1e6 - ended
        if options.in_time and after > _LEASES * options.lease:
            findings.append(f"all settle in time: the last job settled {after:.1f} s after the last fault")
        return Outcome(options, faults.tally, figures, load.slowest, load.refused, after, findings)


def _settle(load: Load, faults: Faults, site: OwnServer | Embedded, until: float) -> list[str]:
    """Wait until everybody is content, and return what is wrong with that."""
    while time.time() < until + _LATE:
        if load.join(0.1):
            break
        faults.look()
    findings = [*load.errors, *faults.deserters]
    if not load.join(0.0):
        findings.append(f"every job settles: somebody still waits {_LATE:g} s after all should be over")
    return findings


async def _read(client: Client, reckoning: Reckoning) -> int:
    """Have the whole log reckoned; return its last position."""
    position = 0
    link = await client._session.link()
    async for position, subject, payload in stored_messages(link.nc, _NAMES.log_stream, _NAMES.log_subjects):
        reckoning.read(subject.rpartition(".")[2], position, payload)
    return position


async def _view(client: Client, position: int) -> list[JobRow]:
    """Return all rows of the view, once it tells of the log up to this position."""
    rows: list[JobRow] = []
    while True:
        behind = rows[-1].place if rows else None

        def question(wait: float, behind: int | None = behind) -> FindJobs:
            return FindJobs(JobFilter(), behind=behind, after=position, wait=wait)

        page: JobPage = await ask_view(client._session, question, JobPage)
        rows += page.rows
        if not page.more:
            return rows

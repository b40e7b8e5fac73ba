"""One job, folded: what the engine knows of it, and what only people ask about.

The state is `core.job.Job`, changed by `core.job.evolve` alone, so that a reader can never come to another state than
the engine. Added here (`noting`) is what deciding does not need: when and where attempts ran, how they ended, what they
display. It is kept in arrays by task number, and sparsely where it is rare: an attempt that was computed costs 36 bytes,
and only attempts that ended otherwise are objects.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from copy import copy
from typing import Self

from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.errors import DamagedLog, JobLedgerError
from jobledger.core.graph import HELD
from jobledger.core.job import Job, evolve
from jobledger.core.lifecycle import HALTED, JobState, LifecycleError

from .attempts import Ended, Source
from .dismissals import Dismissals
from .noting import NOTES
from .sealed import NOTHING_SEALED, Opener, of_input, without_key
from .times import Interval, TimedGraph

_DELETED = JobState.DELETED.value


class JobFold:
    """One job as far as its commits were applied. Not locked: whoever shares one between threads takes turns.

    Shape:  `clock` says what time it is, in µs since 1970 UTC, for what is live: without one, time stands still at the
            last commit. `fetch` returns the bytes of an object of the object store, for large inputs and results.
            `opener` reads what is encrypted, if the job is sealed.
    """

    __slots__ = (
        "_clock",
        "_fetch",
        "_halts",
        "_opener",
        "_settled",
        "_updated",
        "asked",
        "canceled",
        "claimed",
        "counting",
        "deleted",
        "dismissals",
        "displays",
        "ended",
        "graph",
        "job",
        "missed",
        "outs",
        "position",
        "progressed",
        "reopened",
        "requests",
        "reused",
        "runner_index",
        "runners",
        "runs",
        "sources",
        "started",
        "stopped",
        "taken_over",
        "version",
    )

    def __init__(
        self,
        job_id: str,
        *,
        clock: Callable[[], int] | None = None,
        fetch: Callable[[str], bytes] | None = None,
        opener: Opener | None = None,
    ) -> None:
        self.job = Job(job_id)  #: the core's state; read it, never change it
        self.job.graph = self.graph = TimedGraph()
        self.position = 0  #: of the last commit applied
        self.version = 0  #: of the job
        self._clock = clock
        self._fetch = fetch
        self._opener = opener or without_key(job_id)
        self._updated = 0
        self._settled = 0
        self._halts: list[int] = []  # when the job was halted, when it went on, when it was halted again, …
        # what users did
        self.canceled: e.JobCanceled | None = None  #: the last cancel of the job, until it is retried
        self.missed: e.DeadlineExceeded | None = None  #: the same of its deadline
        self.deleted: e.JobDeleted | None = None
        self.reopened = False  #: it was retried, and nothing has run since
        self.requests: dict[int, e.CancelRequested] = {}  #: the last cancel of each task
        self.asked: dict[int, e.CancelRequested] = {}  #: what running tasks were asked to stop by
        # by task, of its current or last attempt; µs, 0 where not known
        self.claimed = array("q")
        self.started = array("q")
        self.stopped = array("q")
        self.runs = array("I")  #: index into `runners`
        self.runners: list[str] = [""]
        self.runner_index: dict[str, int] = {"": 0}
        # by task, where there is something to tell
        self.displays: dict[int, str] = {}
        self.progressed: dict[int, list[e.Progress]] = {}  #: what each task counted in its last execution
        self.counting: set[int] = set()  #: of those, the ones whose execution goes on
        self.ended: dict[int, list[Ended]] = {}  #: attempts that ended without being computed
        self.reused: dict[int, Source] = {}  #: whose result it took instead of running
        self.taken_over: list[e.TasksTakenOver] = []  #: what a fork takes over, until it is submitted
        self.sources = array(
            "i"
        )  #: by task: its number in the job it was taken over from; -1, or none, if it was not
        self.dismissals = Dismissals()
        self.outs: dict[int, list[Interval]] = {}  #: from when to when it was failed, canceled or abandoned

    def apply(self, position: int, version: int, commit: Commit) -> bool:
        """Apply the job's next commit. Return False if it had been applied already.

        Errors: DamagedLog, naming job and position, if the commit cannot follow what came before; ValueError if
                versions are missing in between. The view is then to be thrown away.
        """
        if version <= self.version:
            return False
        if version != self.version + 1:
            raise ValueError(f"job {self.job.id}: version {version} cannot follow version {self.version}")
        job, at = self.job, commit.at
        self.graph.at = at
        events = commit.events
        if job.options.sealed:
            events = [self._opener.texts(event) for event in events]
        try:
            for event in events:
                evolve(job, event, at)
                note = NOTES.get(event.__class__)
                if note is not None:
                    note(self, event, at)
        except (LifecycleError, ValueError) as error:
            raise DamagedLog(job.id, position, f"{type(event).__name__} cannot follow: {error}") from error
        self.grow()
        self.position, self.version, self._updated = position, version, at
        if not job.settled:
            self._settled = 0
        elif not self._settled:
            self._settled = at
        if (job.state in HALTED) != len(self._halts) % 2:
            self._halts.append(at)
        return True

    def grow(self) -> None:
        """Make room for tasks that have come into being."""
        missing = len(self.job.graph) - len(self.claimed)
        if missing:
            for times in (self.claimed, self.started, self.stopped):
                times.frombytes(bytes(8 * missing))
            self.runs += array("I", (0,)) * missing

    def runner_number(self, runner: str) -> int:
        """Return where a runner is in `runners`."""
        number = self.runner_index.setdefault(runner, len(self.runners))
        if number == len(self.runners):
            self.runners.append(runner)
        return number

    # -- time ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time for what is live, in µs: not before the last commit, nor after a deletion."""
        if self._clock is None or self.job.state == _DELETED:
            return self._updated
        return max(self._clock(), self._updated)

    @property
    def halts(self) -> list[Interval]:
        """From when to when the job was halted, so that nothing queued could run."""
        times = self._halts + [self.now] * (len(self._halts) % 2)
        return list(zip(times[::2], times[1::2], strict=True))

    def at(self, now: int) -> Self:
        """Return this view as it reads at that time, in µs: the same facts, another clock."""
        other = copy(self)
        other._clock = lambda: now
        return other

    # -- one task, by number ------------------------------------------------------------------------------------

    def taken(self, number: int) -> bool:
        """Whether a task came to its end in the job this one was forked from."""
        return number < len(self.sources) and self.sources[number] >= 0

    def held(self, number: int) -> int:
        """Return the time (µs) for which a task waits that could run but for that; 0 if for none."""
        if self.graph.ready[number] != HELD:
            return 0
        until = self.graph.held_until(number)
        return until if until > self.now else 0

    def backs_off(self, number: int) -> bool:
        """Whether a task waits for the end of a delay after a failed attempt."""
        return self.held(number) > self.job.spec_of(number).asked.not_before

    def open_with(self, opener: Opener) -> None:
        """From now on, read what is encrypted with this."""
        self._opener = opener

    @property
    def opener(self) -> Opener:
        """What reads inputs and results as the log and the object store have them."""
        return self._opener if self.job.options.sealed else NOTHING_SEALED

    def input_of(self, number: int) -> bytes:
        """Return what the log has as the input of a task: itself, or the name of the object that it is.

        Errors: as `Opener.opened`.
        """
        return self.opener.opened(self.job.inputs[number], of_input(*self.graph.place(number)))

    def fetched(self, name: str) -> bytes:
        """Return the bytes of an object. Errors: JobLedgerError where this view has no way to it, or no key."""
        self.opener.check()
        if self._fetch is None:
            raise JobLedgerError(
                f"{name!r} lies in the object store, to which this view has no way: read it there"
            )
        return self._fetch(name)

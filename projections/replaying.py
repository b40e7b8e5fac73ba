"""A job's history as something to step through: forwards, backwards, to any moment, with the state at each step.

Forwards is one more commit applied. Backwards is a copy of the job made on the way (`checkpoints`), and what is left
from there applied again: a few of them, evenly spaced, and one shortly before wherever it last went back to. So a step
costs about the same anywhere in a history of a million events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.lifecycle import JobState, TaskState

from .checkpoints import copied
from .history import History, Placed
from .job_view import JobView
from .moments import Moment
from .sealed import NOTHING_SEALED, Opener
from .steps import ReplayStep, changes_between, doers
from .utc import stamp, utc

State: TypeAlias = TaskState | JobState

_COPIES = 8  # checkpoints in all, at most
_COPIED = 2_000_000  # events, about, whose outcome they hold together
_SPACING = 20_000  # events between two of them, at least
_NEAR = 2_000  # events before a step that was gone back to, where another one is made


class Replay:
    """The commits of one job, and the job as of one of them. For one thread at a time.

    It begins before the first commit. Iterating over it steps through all commits and leaves it at the last.
    Shape:  `commits` from the first; `fetch` and `opener` as those of `JobView`.
    Errors of every move: DamagedLog, if a commit cannot follow what came before.

    >>> replay = job.replay()
    >>> len(replay), replay.version, replay.current
    (3, 0, None)
    >>> [step.version for step in replay]
    [1, 2, 3]
    """

    def __init__(
        self,
        job_id: str,
        commits: Sequence[Placed],
        *,
        fetch: Callable[[str], bytes] | None = None,
        opener: Opener = NOTHING_SEALED,
    ) -> None:
        self.view = JobView(
            job_id, fetch=fetch, opener=opener
        )  #: the job as it stands here; time stands still in it
        self._opener = opener
        self._blank = copied(self.view)
        self._commits = commits
        self._ends: list[int] = []  # how many events there are up to each commit, itself included
        total = 0
        for placed in commits:
            total += len(placed.commit.events)
            self._ends.append(total)
        copies = max(1, min(_COPIES, _COPIED // (total + 1)))
        spacing = max(_SPACING, total // (copies + 1))
        marks = range(spacing, total, spacing)
        self._checkpoints: dict[int, JobView | None] = dict.fromkeys(map(self._version_at, marks))
        self._near: JobView | None = None
        self._current: ReplayStep | None = None
        self._names: list[str] = []  # of all tasks seen so far, in any direction

    # -- where it stands ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many commits there are."""
        return len(self._commits)

    @property
    def version(self) -> int:
        """The number of the commit at which it stands; 0 before the first.

        >>> replay = job.replay()
        >>> replay.step() is replay.current, replay.version
        (True, 1)
        """
        return self.view.version

    @property
    def current(self) -> ReplayStep | None:
        """The commit at which it stands; None before the first.

        >>> replay = job.replay()
        >>> replay.seek(version=2) == replay.current
        True
        """
        return self._current

    # -- moving ---------------------------------------------------------------------------------------------------

    def step(self) -> ReplayStep | None:
        """Go on to the next commit and return it; None at the end, where it stays at the last one.

        >>> replay = job.replay()
        >>> while step := replay.step():
        ...     print(step.new.name)
        SUBMITTED
        RUNNING
        COMPLETED
        """
        return self._go(self.version + 1) if self.version < len(self) else None

    def back(self) -> ReplayStep | None:
        """Go back to the commit before and return it; None at the first one, where it stays.

        >>> replay = job.replay()
        >>> replay.seek(version=3).new.name, replay.back().new.name, replay.back().new.name, replay.back()
        ('COMPLETED', 'RUNNING', 'SUBMITTED', None)
        """
        return self._go(self.version - 1) if self.version > 1 else None

    def seek(self, at: int | datetime | None = None, *, version: int | None = None) -> ReplayStep:
        """Go to a moment and return the commit that was the last one by then.

        Shape:  `at` is a position of the log or an aware time, as for `job.at`; or else `version` is the number of a
                commit, -1 the last one, -2 the one before that.
        Errors: ArgumentError for a version that is not there, and unless one of both is given; NotFoundError for a
                moment before the first commit.

        >>> replay = job.replay()
        >>> replay.seek(version=-1).version, replay.seek(job.submitted_at).version
        (3, 1)
        >>> replay.seek(job.history[1].position).version
        2
        """
        if (at is None) == (version is None):
            raise ArgumentError("seek needs one of both: a moment (position or time), or version=")
        if at is not None:
            return self._go(self._version_by(Moment.of(at)))
        assert version is not None
        if isinstance(version, bool) or not isinstance(version, int):
            raise ArgumentError(f"version={version!r:.100} is no number of a commit: pass an int")
        wanted = version + len(self) + 1 if version < 0 else version
        if not 1 <= wanted <= len(self):
            raise ArgumentError(f"version={version} is not there: the history has versions 1 to {len(self)}")
        return self._go(wanted)

    def search(
        self, task: int | None = None, state: State | Iterable[State] | None = None
    ) -> ReplayStep | None:
        """Go to the next commit that touches a task, and in which the job or a task comes to a state; return it.

        None if none follows: it stays where it was then. Where both are given, the commit does both.
        Shape:  `task` is the number of one; `state` a `TaskState` or a `JobState`, or several of which any will do.
        Errors: ArgumentError if neither is given.

        >>> replay = job.replay()
        >>> replay.search(state=TaskState.COMPUTED).version, replay.search(task=0)
        (3, None)
        """
        if task is None and state is None:
            raise ArgumentError("search for something: task=NUMBER, state=TaskState.FAILED, or both")
        begun = self.version
        states = (state,) if isinstance(state, TaskState | JobState) else tuple(state or ())
        while step := self.step():
            if (task is None or step.touches(task)) and (not states or any(map(step.reaches, states))):
                return step
        if begun:
            self._go(begun)
        else:
            self._rewind(0)
        return None

    def versions(self, since: int | datetime | None = None, until: int | datetime | None = None) -> range:
        """Return the numbers of the commits between two moments, both included; all of them without any.

        Shape:  positions of the log, or aware times.

        >>> replay = job.replay()
        >>> replay.versions(), replay.versions(until=job.submitted_at), replay.versions(job.history[-1].position)
        (range(1, 4), range(1, 2), range(3, 4))
        """
        first = 1 if since is None else 1 + len(Moment.of(since).before.prefix(self._commits))
        last = len(self) if until is None else len(Moment.of(until).prefix(self._commits))
        return range(first, last + 1)

    def __iter__(self) -> Iterator[ReplayStep]:
        """Step through all commits, from the first."""
        for version in range(1, len(self) + 1):
            yield self._go(version)

    # -- how --------------------------------------------------------------------------------------------------------

    def _version_by(self, moment: Moment) -> int:
        covered = len(moment.prefix(self._commits))
        if not covered:
            raise NotFoundError(before_its_time(self.view.job.id, moment, self._commits[0]))
        return covered

    def _go(self, version: int) -> ReplayStep:
        """Stand at this version, which is there."""
        if version == self.version and self._current is not None:
            return self._current
        self._rewind(version - 1)
        view, job = self.view, self.view.job
        states, old = bytes(job.graph.status), view.state
        placed = self._commits[version - 1]
        commit = placed.commit
        users, runners = doers(commit.events, lambda task: self._runner(view, task))
        self._apply()
        changes = changes_between(states, job.graph.status, self._name_of)
        events = History([placed], self._name_of, self._opener)
        self._current = ReplayStep(
            version,
            placed.position,
            utc(commit.at),
            commit.writer,
            users,
            runners,
            old,
            view.state,
            changes,
            events,
        )
        return self._current

    def _rewind(self, version: int) -> None:
        """Have the view at this version, from the nearest copy where it is beyond, or that copy is nearer."""
        self._current = None
        known = [one for one in (*self._checkpoints.values(), self._near) if one is not None]
        start = max([one for one in known if one.version <= version], key=_version, default=self._blank)
        if self.version > version:
            self.view = copied(start)
            near = self._version_at(self._events(version) - _NEAR)
            if near > start.version:
                self._forward(near)
                self._near = copied(self.view)
        elif start.version > self.version:
            self.view = copied(start)
        self._forward(version)

    def _forward(self, version: int) -> None:
        while self.version < version:
            self._apply()

    def _apply(self) -> None:
        placed, view = self._commits[self.version], self.view
        view.apply(placed.position, placed.version, placed.commit)
        graph, names, specs = view.graph, self._names, view.job.specs
        if len(names) < len(graph):
            names += [specs[index].name for index in graph.spec[len(names) :]]
        if view.version in self._checkpoints and self._checkpoints[view.version] is None:
            self._checkpoints[view.version] = copied(view)

    def _events(self, version: int) -> int:
        return self._ends[version - 1] if version else 0

    def _version_at(self, events: int) -> int:
        """Return the last version up to which there are no more events than that."""
        return bisect_right(self._ends, events)

    def _name_of(self, task: int) -> str:
        return self._names[task] if 0 <= task < len(self._names) else ""

    @staticmethod
    def _runner(view: JobView, task: Any) -> str:
        return view.runners[view.runs[task]] if 0 <= task < len(view.runs) else ""


def _version(view: JobView) -> int:
    return view.version


def before_its_time(job_id: str, moment: Moment, first: Placed) -> str:
    """Say that a job was not there at a moment, and since when it is."""
    since = f"position {first.position}, {stamp(utc(first.commit.at))}"
    return f"job {job_id} did not exist at {moment}: it begins at {since}"

"""Where a job stands, in short: to be saved by one version of the code, and compared by another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from jobledger.core.lifecycle import TaskState

from ..job_view import JobView

_LETTERS = {
    TaskState.QUEUED: "Q",
    TaskState.RUNNING: "R",
    TaskState.COMPUTED: "C",
    TaskState.FAILED: "F",
    TaskState.SKIPPED: "S",
    TaskState.FAILED_OPTIONAL: "O",
    TaskState.CANCELED: "X",
    TaskState.ABANDONED: "A",
}
_OF_STATES = bytes(
    ord(_LETTERS[TaskState(value)]) if 0 < value <= len(TaskState) else ord("?") for value in range(256)
)
_NAMES = {letter: state.name for state, letter in _LETTERS.items()}
_NAMED = 3  # tasks that differ and are named


class JobStates(msgspec.Struct, frozen=True):
    """Where a job stood after one of its commits: its state, that of each task, and a digest of all else.

    >>> states = client.jobs().what_if(job).states
    >>> states.version, states.state, states.settled, states.tasks, sorted(states.digests)
    (3, 'COMPLETED', True, 'C', ['attempts', 'displays', 'errors', 'graph', 'inputs', 'policies', 'progress', 'ready',
    'results', 'times'])
    """

    version: int
    state: str
    settled: bool
    tasks: (
        str  #: a letter for the state of each task: O is FAILED_OPTIONAL, X is CANCELED, else the first one
    )
    digests: dict[str, str]  #: by what they are of


def states_of(view: JobView) -> JobStates:
    """Return where a job stands."""
    state = view.state
    return JobStates(
        view.version,
        state.name if state else "",
        view.settled,
        view.job.graph.status.translate(_OF_STATES).decode(),
        {what: _digest(of(view)) for what, of in _ASPECTS.items() if not (view.sealed and what in _TEXTS)},
    )


def compare_states(saved: JobStates, now: JobStates) -> Iterator[tuple[str, int | None, int]]:
    """Yield how the states of the same version differ: in words, the first task it is about, and how many it is about."""
    if saved.state != now.state:
        yield f"the job is {now.state or 'not there'}, and was saved as {saved.state or 'not there'}", None, 1
    if saved.settled != now.settled:
        words = {True: "settled", False: "not settled"}
        yield f"the job is {words[now.settled]}, and was saved as {words[saved.settled]}", None, 1
    if len(saved.tasks) != len(now.tasks):
        yield f"it has {len(now.tasks):,} tasks, and was saved with {len(saved.tasks):,}", None, 1
    different = [
        number for number, (a, b) in enumerate(zip(saved.tasks, now.tasks, strict=False)) if a != b
    ]  # of the same length, mostly
    if different:
        shown = [
            f"task {number} is {_name(now.tasks[number])}, and was saved as {_name(saved.tasks[number])}"
            for number in different[:_NAMED]
        ]
        more = f"; {len(different) - _NAMED:,} more tasks differ" if len(different) > _NAMED else ""
        yield "; ".join(shown) + more, different[0], len(different)
    for what in sorted(saved.digests.keys() & now.digests.keys()):
        if saved.digests[what] != now.digests[what]:
            yield f"its {_WORDS.get(what, what)} are not those that were saved", None, 1


def _name(letter: str) -> str:
    return _NAMES.get(letter, letter)


def _digest(data: Any) -> str:
    return hashlib.sha256(_encode(data)).hexdigest()[:32]


_encode = msgspec.msgpack.Encoder(order="deterministic").encode

#: plain data: what is compared must not depend on how the code of today keeps it
_ASPECTS: dict[str, Callable[[JobView], Any]] = {
    "graph": lambda view: [
        view.job.graph.parent.tolist(),
        [list(members) for members in view.job.graph.members],
        view.job.graph.dependencies.tolist(),
    ],
    "policies": lambda view: [
        [list(msgspec.to_builtins(spec)) for spec in view.job.specs],
        view.job.graph.spec.tolist(),
    ],
    "inputs": lambda view: view.job.inputs,
    "ready": lambda view: bytes(view.job.graph.ready),
    "attempts": lambda view: [view.job.attempt.tolist(), _told(view.job.failures), _told(view.job.expiries)],
    "results": lambda view: _told(view.job.results),
    "errors": lambda view: {
        str(task): [[one.number, one.outcome.name, one.error, one.reason] for one in ended]
        for task, ended in view.ended.items()
    },
    "times": lambda view: [view.claimed.tolist(), view.started.tolist(), view.stopped.tolist()],
    "displays": lambda view: _told(view.displays),
    "progress": lambda view: _told(view.progressed),
}
#: what reads otherwise to whoever has no key of a sealed job
_TEXTS = frozenset({"errors", "displays", "progress"})
_WORDS = {
    "graph": "parents and dependencies",
    "ready": "tasks that may be claimed",
    "errors": "errors and retries",
}


def _told(found: dict[int, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in found.items()}

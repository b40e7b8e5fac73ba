"""What stepping through a long history costs: `python benchmarks/replay.py --tasks 100000 --commits 1000`.

The history is of one job: a fan-out that is claimed and computed in equal parts. Everything is in memory, no server is needed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns
from jobledger.projections.job_view import JobView
from jobledger.projections.replaying import Replay

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
CHUNK = 20_000  # tasks of one message
_T0 = 1_700_000_000_000_000


class Placed(msgspec.Struct):
    """A commit where a log would have it."""

    position: int
    version: int
    commit: Commit


def history(tasks: int, commits: int) -> list[Placed]:
    """Return a history of about so many commits."""
    spec, root = TaskSpec("Leaf", 1, 0, "default"), TaskSpec("Root", 1, 0, "default")
    (chunk,) = columns([NewTask(spec, b'{"n":1}', frozenset())] * min(tasks, CHUNK), max_bytes=2**30)
    chunks = [msgspec.structs.replace(chunk, start=start) for start in range(0, tasks, CHUNK)]
    decisions: list[list[Any]] = [
        [e.JobSubmitted("fan-out", _single(NewTask(root, b"", frozenset())), "me@here")],
        [e.TasksClaimed("runner", 1, [0, 1])],
        *([e.SubtasksStaged(0, 1, part)] for part in chunks[:-1]),
        [e.TaskComputed(0, 1, 1, 2, chunks[-1])],
    ]
    count, size = 1 + len(chunk) * len(chunks), max(1, tasks // commits)
    before = range(0)
    for start in range(1, count, size):
        part = range(start, min(start + size, count))
        done = [e.TaskComputed(task, 1, _T0, _T0 + 9, result=e.Value(b"7")) for task in before]
        decisions.append([*done, e.TasksClaimed("runner", 1, [part.start, part.stop])])
        before = part
    decisions.append([*(e.TaskComputed(task, 1, _T0, _T0 + 9) for task in before), e.JobCompleted()])
    return [
        Placed(version, version, Commit(bytes(16), bytes(32), _T0 + version, "engine", False, events))
        for version, events in enumerate(decisions, 1)
    ]


def _single(task: NewTask) -> Submission:
    (only,) = columns([task])
    return only


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--commits", type=int, default=1_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    commits = history(options.tasks, options.commits)
    events = sum(len(one.commit.events) for one in commits)
    print(f"{len(commits):,} commits, {events:,} events, {options.tasks:,} tasks")
    figures: list[dict[str, Any]] = []

    def told(what: str, times: list[float]) -> None:
        times.sort()
        figures.append({"what": what, "median": times[len(times) // 2], "worst": times[-1]})
        print(f"{what:<28} median {times[len(times) // 2] * 1e3:8.2f} ms   worst {times[-1] * 1e3:8.2f} ms")

    told("fold of everything", [_timed(lambda: _folded(commits))])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    replay = Replay(JOB, commits)
    told("a step forwards", [_timed(replay.step) for _ in commits])
    told("a step backwards", [_timed(replay.back) for _ in commits[:200]])
    chance = random.Random(1)
    versions = [chance.randint(1, len(commits)) for _ in range(50)]
    told("to any commit", [_timed(lambda one=one: replay.seek(version=one)) for one in versions])  # type: ignore[misc]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(f"{'memory for that':<28} {grown:8.0f} MiB")
    if options.json is not None:
        options.json.write_text(json.dumps({"figures": figures, "memory": grown}))


def _folded(commits: list[Placed]) -> JobView:
    view = JobView(JOB)
    for one in commits:
        view.apply(one.position, one.version, one.commit)
    return view


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

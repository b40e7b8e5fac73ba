"""What was really run, by the tasks' own record, and whether the log agrees with it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from jobledger import Job
from jobledger.core import events as e
from jobledger.core import ranges


class Begun(NamedTuple):
    """One execution of a task, as it noted it itself."""

    task: str  #: <job id>/<number>
    attempt: int
    at: int  #: µs since 1970
    process: int


class Record:
    """The file in which tasks note that they begin."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begun(self) -> list[Begun]:
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        fields = [line.split() for line in lines if line.endswith("\n")]
        return [Begun(task, int(attempt), int(at), int(pid)) for task, attempt, at, pid in fields]

    def __len__(self) -> int:
        return self.path.read_bytes().count(b"\n") if self.path.exists() else 0

    def processes(self) -> set[int]:
        return {begun.process for begun in self.begun()}

    def check(self, *jobs: Job) -> None:
        """Hold the log of settled jobs against the record.

        What must be true whatever was killed: every attempt in the log ends in one way, no task is computed twice,
        nothing ran without having been claimed or twice under one claim, and none ran after it was computed.
        """
        begun = self.begun()
        for job in jobs:
            _check(job, [one for one in begun if one.task.startswith(f"{job.id}/")])


def _check(job: Job, begun: list[Begun]) -> None:
    claimed: set[tuple[int, int]] = set()
    ended: Counter[tuple[int, int]] = Counter()
    computed: dict[int, e.TaskComputed] = {}
    for entry in job.history:
        event = entry.event
        match event:
            case e.TasksClaimed():
                new = {(task, event.attempt) for task in ranges.numbers(event.tasks)}
                assert claimed.isdisjoint(new), f"claimed twice: {entry}"
                claimed |= new
            case e.TaskComputed():
                assert event.task not in computed, f"computed twice: {entry}"
                computed[event.task] = event
                ended[event.task, event.attempt] += 1
            case (
                e.AttemptFailed()
                | e.TaskFailed()
                | e.OptionalTaskFailed()
                | e.TaskReleased()
                | e.LeaseExpired()
            ):
                ended[event.task, event.attempt] += 1
    assert set(ended.values()) <= {1}, "an attempt has two outcomes"
    assert ended.keys() == claimed, "an attempt has no outcome, or was never claimed"

    ran = Counter((int(one.task.rpartition("/")[2]), one.attempt) for one in begun)
    assert set(ran.values()) <= {1}, "an attempt was run twice"
    assert ran.keys() <= claimed, "something ran that nobody had claimed"
    for event in computed.values():
        assert (event.task, event.attempt) in ran, f"computed without having run: {event}"
    for one in begun:
        last = computed.get(int(one.task.rpartition("/")[2]))
        if last is not None:
            assert one.attempt <= last.attempt, f"ran again after it was computed: {one}"
            assert one.at <= last.stopped, f"ran after it was computed: {one}"

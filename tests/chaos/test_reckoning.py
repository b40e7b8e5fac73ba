"""The reckoning finds what must not be: each wrong is put into a log and notes that are right without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chaos.notes import ACCEPTED, ACKNOWLEDGED, BEGUN, HANDED, Notes
from chaos.reckoning import Expected, Reckoning
from jobledger.adapters.nats.log import encode_message
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, digest, encode_commit
from jobledger.core.errors import DamagedLog
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns
from jobledger.projections.jobs import JobRow
from jobledger.projections.jobs.row_fold import RowFold, Step

JOB = "01890000-0000-7000-8000-000000000001"


def _tasks(count: int) -> Submission:
    (tasks,) = columns([NewTask(TaskSpec("Step", 1, 0, "default", 1), b"1", frozenset())] * count)
    return tasks


@dataclass
class History:
    """What happened to one job of two tasks, and what everybody noted of it."""

    #: the events of each commit, and whether the job is settled then
    commits: list[tuple[list[e.Event], bool]] = field(
        default_factory=lambda: [
            ([e.JobSubmitted("a job", _tasks(2))], False),
            ([e.TasksClaimed("r1", 1, [0, 2])], False),
            ([e.TaskComputed(0, 1, 1, 2)], False),
            ([e.LeaseExpired(1, 1, "r1")], False),
            ([e.JobCanceled("c1")], True),
            ([e.JobRetried("c2", [], 1)], False),
            ([e.TasksClaimed("r2", 2, [1, 2])], False),
            ([e.AttemptFailed(1, 2, 3, 4, e.Error("ValueError", "it broke"))], False),
            ([e.TasksClaimed("r2", 3, [1, 2])], False),
            ([e.TaskComputed(1, 3, 5, 6), e.JobCompleted()], True),
        ]
    )
    acknowledged: list[tuple[str, str, int]] = field(
        default_factory=lambda: [("submitted", JOB, 1), ("canceled", JOB, 1), ("retried", JOB, 1)]
    )
    handed: list[tuple[str, int, str]] = field(
        default_factory=lambda: [
            (f"{JOB}/0", 1, "process-1"),
            (f"{JOB}/1", 1, "process-1"),
            (f"{JOB}/1", 2, "process-2"),
            (f"{JOB}/1", 3, "process-2"),
        ]
    )
    accepted: list[tuple[str, int, str]] = field(
        default_factory=lambda: [
            (f"{JOB}/0", 1, "ReportComputed"),
            (f"{JOB}/1", 2, "ReportFailed"),
            (f"{JOB}/1", 3, "ReportComputed"),
        ]
    )
    begun: list[tuple[str, int, int]] = field(
        default_factory=lambda: [(f"{JOB}/0", 1, 10), (f"{JOB}/1", 2, 20), (f"{JOB}/1", 3, 20)]
    )
    lost: set[int] = field(default_factory=set)  #: commits that were written and are not there
    expected: Expected | None = field(default_factory=lambda: Expected(2))
    view: Callable[[JobRow], list[JobRow]] = lambda row: [row]

    def findings(self, folder: Path) -> list[str]:
        """Return what the reckoning finds."""
        notes = Notes(folder)
        for kind, lines in (
            (ACKNOWLEDGED, self.acknowledged),
            (HANDED, self.handed),
            (ACCEPTED, self.accepted),
            (BEGUN, self.begun),
        ):
            notes.write(kind, lines)
        reckoning, row, previous, position = Reckoning(), RowFold(JOB), NO_PREVIOUS, 0
        for version, (events, settled) in enumerate(self.commits, 1):
            commit = Commit(version.to_bytes(16, "big"), previous, version, "engine", settled, events)
            payload = encode_message(version, commit)
            previous = digest(payload)
            if version not in self.lost:
                position += 1
                reckoning.read(JOB, position, payload)
                with contextlib.suppress(DamagedLog):
                    row.apply(Step(position, version, encode_commit(commit)))
        view = self.view(row.row()) if row.version else []
        return reckoning.finish(notes, {JOB: self.expected} if self.expected else {}, view)


def _double(history: History) -> None:
    history.commits[-1][0].insert(1, e.TaskComputed(1, 3, 5, 6))


def _claim_again(history: History) -> None:
    history.commits.insert(2, ([e.TasksClaimed("r2", 1, [0, 1])], False))


def _settle_never(history: History) -> None:
    del history.commits[-1]


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        pytest.param(lambda h: h.lost.add(3), "versions have no gap", id="a commit is dropped"),
        pytest.param(lambda h: h.lost.update(range(1, 11)), "acknowledged is kept", id="the job is dropped"),
        pytest.param(lambda h: h.lost.add(10), "acknowledged is kept", id="the last commit is dropped"),
        pytest.param(_double, "attempt is the fence", id="an outcome is there twice"),
        pytest.param(_claim_again, "an attempt has one holder", id="a claim is given to two"),
        pytest.param(_settle_never, "every claim ends", id="a claim never ends"),
        pytest.param(
            lambda h: h.handed.append((f"{JOB}/1", 3, "process-1")),
            "an attempt has one holder",
            id="an attempt is handed to two",
        ),
        pytest.param(
            lambda h: h.handed.append((f"{JOB}/1", 4, "process-1")),
            "handed out is claimed",
            id="what is handed out was not claimed",
        ),
        pytest.param(
            lambda h: h.begun.append((f"{JOB}/1", 3, 30)),
            "an attempt has one holder",
            id="an attempt is run twice",
        ),
        pytest.param(lambda h: h.begun.pop(0), "computed was run", id="what is computed was not run"),
        pytest.param(
            lambda h: h.accepted.append((f"{JOB}/1", 1, "ReportComputed")),
            "acknowledged is kept",
            id="a report was accepted that is not there",
        ),
        pytest.param(
            lambda h: h.acknowledged.append(("retried", JOB, 1)),
            "acknowledged is kept",
            id="a retry was acknowledged that is not there",
        ),
        pytest.param(
            lambda h: h.acknowledged.pop(1),
            "acknowledged is kept",
            id="a cancel took effect that was acknowledged as none",
        ),
        pytest.param(lambda h: setattr(h, "expected", Expected(3)), "jobs end well", id="a task is missing"),
        pytest.param(
            lambda h: setattr(h, "expected", None), "what is refused is not there", id="a job that nobody has"
        ),
        pytest.param(
            lambda h: setattr(h, "view", lambda row: []),
            "views equal a fresh fold",
            id="the view lacks a job",
        ),
        pytest.param(
            lambda h: setattr(h, "view", lambda row: [row.__class__(**{**_fields(row), "percent": 1.0})]),
            "views equal a fresh fold",
            id="the view is behind",
        ),
    ],
)
def test_what_is_wrong_is_found(wrong: Callable[[History], object], finding: str, tmp_path: Path) -> None:
    history = History()
    wrong(history)
    found = history.findings(tmp_path)
    assert any(one.startswith(finding) for one in found), found


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    assert History().findings(tmp_path) == []


def _fields(row: JobRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__struct_fields__}

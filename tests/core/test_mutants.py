"""A test of the tests: the state machine finds each of these seeded bugs.

A mutant is a function of the core with one piece of its text replaced. When a function is rewritten and the piece is
gone, the mutant says so; give it a new one that plants the same bug.
"""

from __future__ import annotations

import inspect
import textwrap
from enum import Enum
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobledger.core import decisions, job, lifecycle
from jobledger.core.graph import TaskGraph
from jobledger.core.job import Job
from jobledger.core.lifecycle import JobState, LifecycleError, TaskState
from support.job_machine import JobMachine

#: what is wrong -> where, and which piece of text is replaced by which
MUTANTS: dict[str, tuple[Any, str, str, str]] = {
    "a report of any attempt is folded": (
        job,
        "_check_running",
        " or job.attempt[task] != event.attempt",
        "",
    ),
    "a report of any attempt is taken": (
        decisions,
        "_check_current",
        "job.attempt[task] != report.attempt or ",
        "",
    ),
    "a report that comes late is taken for a repetition": (
        decisions,
        "_already",
        "and 0 < report.attempt == job.attempt[task]",
        "",
    ),
    "one retry too many": (decisions, "_failed", "< job.spec_of", "<= job.spec_of"),
    "failures are not counted": (job, "_attempt_failed", ", 0) + 1", ", 0)"),
    "failures are counted on after a retry of the job": (job, "_job_retried", "job.failures.clear()", "pass"),
    "a lost runner counts as a failure": (
        job,
        "_expired",
        "job.expiries[event.task] =",
        "job.failures[event.task] =",
    ),
    "a runner may be lost once more": (decisions, "_expire", "< MAX_EXPIRIES", "<= MAX_EXPIRIES"),
    "completion does not climb": (TaskGraph, "finish", "task = self.parent[task]", "return"),
    "what is computed is complete, whatever is below it": (
        TaskGraph,
        "finish",
        "self.open[task] + children - 1",
        "self.open[task] - 1",
    ),
    "a parent waits for one child too many": (TaskGraph, "finish", "+ children - 1", "+ children"),
    "a dependency set is complete with its last member but one": (
        TaskGraph,
        "finish",
        "if not self._incomplete_members[one]:",
        "if self._incomplete_members[one] == 1:",
    ),
    "a task in several sets completes one of them": (
        TaskGraph,
        "finish",
        "self._several[task] if",
        "self._several[task][:1] if",
    ),
    "skipped tasks become ready": (
        TaskGraph,
        "_make_ready",
        "status.count(QUEUED, start, stop) != stop - start",
        "False",
    ),
    "a task given back is forgotten": (TaskGraph, "requeue", "self._make_ready(task, task + 1)", "pass"),
    "a stale hint is believed": (
        TaskGraph,
        "_prune",
        "heapreplace(heap, (depth, task, stop))",
        "heapreplace(heap, (depth, task, stop)); return True",
    ),
    "breadth first": (TaskGraph, "_make_ready", "-self.depth[start]", "self.depth[start]"),
    "looking takes": (TaskGraph, "next_ready", "heappush(heap, entry)", "pass"),
    "claims of a halted job are decided": (decisions, "_claim", "job.state in HALTED or ", ""),
    "claims of a halted job are folded": (job, "_claimed", "job.state in HALTED", "False"),
    "claims of what waits are folded": (
        job,
        "_claimed",
        "graph.ready.count(1, start, stop) != stop - start",
        "False",
    ),
    "all claims are of one attempt": (decisions, "_claim", "attempt + 1", "1"),
    "skipping what runs": (job, "_skipped", ".translate(_SKIP).count(0)", ".count(0)"),
    "skipping counts nothing": (job, "_skipped", "job.counts[_QUEUED] -= stop - start", "pass"),
    "the whole job is one optional subtree": (
        decisions,
        "_optional_boundary",
        "return task\n",
        "boundary = task\n        else:\n            boundary = locals().get('boundary')\n",
    ),
    "an optional failure never completes the job": (
        decisions,
        "_fail",
        "finished=1 + len(skipped)",
        "finished=-1",
    ),
    "completion is missed": (
        decisions,
        "_with_completion",
        "job.unfinished == finished",
        "job.unfinished < finished",
    ),
    "a canceled job completes": (decisions, "_with_completion", " and job.state not in HALTED", ""),
    "a canceled job never fails": (
        decisions,
        "_fail",
        "job.state != JobState.FAILED.value",
        "job.state not in HALTED",
    ),
    "staged subtasks outlive their attempt": (job, "_requeue", "job.staged.pop(event.task, None)", "pass"),
    "staged subtasks are repeated": (job, "_computed", "job.staged.pop(task, None)", "job.staged.get(task)"),
    "a cancel is repeated after a retry": (
        decisions,
        "_cancel",
        " or command.command_id in job.commands",
        "",
    ),
    "queued tasks are not rescheduled": (decisions, "_retry", " + job.counts[TaskState.QUEUED.value]", ""),
    "a retry of nothing hangs": (
        decisions,
        "_retry",
        "if job.unfinished else [retried, e.JobCompleted()]",
        "",
    ),
    "a refused event leaves its mark": (
        job,
        "_job_retried",
        "graph = job.graph\n",
        "graph = job.graph\n    job.failures.clear()\n",
    ),
    "a job at rest runs": (job, "_follow_tasks", "elif job.counts[_COMPUTED]:", "elif False:"),
}


def mutated(function: Any, old: str, new: str) -> Any:
    """Return `function` with the only occurrence of `old` in its text replaced."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, (
        f"{function.__qualname__} has {source.count(old)} times {old!r}: renew the mutant"
    )
    scope: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source.replace(old, new), "<mutant>", "exec")
    exec(code, function.__globals__, scope)  # noqa: S102 (its own text, but for one piece)
    return scope[function.__name__]


def plant(patch: pytest.MonkeyPatch, home: Any, name: str, old: str, new: str) -> None:
    """Put the mutant of `home.name` wherever the function is used."""
    function = getattr(home, name)
    mutant = mutated(function, old, new)
    patch.setattr(home, name, mutant)
    for table in (job._HANDLERS, decisions._DECISIONS):
        for key, value in table.items():
            if value is function:
                patch.setitem(table, key, mutant)


def caught() -> bool:
    """Whether the machine finds that something is wrong: at once, or when given a few more chances."""
    return any(not passes(derandomize=attempt == 0) for attempt in range(4))


def passes(*, derandomize: bool) -> bool:
    try:
        run_state_machine_as_test(
            JobMachine,
            settings=settings(
                max_examples=300,
                stateful_step_count=6,
                derandomize=derandomize,
                database=None,
                phases=[Phase.generate],  # shrinking takes longer than everything else
                report_multiple_bugs=False,
            ),
        )
    except (AssertionError, LifecycleError, LookupError, OverflowError):
        return False
    return True


@pytest.mark.parametrize("bug", MUTANTS)
def test_the_machine_finds(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, *MUTANTS[bug])
    assert caught(), f"no one noticed: {bug}"


@pytest.mark.parametrize(
    ("table", "event", "state", "wrong"),
    [
        (lifecycle.TASK_TABLE, "fail_optional", TaskState.RUNNING, TaskState.SKIPPED),
        (lifecycle.TASK_TABLE, "fail_optional", TaskState.RUNNING, TaskState.FAILED),
        (lifecycle.JOB_TABLE, "cancel", JobState.STARTED, JobState.FAILED),
        (lifecycle.JOB_TABLE, "rest", JobState.SUBMITTED, JobState.SUBMITTED),
        (lifecycle.JOB_TABLE, "cancel", JobState.COMPLETED, JobState.CANCELED),
    ],
)
def test_the_machine_finds_a_wrong_target_in_a_table(
    table: dict[str, bytes], event: str, state: Enum, wrong: Enum, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = bytearray(table[event])
    row[state.value] = wrong.value
    monkeypatch.setitem(table, event, bytes(row))
    assert caught()


def test_the_machine_finds_miscounted_unfinished_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "unfinished", property(lambda job: job.counts[1] + job.counts[2]))
    assert caught()

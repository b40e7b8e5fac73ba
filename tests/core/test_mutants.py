"""A test of the tests: the state machine finds each of these seeded bugs.

A mutant is a function of the core with one piece of its text replaced. When a function is rewritten and the piece is
gone, the mutant says so; give it a new one that plants the same bug.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobledger.core import decisions, job, lifecycle
from jobledger.core.decisions import ending as deciding_ends
from jobledger.core.decisions import interventions as deciding
from jobledger.core.decisions import refusal, sameness, work
from jobledger.core.decisions import reports as deciding_reports
from jobledger.core.graph import TaskGraph
from jobledger.core.job import Job, interventions, reports, steps
from jobledger.core.job import work as folding_work
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.queue import TaskQueue
from support.job_machine import JobMachine
from support.mutants import mutated

#: what is wrong -> where, and which piece of text is replaced by which
MUTANTS: dict[str, tuple[Any, str, str, str]] = {
    "a report of any attempt is folded": (
        steps,
        "check_running",
        " and job.attempt[task] == event.attempt",
        "",
    ),
    "a report of any attempt is taken": (
        refusal,
        "check_current",
        "job.attempt[task] != report.attempt or ",
        "",
    ),
    "a report that comes late is taken for a repetition": (
        refusal,
        "already",
        "and 0 < report.attempt == job.attempt[task]",
        "",
    ),
    "one retry too many": (deciding_reports, "failed", "failures >= spec", "failures > spec"),
    "an error that is final is tried again": (deciding_reports, "failed", " or command.final", ""),
    "failures are not counted": (reports, "attempt_failed", ", 0) + 1", ", 0)"),
    "failures are counted on after a retry of the job": (
        interventions,
        "_begin_afresh",
        "(job.failures, job.expiries,",
        "(job.expiries,",
    ),
    "failures are counted on after a retry of a part": (
        interventions,
        "_begin_afresh",
        "job.failures.pop(task, None)",
        "pass",
    ),
    "a lost runner counts as a failure": (
        reports,
        "expired",
        "job.expiries[event.task] =",
        "job.failures[event.task] =",
    ),
    "a runner may be lost alone once more": (deciding_reports, "expire", ">= MAX_EXPIRIES", "> MAX_EXPIRIES"),
    "a runner may be lost once more": (deciding_reports, "expire", "< MAX_LOSSES", "<= MAX_LOSSES"),
    "a task is blamed for what others explain": (
        deciding_reports,
        "expire",
        "command.alone and alone",
        "alone",
    ),
    "losses that nothing else explains are not counted": (reports, "expired", "if event.alone:", "if False:"),
    "they are counted on after a retry of the job": (
        interventions,
        "_begin_afresh",
        "job.expiries, job.lost_alone,",
        "job.expiries,",
    ),
    "they are counted on after a retry of a part": (
        interventions,
        "_begin_afresh",
        "job.lost_alone.pop(task, None)",
        "pass",
    ),
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
        TaskQueue,
        "_make_ready",
        "status.count(QUEUED, start, stop) != stop - start",
        "False",
    ),
    "a task given back is forgotten": (TaskGraph, "requeue", "self._make_ready(task, task + 1)", "pass"),
    "a stale hint is believed": (
        TaskQueue,
        "_prune",
        "heapreplace(heap, (priority, depth, task, stop))",
        "heapreplace(heap, (priority, depth, task, stop)); return True",
    ),
    "breadth first": (TaskQueue, "_list", "-self.depth[start]", "self.depth[start]"),
    "looking takes": (TaskQueue, "next_ready", "heappush(heap, entry)", "pass"),
    "claims of a halted job are decided": (work, "claim", "job.state in HALTED or ", ""),
    "claims of a halted job are folded": (folding_work, "claimed", "job.state in HALTED", "False"),
    "claims of what waits are folded": (
        folding_work,
        "claimed",
        "graph.ready.count(WAITING, start, stop)",
        "False",
    ),
    "a claim of one that waits is folded": (
        folding_work,
        "_claim_one",
        "graph.ready[task] == WAITING",
        "False",
    ),
    "all claims are of one attempt": (work, "claim", "attempt + 1", "1"),
    "dismissing what runs": (
        steps,
        "end_queued",
        "graph.status.count(QUEUED, start, stop) != stop - start",
        "False",
    ),
    "dismissing counts nothing": (steps, "end_queued", "job.counts[QUEUED] -= size", "pass"),
    "the whole job is one optional subtree": (
        Job,
        "optional_boundary",
        "return task\n",
        "boundary = task\n        else:\n            boundary = locals().get('boundary')\n",
    ),
    "an optional failure never completes the job": (
        deciding_reports,
        "_fail_optional",
        "left=job.left - 1 - len(skipped)",
        "left=1",
    ),
    "the end is missed": (deciding_ends, "with_end", "if left or", "if left >= 0 or"),
    "a canceled job completes": (deciding_ends, "with_end", " or job.state in HALTED", ""),
    "a canceled job never fails": (
        deciding_reports,
        "_fail",
        "if job.state == JobState.FAILED.value:",
        "if job.state in (JobState.FAILED.value, JobState.CANCELED.value):",
    ),
    "staged subtasks outlive their attempt": (
        steps,
        "end_without_success",
        "job.staged.pop(event.task, None)",
        "pass",
    ),
    "staged subtasks are repeated": (
        reports,
        "computed",
        "job.staged.pop(task, None)",
        "job.staged.get(task)",
    ),
    "a cancel is repeated after a retry": (
        deciding,
        "cancel_job",
        "if command.command_id in job.commands:",
        "if False:",
    ),
    "a halted job is canceled again and again": (
        deciding,
        "cancel_job",
        " and not (job.counts[_RUNNING] and _is_news(command, job.halt))",
        " and not job.counts[_RUNNING]",
    ),
    "what runs in a halted job cannot be stopped": (
        deciding,
        "cancel_job",
        " and not (job.counts[_RUNNING] and _is_news(command, job.halt))",
        "",
    ),
    "a cancel gives more time than the one before": (
        deciding,
        "_is_news",
        "command.grace < before.grace",
        "command.grace != before.grace",
    ),
    "an earlier cancel of a job binds those after its retry": (
        interventions,
        "job_retried",
        "job.failed_task = job.halt = None",
        "job.failed_task = None",
    ),
    "queued tasks are not rescheduled": (deciding, "retry", "(queued if halted else 0)", "0"),
    "a retry of nothing hangs": (deciding, "retry", "if job.unfinished else [*events, e.JobCompleted()]", ""),
    "a refused event leaves its mark": (
        interventions,
        "job_retried",
        "graph = job.graph\n",
        "graph = job.graph\n    job.failures.clear()\n",
    ),
    "a job at rest runs": (steps, "follow_tasks", "elif job.counts[COMPUTED]:", "elif False:"),
    # -- policies -----------------------------------------------------------------------------------------------------
    "priorities are the wrong way round": (
        TaskQueue,
        "_list",
        "-self._priority[kind]",
        "self._priority[kind]",
    ),
    "depth goes before priority": (
        TaskQueue,
        "_list",
        "(-self._priority[kind], -self.depth[start], start, stop)",
        "(-self.depth[start], -self._priority[kind], start, stop)",
    ),
    "a task begins before its time": (TaskQueue, "_make_ready", "self._not_before[self.spec[start]] or ", ""),
    "a retry does not wait": (reports, "attempt_failed", ", event.retry_at", ""),
    "a delay outlives the retry it was for": (
        TaskQueue,
        "_hold",
        "self._retry_at.pop(task, None)",
        "pass",
    ),
    "a hold has no end": (TaskQueue, "wake", "self._list(start, end)", "pass"),
    "the delay does not grow": (deciding_reports, "failed", "failures + 1", "1"),
    "slots are handed out twice": (
        TaskQueue,
        "next_ready",
        "left[key] -= len(chosen) - before",
        "pass",
    ),
    "one key limits all": (TaskQueue, "next_ready", "left.get(key, 1) <= 0 or", "0 in left.values() or"),
    "a full key ends the claim": (
        TaskQueue,
        "next_ready",
        "heaps = [other for other in heaps if other is not heap]",
        "heaps = [] if left.get(key, 1) <= 0 else [other for other in heaps if other is not heap]",
    ),
    "slots leak": (steps, "leave_running", "take_slot(job, task, -1)", "pass"),
    "slots are not taken": (folding_work, "claimed", "take_slot(job, task, 1)", "pass"),
    "a single claim takes no slot": (folding_work, "_claim_one", "take_slot(job, task, 1)", "pass"),
    "every failure halts": (deciding_reports, "_fail", "not continues or ", "True or "),
    "no failure halts": (deciding_reports, "_fail", "not continues or ", ""),
    "what the task says of failures counts for nothing": (
        deciding_reports,
        "_fail",
        "asked == CONTINUE if asked else job.options.continues",
        "job.options.continues",
    ),
    "a policy outranks an optional subtree": (
        deciding_reports,
        "_fail",
        "if boundary is not None:",
        "if boundary is not None and not job.options.continues:",
    ),
    "a cancel outranks a failure": (
        deciding_reports,
        "_fail",
        " or job.state == JobState.CANCELED.value",
        "",
    ),
    # -- what is abandoned --------------------------------------------------------------------------------------------
    "nothing is abandoned": (deciding_reports, "_fail", "if abandoned:", "if False:"),
    "only what waits for the task itself is abandoned": (
        TaskGraph,
        "stranded",
        "task = self.parent[task]",
        "task = ROOT",
    ),
    "what waits for the abandoned hangs": (TaskGraph, "stranded", "stack += waiters", "pass"),
    "what may begin is abandoned": (
        TaskGraph,
        "_not_begun",
        "if not self._incomplete_members[index]:",
        "if False:",
    ),
    "what was abandoned counts as what may begin": (
        TaskGraph,
        "_not_begun",
        "if state == _ABANDONED]",
        "if False]",
    ),
    "the last cause is told instead of the first": (
        TaskGraph,
        "stranded",
        "for cause in lost:",
        "for cause in reversed([*lost]):",
    ),
    # -- cancel -------------------------------------------------------------------------------------------------------
    "a cancel of a task is repeated after a retry": (
        deciding,
        "cancel_task",
        "if command.command_id in job.commands:",
        "if False:",
    ),
    "a cancel dismisses what a halted job keeps": (
        deciding,
        "cancel_task",
        "job.state not in HALTED",
        "True",
    ),
    "what failed is canceled": (
        deciding,
        "cancel_task",
        "graph.status[task] in _WITHOUT_SUCCESS",
        "False",
    ),
    "a cancel spares what is below": (
        deciding,
        "cancel_task",
        "graph.subtree(task if boundary is None else boundary)",
        "[task] if boundary is None else graph.subtree(boundary)",
    ),
    "a cancel in an optional subtree skips its own part only": (
        deciding,
        "cancel_task",
        "graph.subtree(task if boundary is None else boundary)",
        "graph.subtree(task)",
    ),
    "what runs is not asked": (
        deciding,
        "cancel_task",
        "if _is_news(command, job.cancel_requests.get(one))",
        "if False",
    ),
    "what runs is asked again": (
        deciding,
        "cancel_task",
        " if _is_news(command, job.cancel_requests.get(one))",
        "",
    ),
    "a cancel in an optional subtree abandons what is outside": (
        deciding,
        "cancel_task",
        "[] if boundary is not None else ",
        "",
    ),
    "the last cancel does not end the job": (
        deciding,
        "cancel_task",
        "with_end(job, events, left=",
        "with_end(job, events, left=1 or ",
    ),
    "what was asked to stop is tried again": (
        deciding_reports,
        "failed",
        "if task in job.cancel_requests:",
        "if False:",
    ),
    "what was asked to stop is given back": (
        deciding_reports,
        "release",
        "if command.task in job.cancel_requests:",
        "if False:",
    ),
    "what was asked to stop is lost and found": (
        deciding_reports,
        "expire",
        "if task in job.cancel_requests:",
        "if False:",
    ),
    "what stopped is canceled, whoever asked": (
        deciding_reports,
        "canceled",
        "if command.task in job.cancel_requests:",
        "if False:",
    ),
    "subtasks of what was asked to stop run": (
        deciding_reports,
        "computed",
        "if request is None:",
        "if True:",
    ),
    "staged subtasks of what was asked to stop run": (
        deciding_reports,
        "computed",
        "job.staged_count(task) + len(subtasks or ())",
        "len(subtasks or ())",
    ),
    "subtasks in a canceled optional subtree fail it": (
        deciding_reports,
        "computed",
        "job.optional_boundary(request.task)",
        "(None if request else job.optional_boundary(request.task))",
    ),
    "an optional subtree hides a cancel from above": (
        deciding_reports,
        "_stopped",
        " and job.optional_boundary(request.task) is not None",
        "",
    ),
    "an optional subtree below decides about subtasks": (
        deciding_reports,
        "computed",
        "job.optional_boundary(request.task)",
        "job.optional_boundary(task)",
    ),
    "a request outlives its attempt": (steps, "leave_running", "job.cancel_requests.pop(task, None)", "pass"),
    "anybody is canceled while it runs": (
        reports,
        "canceled",
        "event.task not in job.cancel_requests",
        "False",
    ),
    "anybody is asked to stop": (
        interventions,
        "cancel_requested",
        "graph.status.count(RUNNING, start, stop) != stop - start",
        "False",
    ),
    # -- retry --------------------------------------------------------------------------------------------------------
    "a retry leaves the requests to stop": (
        interventions,
        "_begin_afresh",
        "job.lost_alone, job.cancel_requests, job.unwanted",
        "job.lost_alone, job.unwanted",
    ),
    "a retry of a part leaves the requests to stop": (
        interventions,
        "_begin_afresh",
        "job.cancel_requests.pop(task, None)",
        "pass",
    ),
    "a retry leaves the blame": (
        interventions,
        "_begin_afresh",
        "job.cancel_requests, job.unwanted)",
        "job.cancel_requests)",
    ),
    "a retry of a part leaves the blame": (
        interventions,
        "_begin_afresh",
        "job.unwanted.discard(task)",
        "pass",
    ),
    "a retry of a part leaves others waiting for what is lost": (
        deciding,
        "retry",
        "for cause, group in sorted(abandoned.items())",
        "for cause, group in ()",
    ),
    "a retry of a part frees what depends on others": (
        deciding,
        "_part",
        "status[one] == _ABANDONED and one not in hopeless",
        "status[one] == _ABANDONED",
    ),
    "a retry of a part frees nothing": (
        deciding,
        "_part",
        "status[one] == _ABANDONED and one not in hopeless",
        "False",
    ),
    "a task that cannot run is retried": (
        deciding,
        "_part",
        "if task in hopeless and status[task] in _LOST:",
        "if False:",
    ),
    "what was canceled before it began is retried at any time": (
        deciding,
        "_part",
        "(_QUEUED, _CANCELED, _ABANDONED)",
        "(_QUEUED, _ABANDONED)",
    ),
    "a part retry forgets what was canceled and is complete": (deciding, "_part", " | job.unwanted", ""),
    "what is canceled in an optional subtree concerns others": (
        interventions,
        "cancel_requested",
        "job.optional_boundary(event.task) is None",
        "True",
    ),
    "who is asked to stop is forgotten": (
        interventions,
        "cancel_requested",
        "(event.task, *ranges.numbers(event.running))",
        "(event.task,)",
    ),
    "a part of a completed job is retried": (
        deciding,
        "retry",
        "job.state == JobState.COMPLETED.value",
        "False",
    ),
    "a cancel that came to nothing cannot be taken back": (
        deciding,
        "_part",
        "not below.isdisjoint(job.unwanted | job.cancel_requests.keys())",
        "False",
    ),
    "a retry of a part leaves nothing to run": (deciding, "_part", " and job.left > len(left_behind)", ""),
    "a retry forgets its new deadline": (
        interventions,
        "job_retried",
        "job.deadline = event.deadline",
        "pass",
    ),
    "a retry keeps a deadline that has passed": (
        deciding,
        "retry",
        "job.deadline > now or not halted",
        "True",
    ),
    "a retry forgets a deadline to come": (
        deciding,
        "retry",
        "job.deadline > now or not halted",
        "not halted",
    ),
    # -- the end of a job ---------------------------------------------------------------------------------------------
    "canceled tasks complete a job": (deciding_ends, "with_end", "job.counts[_CANCELED]", "False"),
    "abandoned tasks complete a job": (deciding_ends, "with_end", "job.counts[_ABANDONED]", "False"),
    "the last failure is blamed": (deciding_ends, "with_end", "min(failed)", "max(failed)"),
    "a failure that others outlive is forgotten": (
        deciding_ends,
        "with_end",
        "if job.counts[_FAILED]:",
        "if False:",
    ),
    "a deadline passes a little late": (deciding, "expire_job", "now < job.deadline", "now <= job.deadline"),
    "a deadline passes for what is over": (deciding, "expire_job", " or job.state in HALTED", ""),
    "a deadline passes twice": (
        interventions,
        "deadline_exceeded",
        "event.deadline != job.deadline",
        "False",
    ),
    "what runs is deleted without being asked": (deciding, "delete", "if not command.force:", "if False:"),
    "a deletion leaves runners in charge": (interventions, "job_deleted", "job.claimed_by.clear()", "pass"),
    "a deletion leaves requests": (interventions, "job_deleted", "job.cancel_requests.clear()", "pass"),
    "a deletion keeps the slots": (interventions, "job_deleted", "dict.fromkeys(job.slots, 0)", "job.slots"),
    "things happen to a deleted job": (job, "evolve", "0 < job.state < _DELETED", "0 < job.state"),
    "a job is erased again and again": (deciding, "erase", "if job.erasing", "if job.options.sealed"),
    "the key of another job is destroyed": (
        interventions,
        "job_erased",
        " or event.key != job.options.sealed",
        "",
    ),
    "an erasure is forgotten": (interventions, "job_erased", "job.erased = True", "pass"),
    "a deleted job is retried": (refusal, "check_exists", "job.state == _DELETED", "False"),
    "a result is lost": (reports, "computed", "event.result is not None", "False"),
    "the result of a reused task is lost": (reports, "reused", "event.result is not None", "False"),
    "a reused task never completes": (reports, "reused", "job.graph.finish(event.task)", "pass"),
    "another submission passes for the same": (sameness, "differences", "job.name == command.name", "True"),
    "a submission to another cluster passes for the same": (
        sameness,
        "differences",
        "one.cluster == other.cluster",
        "True",
    ),
    "a submission with other labels passes for the same": (
        sameness,
        "differences",
        "before.labels == now.labels",
        "True",
    ),
    "fewer tasks pass for the same": (
        sameness,
        "differences",
        "roots = job.graph.parent.count(ROOT)",
        "roots = len(command.tasks)",
    ),
}


def plant(patch: pytest.MonkeyPatch, home: Any, name: str, old: str, new: str) -> None:
    """Put the mutant of `home.name` wherever the function is used."""
    function = getattr(home, name)
    mutant = mutated(function, old, new)
    patch.setattr(home, name, mutant)
    core = [module for path, module in sys.modules.items() if path.startswith("jobledger.core")]
    users: list[dict[str, Any]] = [vars(module) for module in [*core, sys.modules["support.side_by_side"]]]
    tables: list[dict[Any, Any]] = [job._HANDLERS, decisions._DECISIONS]
    for names in [*users, *tables]:
        for key, value in [*names.items()]:
            if value is function:
                patch.setitem(names, key, mutant)


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
    except (AssertionError, LookupError, OverflowError, ValueError):
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
        (lifecycle.JOB_TABLE, "stop", JobState.COMPLETED, JobState.CANCELED),
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

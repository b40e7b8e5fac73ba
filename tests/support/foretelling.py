"""What the core ought to decide, told naively from what the oracle knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.policy import CONTINUE, INHERIT
from jobledger.core.submission import NewTask
from support.columns import packed, rows, sound
from support.oracle import LOST, Node, Oracle

MAX_EXPIRIES = 10
MAX_LOSSES = 100
REPORTS = (
    c.StageSubtasks,
    c.ReportComputed,
    c.ReportReused,
    c.ReportFailed,
    c.ReportCanceled,
    c.ReportProgress,
    c.ReleaseTask,
    c.ExpireLease,
)


def foretell(oracle: Oracle, command: c.Command, now: int) -> list[e.Event] | str:
    """Return the events that `command` leads to, or the code with which it is refused."""
    if isinstance(command, c.SubmitJob):
        return _submit(oracle, command)
    if isinstance(command, c.ClaimTasks):
        return _claim(oracle, command, now)
    if isinstance(command, c.ExpireJob):
        over = 0 < oracle.deadline <= now and not oracle.halted
        return [e.DeadlineExceeded(oracle.deadline)] if over else []
    if isinstance(command, c.EraseJob):
        return [e.JobErased(oracle.options.sealed)] if oracle.erasing else []
    if isinstance(command, c.TakeOver | c.ForkJob):
        raise NotImplementedError("forks are tried in test_fork.py")
    if isinstance(command, REPORTS):
        return _report(oracle, command, now)
    if isinstance(command, c.DeleteJob) and command.command_id in oracle.commands:
        return []
    if oracle.state in ("none", "deleted"):
        return "unknown_job"
    if isinstance(command, c.DeleteJob):
        return _delete(oracle, command)
    if command.command_id in oracle.commands:
        return []
    if isinstance(command, c.CancelTask) and not 0 <= command.task < len(oracle.nodes):
        return "unknown_task"
    if isinstance(command, c.RetryJob):
        return _retry(oracle, command, now)
    if isinstance(command, c.CancelTask):
        return _cancel(oracle, oracle.nodes[command.task], command)
    if oracle.halted and not (oracle.running() and _sooner(command, oracle.halt)):
        return []
    return [e.JobCanceled(command.command_id, command.by, command.reason, command.grace)]


# -- work -------------------------------------------------------------------------------------------------------------


def _submit(oracle: Oracle, command: c.SubmitJob) -> list[e.Event] | str:
    if oracle.machine is not None:
        if not (command.options and command.options.key):
            return []
        if oracle.state == "deleted":
            return "conflict"
        if not sound(command.tasks, 0):
            return "invalid"
        before = _asked(oracle.name, oracle.roots, oracle.options)
        return [] if before == _asked(command.name, rows(command.tasks), command.options) else "conflict"
    if not command.name or not sound(command.tasks, 0):
        return "invalid"
    return [e.JobSubmitted(command.name, command.tasks, command.by, command.options)]


def _asked(name: str, roots: Iterable[NewTask], options: e.JobOptions) -> object:
    """Return all that an idempotency key stands for: everything but times, and who asked."""
    tasks = [
        (
            msgspec.structs.replace(one.spec, policy=msgspec.structs.replace(one.spec.asked, not_before=0)),
            one.input,
        )
        for one in roots
    ]
    return name, tasks, options.labels, options.continues, options.force, bool(options.sealed)


def _claim(oracle: Oracle, command: c.ClaimTasks, now: int) -> list[e.Event]:
    chosen = oracle.claimable(command.specs, command.limit, command.slots, now)
    return [
        e.TasksClaimed(
            command.runner,
            attempt + 1,
            packed(node.number for node in chosen if node.attempt == attempt),
        )
        for attempt in sorted({node.attempt for node in chosen})
    ]


# -- reports ----------------------------------------------------------------------------------------------------------

#: in which states an attempt may have ended with this very report
REPEATED: dict[type[Any], set[str]] = {
    c.ReportComputed: {"computed"},
    c.ReportReused: {"computed"},
    c.ReportFailed: {"queued", "failed", "failed_optional", "canceled"},
    c.ReportCanceled: {"queued", "failed_optional", "canceled"},
    c.ReleaseTask: {"queued", "failed_optional", "canceled"},
}


def _report(oracle: Oracle, command: Any, now: int) -> list[e.Event] | str:
    exists = 0 <= command.task < len(oracle.nodes)
    node = oracle.nodes[command.task] if exists else None
    if (
        node
        and node.attempt == command.attempt > 0
        and node.state in REPEATED.get(type(command), ())
        and not (node.let_go and isinstance(command, c.ReportFailed))  # it did not end by failing
    ):
        return []
    if oracle.state in ("none", "deleted"):
        return "unknown_job"
    if node is None:
        return "invalid"
    if command.attempt != node.attempt or node.state != "running":
        return "stale"
    if isinstance(command, c.StageSubtasks):
        if command.tasks.start < len(node.staged):
            return []
        staged = e.SubtasksStaged(node.number, node.attempt, command.tasks)
        return [staged] if sound(command.tasks, len(node.staged)) else "invalid"
    if isinstance(command, c.ReportProgress):
        news = (command.started, command.progress, command.display)
        return [e.TaskProgressed(node.number, node.attempt, *news)]
    if isinstance(command, c.ReportComputed):
        return _computed(oracle, node, command)
    return _ended(oracle, node, command, now)


def _computed(oracle: Oracle, node: Node, report: c.ReportComputed) -> list[e.Event] | str:
    new = report.subtasks
    if new is not None and not sound(new, len(node.staged)):
        return "invalid"
    facts = (report.started, report.stopped, new, report.display, report.progress)
    computed = e.TaskComputed(node.number, node.attempt, *facts, report.result, report.reuse_key)
    children = len(node.staged) + (0 if new is None else len(new))
    if children and node.request is None:
        return [computed]
    events: list[e.Event] = [computed]
    if children:
        first = len(oracle.nodes)
        request = oracle.nodes[node.request.task]  # type: ignore[union-attr]
        kind = e.TasksSkipped if request.boundary else e.TasksCanceled
        events.append(kind([first, first + children], request.number))
    return with_end(oracle, events, [node])


def _ended(oracle: Oracle, node: Node, report: Any, now: int) -> list[e.Event]:
    """An attempt has ended, and left nothing."""
    number, attempt, error = node.number, node.attempt, getattr(report, "error", None)
    if isinstance(report, c.ReportReused):
        source = (report.source_job, report.source_task, report.result)
        reused = e.TaskReused(number, attempt, report.started, report.stopped, *source)
        return with_end(oracle, [reused], [node])
    timeless = isinstance(report, c.ReleaseTask | c.ExpireLease)
    times = (now, now) if timeless else (report.started, report.stopped)
    shown = (getattr(report, "display", None), getattr(report, "progress", None))
    if node.request is not None:
        if node.boundary and oracle.nodes[node.request.task].boundary:
            error = error or e.Error("TaskCanceled", node.request.reason)
            return _fail(oracle, node, (number, attempt, *times, error, *shown))
        facts: tuple[Any, ...] = (number, attempt, *times, *shown, error)
        return with_end(oracle, [e.TaskCanceled(*facts)], [node])
    if isinstance(report, c.ReportCanceled):
        return [e.TaskReleased(number, attempt, "")]
    if isinstance(report, c.ReleaseTask):
        return [e.TaskReleased(number, attempt, report.reason)]
    if isinstance(report, c.ExpireLease):
        if node.expiries < MAX_LOSSES and not (report.alone and node.lost_alone >= MAX_EXPIRIES):
            return [e.LeaseExpired(number, attempt, node.runner, report.alone)]
        error = e.Error("LeaseExpired", "")
    facts = (number, attempt, *times, error, *shown)
    if isinstance(report, c.ReportFailed) and node.failures < node.spec.max_retries and not report.final:
        return [e.AttemptFailed(*(*facts, _retry_at(node, now)))]
    return _fail(oracle, node, facts)


def _retry_at(node: Node, now: int) -> int:
    asked = node.spec.asked
    if not asked.delay:
        return 0
    return now + min(round(asked.delay * asked.backoff**node.failures), asked.cap or 2**60)


def _fail(oracle: Oracle, node: Node, facts: tuple[Any, ...]) -> list[e.Event]:
    boundary = node.boundary
    if boundary is not None:
        skipped = [other for other in boundary.below() if other.state == "queued"]
        events: list[e.Event] = [e.OptionalTaskFailed(*facts)]
        if skipped:
            events.append(e.TasksSkipped(numbers(skipped), node.number))
        return with_end(oracle, events, [node, *skipped])
    failed = e.TaskFailed(*facts)
    policy = node.spec.asked.on_failure
    goes_on = policy == CONTINUE or (policy == INHERIT and oracle.options.continues)
    if oracle.state == "failed":
        return [failed]
    if oracle.state == "canceled" or not goes_on:
        return [failed, e.JobFailed(node.number)]
    abandoned = [other for other in oracle.stranded([node]) if other.state == "queued"]
    events = [failed]
    if abandoned:
        events.append(e.TasksAbandoned(numbers(abandoned), node.number))
    return with_end(oracle, events, [node, *abandoned])


# -- interventions ----------------------------------------------------------------------------------------------------


def _cancel(oracle: Oracle, node: Node, command: c.CancelTask) -> list[e.Event]:
    if node.state not in ("queued", "running", "computed"):
        return []
    boundary = node.boundary
    queued = [one for one in (boundary or node).subtree() if one.state == "queued"]
    asked = [one for one in node.subtree() if one.state == "running" and _sooner(command, one.request)]
    stranded = set() if boundary else oracle.stranded([node]) - {*queued}
    abandoned = [one for one in stranded if one.state == "queued"]
    if oracle.halted:
        queued = abandoned = []  # they wait for a retry as it is
    affected = len({*queued, *asked, *abandoned})
    if not affected:
        return []
    by = (command.command_id, command.by, command.reason, command.grace)
    events: list[e.Event] = [e.CancelRequested(node.number, numbers(asked), *by, affected)]
    if queued:
        events.append((e.TasksSkipped if boundary else e.TasksCanceled)(numbers(queued), node.number))
    if abandoned:
        events.append(e.TasksAbandoned(numbers(abandoned), node.number))
    return with_end(oracle, events, [*queued, *abandoned])


def _sooner(command: Any, before: Any) -> bool:
    """Whether those who are to stop have not been told so, or now have less time than before."""
    if before is None:
        return True
    times = [2**63 if grace < 0 else grace for grace in (command.grace, before.grace)]
    return times[0] < times[1]


def _retry(oracle: Oracle, command: c.RetryJob, now: int) -> list[e.Event] | str:
    if oracle.state == "completed":
        return "not_retryable"
    if command.task >= len(oracle.nodes):
        return "unknown_task"
    halted = oracle.state in ("failed", "canceled")
    lost = [node for node in oracle.nodes if node.state in LOST]
    part = oracle.nodes if command.task < 0 else oracle.nodes[command.task].subtree()
    spoilt = [node for node in oracle.nodes if node.state in ("failed", "canceled") or node.unwanted]
    others = [node for node in spoilt if node not in part]
    hopeless = oracle.stranded(others)
    if command.task >= 0 and part[0] in lost and part[0] in hopeless:
        return "not_retryable"
    tasks = [n for n in lost if n in part or (n.state == "abandoned" and n not in hopeless)]
    queued = [node for node in oracle.nodes if node.state == "queued"]
    abandoned = [node for node in queued if node in hopeless]
    regretted = [node for node in part if node.request or (node.unwanted and command.task >= 0)]
    goes_on = oracle.running() or len(queued) > len(abandoned)
    if not tasks and not (regretted and goes_on) and not (halted and command.task < 0):
        return "not_retryable"
    rescheduled = len(tasks) + (len(queued) - len(abandoned) if halted else 0)
    deadline = command.deadline or (0 if halted and oracle.deadline <= now else oracle.deadline)
    again = (numbers(tasks), rescheduled, command.by, command.task, deadline)
    events: list[e.Event] = [e.JobRetried(command.command_id, *again)]
    for cause in others:
        group = [node for node in abandoned if node in oracle.stranded([cause])]
        if group:
            events.append(e.TasksAbandoned(numbers(group), cause.number))
        abandoned = [node for node in abandoned if node not in group]
    return events if oracle.unfinished else [*events, e.JobCompleted()]


def _delete(oracle: Oracle, command: c.DeleteJob) -> list[e.Event] | str:
    deleted = e.JobDeleted(command.command_id, command.by, command.reason)
    if oracle.halted and not oracle.running():
        return [deleted]
    return [e.JobCanceled("", command.by, command.reason, 0), deleted] if command.force else "not_deletable"


# -- the end ----------------------------------------------------------------------------------------------------------


def with_end(oracle: Oracle, events: list[e.Event], ended: Iterable[Node]) -> list[e.Event]:
    """Add the end of the job, if after these events, by which these tasks end, no task is queued or running."""
    if oracle.halted or {node for node in oracle.nodes if node.state in ("queued", "running")} - {*ended}:
        return events
    kinds = {type(event) for event in events}
    failed = [node.number for node in oracle.nodes if node.state == "failed"]
    failed += [event.task for event in events if isinstance(event, e.TaskFailed)]
    if failed:
        return [*events, e.JobFailed(min(failed))]
    if oracle.count("canceled", "abandoned") or kinds & {e.TaskCanceled, e.TasksCanceled, e.TasksAbandoned}:
        request = next((event for event in events if isinstance(event, e.CancelRequested)), oracle.cancel)
        return [*events, e.JobCanceled("", request.by, request.reason)]
    return [*events, e.JobCompleted()]


def numbers(nodes: Iterable[Node]) -> list[int]:
    return packed(node.number for node in nodes)

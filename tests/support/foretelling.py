"""What the core ought to decide, told naively from what the oracle knows."""

from __future__ import annotations

from typing import Any

from jobledger.core import commands as c
from jobledger.core import events as e
from support.oracle import Node, Oracle, packed, sound

MAX_EXPIRIES = 10


def foretell(oracle: Oracle, command: c.Command, now: int) -> list[e.Event] | str:
    """Return the events that `command` leads to, or the code with which it is refused."""
    if isinstance(command, c.SubmitJob):
        return _submit(oracle, command)
    if isinstance(command, c.ClaimTasks):
        return _claim(oracle, command)
    if oracle.machine is None:
        return "unknown_job"
    if isinstance(command, c.CancelJob):
        repeated = oracle.halted or command.command_id in oracle.commands
        return [] if repeated else [e.JobCanceled(command.command_id, command.by, command.reason)]
    if isinstance(command, c.RetryJob):
        return _retry(oracle, command)
    if not 0 <= command.task < len(oracle.nodes):
        return "invalid"
    node = oracle.nodes[command.task]
    if command.attempt != node.attempt or node.state != "running":
        return [] if _repeated(node, command) else "stale"
    if isinstance(command, c.StageSubtasks):
        if command.tasks.start < len(node.staged):
            return []
        staged = e.SubtasksStaged(node.number, node.attempt, command.tasks)
        return [staged] if sound(command.tasks, len(node.staged)) else "invalid"
    if isinstance(command, c.ReportComputed):
        return _computed(oracle, node, command)
    if isinstance(command, c.ReportFailed):
        return _failed(oracle, node, command)
    if isinstance(command, c.ReleaseTask):
        return [e.TaskReleased(node.number, node.attempt, command.reason)]
    return _expire(oracle, node, now)


def _submit(oracle: Oracle, command: c.SubmitJob) -> list[e.Event] | str:
    if oracle.machine is not None:
        return []
    if not command.name or not sound(command.tasks, 0):
        return "invalid"
    return [e.JobSubmitted(command.name, command.tasks, command.by)]


def _claim(oracle: Oracle, command: c.ClaimTasks) -> list[e.Event] | str:
    chosen = oracle.claimable(command.specs, command.limit)
    return [
        e.TasksClaimed(
            command.runner,
            attempt + 1,
            packed(node.number for node in chosen if node.attempt == attempt),
        )
        for attempt in sorted({node.attempt for node in chosen})
    ]


def _retry(oracle: Oracle, command: c.RetryJob) -> list[e.Event] | str:
    if command.command_id in oracle.commands:
        return []
    if oracle.state not in ("failed", "canceled"):
        return "not_retryable"
    failed = packed(node.number for node in oracle.nodes if node.state == "failed")
    retried = e.JobRetried(command.command_id, failed, oracle.count("failed", "queued"), command.by)
    return [retried] if oracle.unfinished else [retried, e.JobCompleted()]


def _repeated(node: Node, command: c.Report | c.ExpireLease) -> bool:
    """Whether the attempt, which is over, may have ended with this very report."""
    if command.attempt != node.attempt or not node.attempt:
        return False
    return (
        (isinstance(command, c.ReportComputed) and node.state == "computed")
        or (isinstance(command, c.ReportFailed) and node.state in ("queued", "failed", "failed_optional"))
        or (isinstance(command, c.ReleaseTask) and node.state == "queued")
    )


def _computed(oracle: Oracle, node: Node, command: c.ReportComputed) -> list[e.Event] | str:
    new = command.subtasks
    if new is not None and not sound(new, len(node.staged)):
        return "invalid"
    events: list[e.Event] = [
        e.TaskComputed(node.number, node.attempt, command.started, command.stopped, new, command.display)
    ]
    if new is None and not node.staged and oracle.unfinished == 1 and not oracle.halted:
        events.append(e.JobCompleted())
    return events


def _failed(oracle: Oracle, node: Node, report: c.ReportFailed) -> list[e.Event]:
    facts = (node.number, node.attempt, report.started, report.stopped, report.error, report.display)
    if node.failures < node.spec.max_retries:
        return [e.AttemptFailed(*facts)]
    return _fail(oracle, node, facts)


def _expire(oracle: Oracle, node: Node, now: int) -> list[e.Event]:
    if node.expiries < MAX_EXPIRIES:
        return [e.LeaseExpired(node.number, node.attempt, node.runner)]
    return _fail(oracle, node, (node.number, node.attempt, now, now, e.Error("LeaseExpired", ""), None))


def _fail(oracle: Oracle, node: Node, facts: tuple[Any, ...]) -> list[e.Event]:
    boundary = node.boundary
    if boundary is None:
        failed = e.TaskFailed(*facts)
        return [failed] if oracle.state == "failed" else [failed, e.JobFailed(node.number)]
    events: list[e.Event] = [e.OptionalTaskFailed(*facts)]
    skipped = [other for other in boundary.below() if other.state == "queued"]
    if skipped:
        events.append(e.TasksSkipped(packed(other.number for other in skipped), node.number))
    if oracle.unfinished == 1 + len(skipped) and not oracle.halted:
        events.append(e.JobCompleted())
    return events

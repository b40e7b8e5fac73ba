"""What becomes of a command: events, or a refusal.

`decide` looks at the job and changes nothing; whoever calls it appends the events to the log and applies them with
`evolve`. A command that has already had its effect is answered with no events, so that repeating one is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import commands as c
from .. import events as e
from ..job import Job
from . import forking, interventions, reports, work
from .refusal import Refusal
from .reports import MAX_EXPIRIES, MAX_LOSSES, is_suspect, together

__all__ = ["MAX_EXPIRIES", "MAX_LOSSES", "Refusal", "decide", "is_suspect", "together"]


def decide(job: Job, command: c.Command, now: int) -> list[e.Event]:
    """Return what `command` leads to, decided at `now` (µs since 1970 UTC).

    Errors: Refusal, when the command is not possible or makes no sense.
    """
    return _DECISIONS[command.__class__](job, command, now)


_DECISIONS: dict[type, Callable[[Job, Any, int], list[e.Event]]] = {
    c.SubmitJob: work.submit,
    c.TakeOver: forking.take_over,
    c.ForkJob: forking.fork,
    c.ClaimTasks: work.claim,
    c.StageSubtasks: work.stage,
    c.ReportProgress: work.progressed,
    c.ReportComputed: reports.computed,
    c.ReportReused: reports.reused,
    c.ReportFailed: reports.failed,
    c.ReportCanceled: reports.canceled,
    c.ReleaseTask: reports.release,
    c.ExpireLease: reports.expire,
    c.CancelJob: interventions.cancel_job,
    c.CancelTask: interventions.cancel_task,
    c.RetryJob: interventions.retry,
    c.DeleteJob: interventions.delete,
    c.EraseJob: interventions.erase,
    c.ExpireJob: interventions.expire_job,
}

"""What can be asked of a job, in the imperative. `decisions.decide` answers with events or with a refusal.

The same structs travel from clients and runners to the engine, as MessagePack arrays with stable tags. Every command
can be repeated safely: by its `command_id`, by the id of the job it creates, or by task and attempt.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from .events import Error, Progress
from .submission import Submission


class _Command(msgspec.Struct, array_like=True, frozen=True):
    job_id: str


class SubmitJob(_Command, tag=1, frozen=True):
    """Create a job. The client chooses the id, so that asking twice makes one job."""

    name: str
    tasks: Submission
    by: str = ""


class CancelJob(_Command, tag=2, frozen=True):
    """Halt a job: nothing queued is claimed any more."""

    command_id: str
    by: str = ""
    reason: str = ""


class RetryJob(_Command, tag=3, frozen=True):
    """Resume a failed or canceled job: run what failed and what was never reached."""

    command_id: str
    by: str = ""


class ClaimTasks(_Command, tag=4, frozen=True):
    """Hand ready tasks to a runner."""

    runner: str
    specs: list[int]  #: which of the job's kinds of task the runner can run
    limit: int  #: how many tasks at most


class StageSubtasks(_Command, tag=5, frozen=True):
    """Record one chunk of the subtasks of an attempt that is about to report."""

    task: int
    attempt: int
    tasks: Submission


class ReportComputed(_Command, tag=6, frozen=True):
    """An attempt ran to its end."""

    task: int
    attempt: int
    started: int
    stopped: int
    subtasks: Submission | None = None
    display: str | None = None
    progress: list[Progress] | None = None


class ReportFailed(_Command, tag=7, frozen=True):
    """An attempt failed."""

    task: int
    attempt: int
    started: int
    stopped: int
    error: Error
    display: str | None = None
    progress: list[Progress] | None = None


class ReleaseTask(_Command, tag=8, frozen=True):
    """The runner gives a task back: it is shutting down, or has no code for it after all."""

    task: int
    attempt: int
    reason: str


class ExpireLease(_Command, tag=9, frozen=True):
    """The runner that holds this attempt has been silent for the length of its lease."""

    task: int
    attempt: int


#: what a runner may say of an attempt it holds
Report: TypeAlias = StageSubtasks | ReportComputed | ReportFailed | ReleaseTask
#: what a client may ask
Request: TypeAlias = SubmitJob | CancelJob | RetryJob
Command: TypeAlias = Report | Request | ClaimTasks | ExpireLease

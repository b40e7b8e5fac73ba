"""Whether a submission that comes again is the same: what an idempotency key must not be given for twice."""

from __future__ import annotations

import msgspec

from .. import commands as c
from .. import events as e
from ..graph import ROOT
from ..job import Job
from ..submission import TaskSpec


def differences(job: Job, command: c.SubmitJob | c.ForkJob) -> list[str]:
    """Return what is asked for otherwise than when the job was submitted, in words; [] for the same again.

    Who submits, when, and every time that depends on when (deadline, delayed start), may differ: a program that was
    killed asks again later. The tasks of the command are known to be well-formed.
    """
    before, now = job.options, command.options or e.JobOptions()
    roots = job.graph.parent.count(ROOT)  # they come first
    specs_before = [job.spec_of(task) for task in range(roots)]
    specs_now = [
        command.tasks.specs[run.spec] for run in command.tasks.runs() for _ in range(run.start, run.stop)
    ]
    pairs = list(zip(specs_before, specs_now, strict=False))
    same_encryption = (before.sealed == "") == (now.sealed == "")
    same = {
        "another name": job.name == command.name,
        "other tasks": [spec.identifier for spec in specs_before] == [spec.identifier for spec in specs_now],
        "other inputs": not same_encryption or job.inputs[:roots] == command.tasks.inputs,
        "another cluster": all(one.cluster == other.cluster for one, other in pairs),
        "other options of its tasks": all(_asked(one) == _asked(other) for one, other in pairs),
        "other labels": before.labels == now.labels,
        "another on_failure": before.continues == now.continues,
        "another force": before.force == now.force,
        "another encrypt": same_encryption,
        "another origin": (before.origin is None) == (now.origin is None),
    }
    return [what for what, is_same in same.items() if not is_same]


def _asked(spec: TaskSpec) -> tuple[object, ...]:
    return spec.max_retries, spec.optional, msgspec.structs.replace(spec.asked, not_before=0)

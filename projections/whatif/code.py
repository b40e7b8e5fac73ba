"""Whether tasks could run again with the task classes there are now, and would have come to the same.

What is declared in a class line now is compared with what came to pass: a timeout that an attempt would have exceeded,
retries that would have run out, or would not have. Where a task was submitted with other words than its class has, those
win again: they cannot be told from the class's own in a history, and so the divergence says both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobledger.core.errors import JobLedgerError, NotFoundError
from jobledger.core.inputs import InputError, decode_input
from jobledger.core.lifecycle import TaskState
from jobledger.core.options import TaskPolicy, policy_of, spec_policy
from jobledger.core.submission import TaskSpec
from jobledger.core.task import Task, TaskIdentifier, identifier_of

from ..attempts import AttemptOutcome
from ..job_view import JobView
from ..wording import counted, duration, named, one_line
from .divergences import Divergence, DivergenceKind

_FAILED = TaskState.FAILED.value
_COMPUTED = TaskState.COMPUTED.value


def check_code(view: JobView, classes: Iterable[type[Task]]) -> Iterator[Divergence]:
    """Yield what of a job could not run again, and what would have come to something else, kind by kind of its tasks."""
    by_spec: list[list[int]] = [[] for _ in view.job.specs]
    for task, index in enumerate(view.job.graph.spec):
        by_spec[index].append(task)
    known = {cls: identifier_of(cls) for cls in classes}
    for spec, tasks in zip(view.job.specs, by_spec, strict=True):
        if tasks:
            yield from _check_kind(view, spec, tasks, known)


def _check_kind(
    view: JobView, spec: TaskSpec, tasks: Sequence[int], classes: Mapping[Any, TaskIdentifier]
) -> Iterator[Divergence]:
    cls = next((cls for cls, own in classes.items() if own.runs(spec.identifier)), None)
    if cls is None:
        near = [str(own) for own in classes.values() if own.name == spec.name]
        there = f"only {', '.join(near)}" if near else "nor any other version"
        text = f"no class runs {spec.identifier}, {there}"
        yield _divergence(view, DivergenceKind.NO_CODE, tasks, text)
        return
    yield from _check_inputs(view, cls, spec, tasks)
    yield from _check_policy(view, policy_of(cls, {}), spec, tasks)


# -- inputs -------------------------------------------------------------------------------------------------------


def _check_inputs(
    view: JobView, cls: type[Task], spec: TaskSpec, tasks: Sequence[int]
) -> Iterator[Divergence]:
    refused: dict[str, list[int]] = {}
    known: dict[bytes, str] = {}
    for task in tasks:
        inline = view.job.inputs[task]
        problem = known.get(inline)
        if problem is None:
            problem = known[inline] = _problem(view, cls, spec, task)
        if problem:
            refused.setdefault(problem, []).append(task)
    for problem, several in refused.items():
        yield _divergence(view, DivergenceKind.INPUT, several, problem)


def _problem(view: JobView, cls: type[Task], spec: TaskSpec, task: int) -> str:
    """Return why the class does not take the input of a task; "" if it does."""
    try:
        decode_input(cls, view.tasks[task].input, spec.identifier)
    except InputError as error:
        return f"{identifier_of(cls)} does not take the recorded input: {one_line(str(error.__cause__), 300)}"
    except NotFoundError as error:
        return f"the input is gone: {one_line(str(error), 300)}"
    except JobLedgerError:
        return ""  # what cannot be read here, for want of a way to it or of a key, a runner may well read
    return ""


# -- policies -----------------------------------------------------------------------------------------------------


def _check_policy(
    view: JobView, policy: TaskPolicy, spec: TaskSpec, tasks: Sequence[int]
) -> Iterator[Divergence]:
    declared = spec_policy(policy, now=0)
    timeout = declared.timeout if declared else 0
    if timeout and timeout != spec.asked.timeout:
        longer = [task for task in tasks if _longest(view, task) > timeout]
        if longer:
            text = f"ran {duration(_longest(view, longer[0]))}; with a timeout of {duration(timeout)} it would have failed"
            yield _divergence(view, DivergenceKind.POLICY, longer, text)
    retries = policy.retry.max if policy.retry else 0
    if retries != spec.max_retries and policy.retry is not None:
        yield from _check_retries(view, retries, spec, tasks)
    if policy.on_failure is not None:
        asked = policy.on_failure
        other = [
            n for n in tasks if view.job.graph.status[n] == _FAILED and view.tasks[n].on_failure != asked
        ]
        if other:
            goes = "goes on with what does not depend on it" if asked == "continue" else "is halted"
            yield _divergence(
                view, DivergenceKind.POLICY, other, f"failed; with on_failure={asked!r} the job {goes}"
            )


def _check_retries(view: JobView, retries: int, spec: TaskSpec, tasks: Sequence[int]) -> Iterator[Divergence]:
    status = view.job.graph.status
    fewer = [task for task in tasks if status[task] == _COMPUTED and _failures(view, task) > retries]
    if fewer:
        failed = counted(_failures(view, fewer[0]), "time")
        text = f"failed {failed} before it was computed; with {_words(retries)} it would have failed for good"
        yield _divergence(view, DivergenceKind.POLICY, fewer, text)
    more = [task for task in tasks if status[task] == _FAILED and _failures(view, task) <= retries]
    if more:
        failed = counted(_failures(view, more[0]), "time")
        text = f"failed {failed} and for good; with {_words(retries)} it would have been tried again"
        yield _divergence(
            view, DivergenceKind.POLICY, more, f"{text} (it was submitted with {_words(spec.max_retries)})"
        )


def _words(retries: int) -> str:
    return "1 retry" if retries == 1 else f"{retries} retries"


def _failures(view: JobView, task: int) -> int:
    return sum(1 for one in view.ended.get(task, ()) if one.outcome is AttemptOutcome.FAILED)


def _longest(view: JobView, task: int) -> int:
    """Return how long the longest attempt of a task ran, in µs."""
    spent = [one.stopped - one.started for one in view.ended.get(task, ()) if one.started]
    if view.started[task] and view.stopped[task]:
        spent.append(view.stopped[task] - view.started[task])
    return max(spent, default=0)


def _divergence(view: JobView, kind: DivergenceKind, tasks: Sequence[int], text: str) -> Divergence:
    first = tasks[0]
    more = f" and {counted(len(tasks) - 1, 'other task')}" if len(tasks) > 1 else ""
    who = f"{named(first, view.job.spec_of(first).name)}{more}"
    return Divergence(
        kind, view.job.id, view.job.name, view.version, view.position, f"{who}: {text}", first, len(tasks)
    )

"""New tasks as messages tell them: those of one kind together, in messages of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from jobledger.core import ranges
from jobledger.core.events import Value
from jobledger.core.policy import CONTINUE, HALT, Policy
from jobledger.core.submission import NO_DEPENDENCIES, Submission, TaskSpec
from jobledger.core.undecodable import UNDECODABLE

from ..utc import utc_or_none
from . import data as d
from .context import Kind, Taken

#: bytes of tasks after which a message is closed: well below the least a server is set to take
TARGET_BYTES = 256 * 1024
#: numbers of tasks in one message
TARGET_TASKS = 10_000

_SECOND = 1_000_000  # µs
_check = msgspec.json.Decoder(msgspec.Raw).decode
_ON_FAILURE: dict[int, Any] = {HALT: "halt", CONTINUE: "continue"}


def submitted(taken: Taken) -> Iterator[tuple[Kind, d.TaskSubmitted]]:
    """Yield the tasks by kind, the kind of the first one first; of one kind in several messages where they are large."""
    tasks = taken.tasks
    referred = frozenset(ranges.numbers(tasks.references))
    kinds: dict[Kind, dict[tuple[int, int], list[range]]] = {}
    for run in tasks.runs():
        spec = tasks.specs[run.spec]
        groups = kinds.setdefault(Kind(spec.cluster, spec.name), {})
        groups.setdefault((run.spec, run.dependencies), []).append(range(run.start, run.stop))
    for kind, groups in kinds.items():
        for message in _messages(taken, groups, referred):
            yield kind, d.TaskSubmitted(message, taken.parent)


def _messages(
    taken: Taken, groups: dict[tuple[int, int], list[range]], referred: frozenset[int]
) -> Iterator[list[d.SubmittedGroup]]:
    tasks = taken.tasks
    message: list[d.SubmittedGroup] = []
    size = 0
    for (spec, dependencies), runs in groups.items():
        beside = _columns(tasks, dependencies)
        told: list[d.SubmittedTask] = []
        for positions in runs:
            for position in positions:
                data = tasks.inputs[position - tasks.start]
                if size and size + len(data) > TARGET_BYTES:
                    if told:
                        message.append(_group(taken, spec, dependencies, told))
                    yield message
                    message, told, size = [], [], 0
                if not told:
                    size += beside
                size += len(data) + 30
                told.append(_task(taken.base + position, data, position in referred))
        message.append(_group(taken, spec, dependencies, told))
    yield message


def _columns(tasks: Submission, dependencies: int) -> int:
    """Return about how many bytes a group takes beside its tasks."""
    return 200 + (0 if dependencies == NO_DEPENDENCIES else 10 * len(tasks.dependency_sets[dependencies]))


def _group(taken: Taken, spec: int, dependencies: int, told: list[d.SubmittedTask]) -> d.SubmittedGroup:
    kind: TaskSpec = taken.tasks.specs[spec]
    waits = () if dependencies == NO_DEPENDENCIES else taken.tasks.dependency_sets[dependencies]
    return d.SubmittedGroup(
        kind.identifier.version,
        told,
        [(taken.base + start, taken.base + stop - 1) for start, stop in ranges.pairs(waits)],
        kind.max_retries,
        kind.optional,
        None if kind.policy is None else _policy(kind.policy),
    )


def _task(number: int, data: bytes, referred: bool) -> d.SubmittedTask:
    if not data:
        return d.SubmittedTask(number)
    if referred:
        return d.SubmittedTask(number, input_object=d.ObjectData(data.decode(errors="replace")))
    found = json_of(data)
    if found is None:
        return d.SubmittedTask(number, input_base64=data)
    return d.SubmittedTask(number, found)


def result(value: Value | None) -> dict[str, Any]:
    """Return a result as the fields of a message."""
    if value is None:
        return {}
    if value.object:
        return {"result_object": d.ObjectData(value.object, value.size)}
    found = json_of(value.data)
    return {"result_base64": value.data} if found is None else {"result": found}


def json_of(data: bytes) -> msgspec.Raw | None:
    """Return JSON as it is; None where these bytes are none."""
    try:
        found = _check(data)
        str(data, "utf-8")
    except UNDECODABLE:
        return None
    return found


def _policy(policy: Policy) -> d.PolicyData:
    return d.PolicyData(
        policy.priority,
        utc_or_none(policy.not_before),
        _ON_FAILURE.get(policy.on_failure, "inherit"),
        policy.timeout / _SECOND or None,
        policy.delay / _SECOND or None,
        policy.backoff if policy.backoff != 1.0 else None,
        policy.cap / _SECOND or None,
        policy.jitter or None,
        policy.retry_on,
        policy.give_up,
        policy.key,
        policy.limit,
        policy.reuse,
    )

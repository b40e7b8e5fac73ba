"""What a submission asks for, checked and put into the command that asks for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from jobledger.core.commands import SubmitJob
from jobledger.core.errors import ArgumentError
from jobledger.core.events import JobOptions
from jobledger.core.limits import (
    MAX_IDEMPOTENCY_KEY,
    MAX_JOB_NAME,
    MAX_LABEL_KEY,
    MAX_LABEL_VALUE,
    MAX_LABELS,
)
from jobledger.core.options import PolicyOptions, checked_retries, policy_of, spec_policy
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns
from jobledger.core.task import InputError, Task, encode_input, identifier_of

from ..arguments import ClusterOrSlug, When, checked_text, cluster_name, flag, moment
from ..ids import new_id, whoami
from ..logs.telemetry import traceparent

Tasks: TypeAlias = Task | Sequence[Task]
Clusters: TypeAlias = ClusterOrSlug | Sequence[ClusterOrSlug | None] | None

#: ids derived from idempotency keys are named within this one; never to be changed
_KEYED = UUID("6f4f5b0a-7d0f-5b0e-9c61-0d4a4a1c8a55")


def submit_command(
    namespace: str,
    name: str,
    root_task_or_tasks: Tasks,
    cluster: Clusters = None,
    max_retries: int = 0,
    *,
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    deadline: When | None = None,
    force: bool = False,
    policy: PolicyOptions | None = None,
    now: int | None = None,
) -> SubmitJob:
    """Return the command that submits this job: under a new id, or under the one its idempotency key stands for.

    Units:  `now` is what seconds count from, in µs since 1970 UTC; None: from now.
    Errors: ArgumentError, naming the argument; InputError (an ArgumentError and a TypeError) for what is no task, and
            for an input that does not fit its task.
    """
    tasks = _root_tasks(root_task_or_tasks)
    clusters = _clusters(cluster, len(tasks))
    asked = policy or {}
    now = time.time_ns() // 1000 if now is None else now
    retries = checked_retries(max_retries)
    specs: dict[tuple[type[Task], str], TaskSpec] = {}  # one for each kind: there may be very many tasks
    new = []
    for task, where in zip(tasks, clusters, strict=True):
        kind = type(task), where
        if kind not in specs:
            specs[kind] = _spec(task, where, retries, asked, now)
        new.append(NewTask(specs[kind], encode_input(task), frozenset()))
    (packed,) = columns(new)
    return job_command(
        namespace,
        name,
        packed,
        labels=labels,
        idempotency_key=idempotency_key,
        deadline=deadline,
        continues=asked.get("on_failure") == "continue",
        force=force,
        now=now,
    )


def job_command(
    namespace: str,
    name: str,
    tasks: Submission,
    *,
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    deadline: When | None = None,
    continues: bool = False,
    force: bool = False,
    by: str = "",
    trace: str = "",
    now: int,
) -> SubmitJob:
    """Return the command that submits a job of these root tasks. Units and errors: as `submit_command`.

    Shape:  `by` is who asks; "" for the user of this process. `trace` is the W3C traceparent of the submission; "" for
            that of the span this is called in.
    """
    name = checked_text("name", name, limit=MAX_JOB_NAME, example="submit('nightly build', …)")
    key = "" if idempotency_key is None else checked_key(idempotency_key)
    job_id = str(keyed_id(namespace, key) if key else new_id())
    options = JobOptions(
        labels=checked_labels(labels),
        continues=continues,
        deadline=moment("deadline", deadline, now),
        force=flag("force", force),
        key=key,
        trace=trace or traceparent(job_id),
    )
    return SubmitJob(job_id, name, tasks, by or whoami(), None if options == JobOptions() else options)


def keyed_id(namespace: str, key: str) -> UUID:
    """Return the id of the job that an idempotency key stands for in a namespace."""
    return uuid5(uuid5(_KEYED, namespace), key)


def _root_tasks(given: Any) -> list[Task]:
    several = isinstance(given, Iterable) and not isinstance(given, Task | type | str | bytes | dict)
    tasks = list(given) if several else [given]
    if not tasks:
        raise ArgumentError("root_task_or_tasks is empty: a job begins with at least one task")
    for index, task in enumerate(tasks):
        if not isinstance(task, Task):
            place = f"root_task_or_tasks[{index}]" if several else "root_task_or_tasks"
            if isinstance(task, type) and issubclass(task, Task):
                raise InputError(
                    f"{place} is the class {task.__name__}: pass an instance, {task.__name__}(…)"
                )
            raise InputError(
                f"{place} is {task!r:.100}, a {type(task).__name__}: pass an instance of a subclass of Task, "
                "or a list of them"
            )
    return tasks


def _clusters(given: Any, count: int) -> list[str]:
    if given is None or isinstance(given, ClusterOrSlug):
        return [cluster_name(given)] * count
    if not isinstance(given, Sequence):
        raise ArgumentError(f"cluster={given!r:.100} is no cluster: pass its name, or one for each root task")
    if len(given) != count:
        raise ArgumentError(
            f"cluster lists {len(given)} clusters for {count} root task{'' if count == 1 else 's'}: "
            "list one for each, or pass a single one for all"
        )
    return [cluster_name(one) for one in given]


def _spec(task: Task, cluster: str, max_retries: int, options: PolicyOptions, now: int) -> TaskSpec:
    identifier = identifier_of(task)
    policy = policy_of(task, options)
    return TaskSpec(
        identifier.name,
        identifier.major,
        identifier.minor,
        cluster,
        max_retries or (policy.retry.max if policy.retry is not None else 0),
        policy=spec_policy(policy, now=now),
    )


def checked_labels(given: Any) -> dict[str, str]:
    """Return labels, {} for None. Errors: ArgumentError."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(f"labels={given!r:.100} are no labels: pass a dict, such as {{'team': 'maps'}}")
    if len(given) > MAX_LABELS:
        raise ArgumentError(f"labels has {len(given)} entries, at most {MAX_LABELS} are possible")
    return {
        checked_text("labels key", key, limit=MAX_LABEL_KEY, example="labels={'team': 'maps'}"): checked_text(
            f"labels[{key!r}]", value, limit=MAX_LABEL_VALUE, example="labels={'team': 'maps'}", blank=True
        )
        for key, value in given.items()
    }


def checked_key(given: Any) -> str:
    """Return an idempotency key. Errors: ArgumentError."""
    return checked_text(
        "idempotency_key", given, limit=MAX_IDEMPOTENCY_KEY, example="idempotency_key='order-4711'"
    )

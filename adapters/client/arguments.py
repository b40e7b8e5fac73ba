"""What users pass in, checked before anything is sent: every error names the argument, the value and the way out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from jobledger.core.clusters import DEFAULT_CLUSTER
from jobledger.core.commands import SubmitJob
from jobledger.core.errors import ArgumentError
from jobledger.core.submission import NewTask, TaskSpec, columns
from jobledger.core.task import InputError, Task, encode_input, identifier_of

from .ids import new_id, whoami

Tasks: TypeAlias = Task | Sequence[Task]
Clusters: TypeAlias = str | Sequence[str | None] | None

MAX_NAME = 1024  # characters of a job's name
MAX_RETRIES = 2**31 - 1


def submit_command(name: str, root_task_or_tasks: Tasks, cluster: Clusters, max_retries: int) -> SubmitJob:
    """Return the command that submits this job, under a new id.

    Errors: ArgumentError for the name, the clusters or max_retries; InputError (an ArgumentError and a TypeError)
            for what is no task, and for an input that does not fit its task.
    """
    tasks = _root_tasks(root_task_or_tasks)
    clusters = _clusters(cluster, len(tasks))
    name = checked_text("name", name, limit=MAX_NAME, example="submit('nightly build', …)")
    retries = _retries(max_retries)
    new = [_new_task(task, where, retries) for task, where in zip(tasks, clusters, strict=True)]
    (submission,) = columns(new)
    return SubmitJob(str(new_id()), name, submission, whoami())


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
    if given is None or isinstance(given, str):
        return [cluster_name(given)] * count
    if not isinstance(given, Sequence):
        raise ArgumentError(f"cluster={given!r:.100} is no cluster: pass its name, or one for each root task")
    if len(given) != count:
        raise ArgumentError(
            f"cluster lists {len(given)} clusters for {count} root task{'' if count == 1 else 's'}: "
            "list one for each, or pass a single one for all"
        )
    return [cluster_name(one) for one in given]


def cluster_name(given: Any) -> str:
    """Return the name of a cluster, that of the default one for None. Errors: ArgumentError."""
    # The empty text means the default one, as in programs written for Tilebox.
    if given is None or given == "":
        return DEFAULT_CLUSTER
    return checked_text("cluster", given, limit=100, example="cluster='gpu'")


def _retries(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= MAX_RETRIES:
        raise ArgumentError(
            f"max_retries={given!r:.100} is no number of retries: pass an int from 0 (the default) to {MAX_RETRIES}"
        )
    return given


def _new_task(task: Task, cluster: str, max_retries: int) -> NewTask:
    name, major, minor = _identity(task)
    return NewTask(TaskSpec(name, major, minor, cluster, max_retries), encode_input(task), frozenset())


def _identity(task: Task) -> tuple[str, int, int]:
    identifier = identifier_of(task)
    return identifier.name, identifier.major, identifier.minor


def checked_text(argument: str, given: Any, *, limit: int, example: str, blank: bool = False) -> str:
    """Return `given` if it is text that can be sent. Errors: ArgumentError, with `example` as the remedy."""
    if not isinstance(given, str):
        raise ArgumentError(f"{argument}={given!r:.100} is a {type(given).__name__}, not text: {example}")
    if not blank and not given.strip():
        raise ArgumentError(f"{argument}={given!r:.100} is empty: {example}")
    if len(given) > limit:
        raise ArgumentError(
            f"{argument} has {len(given)} characters, at most {limit} are possible: {example}"
        )
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{argument}={given!r:.100} holds half a character (a lone surrogate)") from None
    return given


def job_id(given: Any) -> str:
    """Return the id of a job, given as such, as text, or as the job itself. Errors: ArgumentError."""
    identity = getattr(given, "id", None) if not isinstance(given, str | UUID) else given
    try:
        if isinstance(identity, str):
            return str(UUID(identity))
        if isinstance(identity, UUID):
            return str(identity)
    except ValueError:
        pass
    raise ArgumentError(
        f"{given!r:.100} is not a job, nor the id of one: pass a Job, its id (a uuid.UUID), or the id as text, "
        "such as '018dd029-58ca-74e5-8b58-b4f99d610f9a'"
    )


def seconds(argument: str, given: Any) -> float:
    """Return a number of seconds, infinity for None. Errors: ArgumentError."""
    if given is None:
        return math.inf
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:  # nan is not
        return float(given)
    raise ArgumentError(f"{argument}={given!r:.100} is no time: pass seconds from 0 up, or None for no limit")

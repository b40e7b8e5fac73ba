"""The subtasks one execution submits: checked as they come, sent as columns with the news that it has ended."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jobledger.core.context import FutureTask
from jobledger.core.errors import ArgumentError
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns
from jobledger.core.task import Task, encode_input, identifier_of

#: bytes of one chunk of a long list: small beside the server's message limit, large beside what a message costs
CHUNK = 256 * 1024
_MOST_RETRIES = 2**31 - 1
_MAX_SLUG = 100  # characters

NO_DEPENDENCIES: frozenset[int] = frozenset()


class Subtasks:
    """In order of submission. Usable from several threads of the user's code at once, until it is `sealed`."""

    def __init__(self, cluster: str, max_input: int) -> None:
        self._cluster = cluster
        self._max_input = max_input
        self._tasks: list[NewTask] = []
        self._handles: list[FutureTask] = []
        self._specs: dict[tuple[type, str, int, bool], TaskSpec] = {}
        self._adding = threading.Lock()
        self._sealed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def add(
        self,
        tasks: Iterable[Task],
        depends_on: FutureTask | Sequence[FutureTask] | None,
        cluster: str | None,
        max_retries: int,
        optional: bool,
    ) -> list[FutureTask]:
        """Add all of these tasks or, if anything is wrong with one of them, none.

        Errors: as `ExecutionContext.submit_subtask`; RuntimeError when the execution is over.
        """
        members = NO_DEPENDENCIES if depends_on is None else self._members(depends_on)
        cluster = self._cluster if cluster is None or cluster == "" else _cluster_slug(cluster)
        retries = _checked_retries(max_retries)
        rows = []
        for task in tasks:
            if not isinstance(task, Task):
                raise TypeError(_not_a_task(task))
            data = encode_input(task)
            if len(data) > self._max_input:
                raise ArgumentError(self._too_large(task, len(data)))
            rows.append(NewTask(self._spec(type(task), cluster, retries, bool(optional)), data, members))
        with self._adding:
            if self._sealed:
                raise RuntimeError(
                    "this execution is over: its subtasks were submitted, and more cannot be. "
                    "Submit them before execute returns"
                )
            first = len(self._tasks)
            handles = [FutureTask(index) for index in range(first, first + len(rows))]
            self._tasks += rows
            self._handles += handles
        return handles

    def seal(self) -> None:
        """Take no more."""
        with self._adding:
            self._sealed = True

    def chunks(self) -> Iterator[Submission]:
        """Yield what was added, in submissions of about `CHUNK` bytes."""
        return columns(self._tasks, max_bytes=CHUNK)

    def _spec(self, cls: type[Task], cluster: str, retries: int, optional: bool) -> TaskSpec:
        key = (cls, cluster, retries, optional)
        spec = self._specs.get(key)
        if spec is None:
            identifier = identifier_of(cls)
            spec = self._specs[key] = TaskSpec(
                identifier.name, identifier.major, identifier.minor, cluster, retries, optional
            )
        return spec

    def _members(self, depends_on: Any) -> frozenset[int]:
        handles = [depends_on] if isinstance(depends_on, FutureTask) else depends_on
        if isinstance(handles, str | bytes) or not isinstance(handles, Iterable):
            raise TypeError(_not_a_handle(handles))
        known, members = self._handles, set()
        for handle in handles:
            if not isinstance(handle, FutureTask):
                raise TypeError(_not_a_handle(handle))
            index = handle.index
            if index >= len(known) or known[index] is not handle:
                raise ValueError(
                    f"{handle!r} is a dependency on a task of another parent, or of an earlier attempt of this one. "
                    "The subtask was not submitted. Only what this execution has submitted before can be depended on; "
                    "to wait for a whole subtree, depend on the subtask that it hangs from"
                )
            members.add(index)
        return frozenset(members)

    def _too_large(self, task: Task, size: int) -> str:
        return (
            f"the input of {type(task).__name__} is {size:,} bytes, the limit is {self._max_input:,} (from "
            "max_payload of the NATS server). The subtask was not submitted. Put the data into context.job_cache or a "
            "file and pass its key or path, split it over several tasks, or raise max_payload in the server's "
            "configuration"
        )


def _cluster_slug(cluster: Any) -> str:
    slug = getattr(cluster, "slug", cluster)
    if not isinstance(slug, str):
        raise TypeError(f"a cluster is named by its slug, a str, not by {cluster!r:.100}")
    if not slug.isprintable() or not slug.strip() or len(slug) > _MAX_SLUG:
        raise ArgumentError(
            f"{slug!r:.150} cannot be the slug of a cluster: use printable text of at most {_MAX_SLUG} characters"
        )
    return slug


def _checked_retries(max_retries: Any) -> int:
    try:
        if isinstance(max_retries, bool):
            raise TypeError
        retries = operator.index(max_retries)
    except TypeError:
        raise TypeError(f"max_retries is a whole number, not {max_retries!r:.100}") from None
    if not 0 <= retries <= _MOST_RETRIES:
        raise ArgumentError(f"max_retries is 0 to {_MOST_RETRIES}, not {retries}")
    return retries


def _not_a_task(task: object) -> str:
    if isinstance(task, type) and issubclass(task, Task):
        return f"a task is submitted, not its class: write {task.__name__}(…) with its inputs"
    return f"{task!r:.100} is not a task: submit an instance of a subclass of jobledger.Task"


def _not_a_handle(handle: object) -> str:
    if isinstance(handle, Task):
        return (
            f"depends_on takes what submit_subtask returned for a task, not the task {type(handle).__name__} itself: "
            "write `first = context.submit_subtask(…)` and then `depends_on=first`"
        )
    return f"depends_on takes a FutureTask or a list of them, as submit_subtask returns, not {handle!r:.100}"

"""The subtasks one execution submits: checked as they come, sent as columns with the news that it has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.core.context import FutureTask
from jobledger.core.errors import ArgumentError
from jobledger.core.options import PolicyOptions, TaskPolicy, checked_retries, policy_of, spec_policy
from jobledger.core.submission import NewRun, Submission, TaskSpec, columns_of_runs
from jobledger.core.task import Task, encode_input, identifier_of

from ...by_reference import INLINE_INPUT, check_size, referring

#: bytes of one chunk of a long list: small beside the server's message limit, large beside what a message costs
CHUNK = 256 * 1024
_MAX_SLUG = 100  # characters
#: µs: "in a minute", said in a loop, is one moment and one kind of task, and not a thousand
_MOMENT = 10_000

NO_DEPENDENCIES: frozenset[int] = frozenset()


def wall_clock() -> int:
    """Return the time, in µs since 1970 UTC."""
    return time.time_ns() // 1000


class _Run(NamedTuple):
    """Neighbours of one kind that wait for the same others, up to where the next run begins."""

    spec: TaskSpec
    members: frozenset[int]
    start: int


class Subtasks:
    """In order of submission. Usable from several threads of the user's code at once, until it is `sealed`."""

    def __init__(
        self,
        cluster: str,
        max_input: int,
        priority: int = 0,
        refer: Callable[[bytes], str | None] = lambda data: None,
        check_cluster: Callable[[str], None] = lambda slug: None,
        now: Callable[[], int] = wall_clock,
        encrypted: Callable[[bytes, int], bytes] | None = None,
    ) -> None:
        """`cluster` and `priority` are those of the running task, which its subtasks have unless others are given.

        `refer` stores an input that is to travel by name, and returns the name; it returns None for others.
        `check_cluster` raises NotFoundError where there is no cluster of this slug. `now` is the time, in µs since 1970.
        `encrypted` makes of what travels for the subtask at a position what only the job can read.
        """
        self._now = now
        self._encrypted = encrypted
        self._cluster = cluster
        self._max_input = max_input
        self._plain = min(INLINE_INPUT, max_input)  #: bytes up to which an input travels itself
        self._priority = priority
        self._refer = refer
        self._check_cluster = check_cluster
        self._inputs: list[bytes] = []
        self._runs: list[_Run] = []
        self._referred: list[int] = []  #: positions of those whose input is a name
        self._handles: list[FutureTask] = []
        self._specs: dict[tuple[type, str, int, bool, TaskPolicy, int], TaskSpec] = {}
        self._adding = threading.Lock()
        self._sealed = False

    def __len__(self) -> int:
        return len(self._inputs)

    def add(
        self,
        tasks: Iterable[Task],
        depends_on: FutureTask | Sequence[FutureTask] | None,
        cluster: str | None,
        max_retries: int,
        optional: bool,
        policy: PolicyOptions | None = None,
    ) -> list[FutureTask]:
        """Add all of these tasks or, if anything is wrong with one of them, none.

        Errors: as `ExecutionContext.submit_subtask`; RuntimeError when the execution is over.
        """
        members = NO_DEPENDENCIES if depends_on is None else self._members(depends_on)
        cluster = self._cluster if cluster is None or cluster == "" else _cluster_slug(cluster)
        if cluster != self._cluster:
            self._check_cluster(cluster)
        retries = checked_retries(max_retries)
        specs: dict[type[Task], TaskSpec] = {}
        before: TaskSpec | None = None
        inputs: list[bytes] = []
        runs: list[_Run] = []
        referred: list[int] = []
        for task in tasks:
            kind = type(task)
            spec = specs.get(kind)
            if spec is None:
                # What holds for all of a kind is looked at once: 0.5 of 1.2 µs a task (Python 3.11).
                if not isinstance(task, Task):
                    raise TypeError(_not_a_task(task))
                spec = specs[kind] = self._spec(kind, cluster, retries, bool(optional), policy or {})
            data = encode_input(task)
            if len(data) > self._plain:
                check_size(f"the input of {kind.__name__}", len(data))
                name = self._refer(data)
                if name is not None:
                    referred.append(len(inputs))
                    data = name.encode()
                elif len(data) > self._max_input:
                    raise ArgumentError(self._too_large(task, len(data)))
            if spec is not before:
                runs.append(_Run(spec, members, len(inputs)))
                before = spec
            inputs.append(data)
        with self._adding:
            if self._sealed:
                raise RuntimeError(
                    "this execution is over: its subtasks were submitted, and more cannot be. "
                    "Submit them before execute returns"
                )
            first = len(self._inputs)
            handles = [FutureTask(index) for index in range(first, first + len(inputs))]
            self._inputs += inputs
            self._runs += [run._replace(start=first + run.start) for run in runs] if first else runs
            self._referred += [first + row for row in referred]
            self._handles += handles
        return handles

    def seal(self) -> None:
        """Take no more."""
        with self._adding:
            self._sealed = True

    def chunks(self) -> Iterator[Submission]:
        """Yield what was added, in submissions of about `CHUNK` bytes."""
        inputs = self._inputs
        if (encrypted := self._encrypted) is not None:
            inputs = [encrypted(data, place) for place, data in enumerate(inputs)]
        stops = [*(run.start for run in self._runs[1:]), len(inputs)]
        runs = (
            NewRun(spec, inputs[start:stop], members)
            for (spec, members, start), stop in zip(self._runs, stops, strict=True)
        )
        chunks = columns_of_runs(runs, max_bytes=CHUNK)
        return (referring(chunk, self._referred) for chunk in chunks) if self._referred else chunks

    def _spec(
        self, cls: type[Task], cluster: str, max_retries: int, optional: bool, options: PolicyOptions
    ) -> TaskSpec:
        policy = policy_of(cls, options)
        relative = policy.start is not None and not isinstance(policy.start, datetime)
        now = -(-self._now() // _MOMENT) * _MOMENT if relative else 0
        key = (cls, cluster, max_retries, optional, policy, now)
        spec = self._specs.get(key)
        if spec is None:
            identifier = identifier_of(cls)
            spec = self._specs[key] = TaskSpec(
                identifier.name,
                identifier.major,
                identifier.minor,
                cluster,
                max_retries or (policy.retry.max if policy.retry is not None else 0),
                optional,
                spec_policy(policy, now=now, priority=self._priority),
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

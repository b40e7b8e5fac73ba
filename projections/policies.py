"""The policy of a task, in the words by which it was asked for."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from jobledger.core.options import Concurrency, OnFailure, Retry
from jobledger.core.policy import CONTINUE, INHERIT

from .utc import stamp, utc, utc_or_none
from .wording import duration, one_line

if TYPE_CHECKING:
    from jobledger.core.submission import TaskSpec

    from .job_view import JobView

T = TypeVar("T")


class TaskPolicies:
    """What was asked for with a task, as properties of its view."""

    __slots__ = ()

    _view: JobView

    @property
    def _spec(self) -> TaskSpec:
        """What it has in common with the other tasks of its kind."""
        raise NotImplementedError

    @property
    def cluster(self) -> str:
        """Only runners of this cluster take it.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> job.tasks[0].cluster
        'default'
        """
        return self._spec.cluster

    @property
    def max_retries(self) -> int:
        """How many failed attempts are tried again.

        >>> job = client.jobs().submit("greetings", Greet("world"), max_retries=2)
        >>> job.tasks[0].max_retries
        2
        """
        return self._spec.max_retries

    @property
    def optional(self) -> bool:
        """Whether the job goes on if it, or a task below it, fails.

        >>> class Morning(Task):
        ...     def execute(self, context: ExecutionContext) -> None:
        ...         context.submit_subtask(Greet("world"), optional=True)
        >>> [task.optional for task in InlineClient().run(Morning(), Greet).tasks]
        [False, True]
        """
        return self._spec.optional

    @property
    def priority(self) -> int:
        """Larger ones run first.

        >>> job = client.jobs().submit("greetings", Greet("world"), priority=5)
        >>> job.tasks[0].priority
        5
        """
        return self._spec.asked.priority

    @property
    def timeout(self) -> float | None:
        """Seconds an attempt may run before it fails; None: as long as it takes.

        >>> job = client.jobs().submit("greetings", Greet("world"), timeout=timedelta(minutes=1))
        >>> job.tasks[0].timeout
        60.0
        """
        asked = self._spec.asked
        return asked.timeout / 1e6 if asked.timeout else None

    @property
    def start(self) -> datetime | None:
        """When it may run at the earliest (aware UTC); None: at once.

        >>> job = client.jobs().submit("greetings", Greet("world"), start=datetime(2100, 1, 1, tzinfo=UTC))
        >>> job.tasks[0].start
        datetime.datetime(2100, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)
        """
        return utc_or_none(self._spec.asked.not_before)

    @property
    def retry(self) -> Retry | None:
        """How failed attempts are tried again; None: not at all.

        >>> job = client.jobs().submit("greetings", Greet("world"), retry=Retry(3, delay=1.0))
        >>> job.tasks[0].retry
        Retry(max=3, delay=1.0, backoff=1.0, cap=inf, jitter=0.0, on=None, give_up=())
        """
        spec, asked = self._spec, self._spec.asked
        if not spec.max_retries:
            return None
        times = (asked.delay / 1e6, asked.backoff, asked.cap / 1e6 if asked.cap else math.inf)
        return _as_logged(Retry, spec.max_retries, *times, asked.jitter, asked.retry_on, asked.give_up)

    @property
    def on_failure(self) -> OnFailure:
        """What its failure does to the job: by its own policy or, where it has none, by the job's.

        >>> job = client.jobs().submit("greetings", Greet("world"), on_failure="continue")
        >>> job.tasks[0].on_failure
        'continue'
        """
        asked = self._spec.asked.on_failure
        continues = self._view.job.options.continues if asked == INHERIT else asked == CONTINUE
        return "continue" if continues else "halt"

    @property
    def concurrency(self) -> Concurrency | None:
        """The limit it counts under; None: no limit.

        >>> job = client.jobs().submit("greetings", Greet("world"), concurrency=Concurrency("example.org", 2))
        >>> job.tasks[0].concurrency
        Concurrency(key='example.org', limit=2)
        """
        asked = self._spec.asked
        return _as_logged(Concurrency, asked.key, asked.limit) if asked.key else None

    @property
    def reuse(self) -> bool:
        """Whether an earlier success of the same code version and input will do.

        >>> job = client.jobs().submit("greetings", Greet("world"), reuse=True)
        >>> job.tasks[0].reuse
        True
        """
        return self._spec.asked.reuse


def _as_logged(kind: type[T], *values: Any) -> T:
    """Return an option with these values unchecked: what the log holds is shown, not judged."""
    option = object.__new__(kind)
    for field, value in zip(dataclasses.fields(kind), values, strict=True):  # type: ignore[arg-type]
        object.__setattr__(option, field.name, value)
    return option


def policy_words(spec: TaskSpec) -> list[str]:
    """Return what was asked for with tasks of a kind beyond running them, a phrase each; few have any.

    >>> from jobledger.core.policy import Policy
    >>> from jobledger.core.submission import TaskSpec
    >>> policy_words(TaskSpec("Load", 1, 0, "default", 3, policy=Policy(delay=1_000_000, backoff=2.0, timeout=500_000)))
    ['timeout 500.0 ms', '3 retries after 1.000 s, each delay 2 times the one before']
    """
    asked = spec.asked
    words = {
        f"priority {asked.priority}": asked.priority,
        "optional": spec.optional,
        f"not before {stamp(utc(asked.not_before))}": asked.not_before,
        f"timeout {duration(asked.timeout)}": asked.timeout,
        _retries(spec): spec.max_retries,
        f"at most {asked.limit} of {one_line(asked.key, 60)!r} at a time": asked.key,
        f"on failure {'continue' if asked.on_failure == CONTINUE else 'halt'}": asked.on_failure != INHERIT,
        "reuses earlier results": asked.reuse,
    }
    return [phrase for phrase, wanted in words.items() if wanted]


def _retries(spec: TaskSpec) -> str:
    asked = spec.asked
    text = f"{spec.max_retries} {'retry' if spec.max_retries == 1 else 'retries'}"
    if asked.delay:
        text += f" after {duration(asked.delay)}"
        if asked.backoff != 1.0:
            text += f", each delay {asked.backoff:g} times the one before"
            text += f" up to {duration(asked.cap)}" if asked.cap else ""
        text += f", spread by {asked.jitter:.0%}" if asked.jitter else ""
    if asked.retry_on is not None:
        text += f", only after {one_line(', '.join(asked.retry_on), 100)}"
    if asked.give_up:
        text += f", not after {one_line(', '.join(asked.give_up), 100)}"
    return text

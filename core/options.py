"""What users may ask of a task beyond running it: priority, retries with a delay, a time limit, a start, and so on.

A policy is declared on the class, in its class line, and may be overridden where a task is submitted, by the same
words. None of this travels: `spec_policy` makes the `policy.Policy` that does.

>>> class Fetch(Task, retry=Retry(3, delay=1.0, on=(OSError,)), timeout=30, concurrency=Concurrency("api", 2)):
...     url: str
>>> policy_of(Fetch, {}).timeout
30
>>> policy_of(Fetch, {"priority": 5}).priority
5
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias, TypedDict

from .errors import ArgumentError
from .limits import MAX_WORD, MOST_WORDS
from .policy import CONTINUE, HALT, INHERIT, NO_POLICY, Policy

Seconds: TypeAlias = float | timedelta
OnFailure: TypeAlias = Literal["halt", "continue"]

LONGEST = 100 * 365 * 86400  # seconds; a hundred years is a typing error
MOST_RETRIES = 2**31 - 1
MOST_PRIORITY = 2**31 - 1
MAX_KEY = 256  # characters of a concurrency key
_A_LENGTH = "seconds or a timedelta"


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed attempts are tried again: up to `max` times, the first after `delay`, each later one `backoff` times
    later than the one before, `cap` at most.

    Units:  `delay` and `cap` are seconds, or a timedelta.
    Shape:  `jitter` spreads each delay by up to this share of it, up or down (0.1: ±10 %), though never beyond `cap`, so
            that tasks which failed together are not tried together. The same attempt of the same task always gets the
            same delay.
            `on` names the exceptions that are worth another try, as classes or as names; None means all. `give_up`
            names those that are not, and wins. Subclasses count.
    Errors: ArgumentError for a number out of range.

    >>> Retry(5, delay=1.0, backoff=2.0, cap=60.0, jitter=0.1, on=(ConnectionError, "TimeoutError"))
    Retry(max=5, delay=1.0, backoff=2.0, cap=60.0, jitter=0.1, on=('ConnectionError', 'TimeoutError'), give_up=())
    """

    max: int
    delay: Seconds = 0.0
    backoff: float = 1.0
    cap: Seconds = math.inf
    jitter: float = 0.0
    on: tuple[type[BaseException] | str, ...] | None = None
    give_up: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        checked_retries(self.max, "max")
        _number("backoff", self.backoff, 1, 1000)
        _number("jitter", self.jitter, 0, 1)
        delay = _seconds("delay", self.delay)
        if self.cap != math.inf and _seconds("cap", self.cap) < delay:
            raise ArgumentError(
                f"cap={self.cap!r} is less than delay={self.delay!r}: pass a longer cap, or a shorter delay"
            )
        if self.on is not None:
            object.__setattr__(self, "on", _exceptions("on", self.on))
        object.__setattr__(self, "give_up", _exceptions("give_up", self.give_up))


@dataclass(frozen=True, slots=True)
class Concurrency:
    """No more than `limit` tasks of this `key` run at a time, in all jobs of the namespace together.

    A running task holds one slot from its claim to its end; a slot whose runner dies is free when its lease ends.
    A job with tasks of one key and different limits keeps to the smallest.
    Errors: ArgumentError for an empty key, or a limit below 1.

    >>> class Scrape(Task, concurrency=Concurrency(key="example.org", limit=2)):
    ...     page: int
    """

    key: str
    limit: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.key, str) or not 1 <= len(self.key) <= MAX_KEY:
            raise ArgumentError(
                f"concurrency key={self.key!r:.100} cannot be used: pass text of 1 to {MAX_KEY} characters"
            )
        _number("concurrency limit", self.limit, 1, MOST_RETRIES, whole=True)


class PolicyOptions(TypedDict, total=False):
    """The words for a policy, in the class line of a task and in every call that submits one.

    >>> class Fetch(Task, priority=5, retry=Retry(3, delay=1.0), timeout=30, reuse=True):
    ...     url: str
    >>> careful: PolicyOptions = {"on_failure": "continue", "concurrency": Concurrency("example.org", 2)}
    >>> job = client.jobs().submit("fetching", Fetch("https://example.org"), start=3600, **careful)
    >>> task = job.tasks[0]
    >>> task.priority, task.timeout, task.on_failure, task.waiting
    (5, 30.0, 'continue', 'not before ...Z, its start')
    """

    priority: int
    """Larger ones run first; 0 unless given. A subtask has that of its parent unless its own is given."""
    retry: Retry | None
    """How failed attempts are tried again; None: not at all. `max_retries=n` is short for `retry=Retry(n)`."""
    timeout: Seconds | None
    """Seconds an attempt may run before it fails with TimeoutError; None: as long as it takes."""
    start: datetime | Seconds | None
    """When it may run at the earliest: an aware datetime, or seconds from its submission on."""
    on_failure: OnFailure | None
    """What its failure does to its job: "halt" it, or "continue" with all that does not depend on it."""
    concurrency: Concurrency | None
    """The limit it counts under."""
    reuse: bool
    """Take the result of an earlier success of the same code version and input, in any job, instead of running."""


@dataclass(frozen=True, slots=True)
class TaskPolicy:
    """`PolicyOptions`, checked and complete."""

    priority: int | None = None
    retry: Retry | None = None
    timeout: Seconds | None = None
    start: datetime | Seconds | None = None
    on_failure: OnFailure | None = None
    concurrency: Concurrency | None = None
    reuse: bool = False

    def __post_init__(self) -> None:
        if self.priority is not None:
            _number("priority", self.priority, -MOST_PRIORITY, MOST_PRIORITY, whole=True)
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise ArgumentError(
                f"retry={self.retry!r:.100} is no retry policy: pass Retry(3, delay=1.0), or max_retries=3"
            )
        if self.timeout is not None:
            _seconds("timeout", self.timeout, least=0.001)
        if isinstance(self.start, datetime):
            if self.start.utcoffset() is None:
                raise ArgumentError(
                    f"start={self.start!r} has no time zone: pass an aware datetime, such as datetime.now(UTC)"
                )
        elif self.start is not None:
            _seconds("start", self.start, remedy=f"an aware datetime, {_A_LENGTH}")
        if self.on_failure not in (None, "halt", "continue"):
            raise ArgumentError(
                f"on_failure={self.on_failure!r:.100} is not known: pass 'halt' or 'continue'"
            )
        if self.concurrency is not None and not isinstance(self.concurrency, Concurrency):
            raise ArgumentError(
                f"concurrency={self.concurrency!r:.100} is no limit: pass Concurrency('key', 2)"
            )
        if not isinstance(self.reuse, bool):
            raise ArgumentError(f"reuse={self.reuse!r:.100} is neither True nor False: pass one of them")


OPTIONS = frozenset(PolicyOptions.__optional_keys__)
_DEFAULT = TaskPolicy()


def declared(options: Mapping[str, Any], inherited: TaskPolicy) -> TaskPolicy:
    """Return the policy these options make of an inherited one.

    Errors: ArgumentError for a word that is none of `PolicyOptions`, and for a value that cannot be used.
    """
    if not options:
        return inherited
    for word in sorted(options.keys() - OPTIONS):
        raise ArgumentError(f"{word!r} is no option of a task: there are {', '.join(sorted(OPTIONS))}")
    return dataclasses.replace(inherited, **options)


def policy_of(task: Any, options: Mapping[str, Any]) -> TaskPolicy:
    """Return the policy of a task, or task class, submitted with these options. Errors: as `declared`."""
    return declared(options, getattr(task, "__task_policy__", _DEFAULT))


def spec_policy(policy: TaskPolicy, *, now: int, priority: int = 0) -> Policy | None:
    """Return what travels of a policy: None where nothing differs from what goes without saying.

    Units:  `now` is µs since 1970 UTC, the time of submission. `priority` is that of the parent.
    """
    retry = policy.retry
    on_failure = {None: INHERIT, "halt": HALT, "continue": CONTINUE}[policy.on_failure]
    concurrency = policy.concurrency
    packed = Policy(
        priority=priority if policy.priority is None else policy.priority,
        not_before=_start(policy.start, now),
        on_failure=on_failure,
        timeout=_micros(policy.timeout),
        delay=_micros(retry.delay) if retry else 0,
        backoff=float(retry.backoff) if retry else 1.0,
        cap=_micros(retry.cap) if retry and retry.cap != math.inf else 0,
        jitter=float(retry.jitter) if retry else 0.0,
        retry_on=None if retry is None or retry.on is None else tuple(map(str, retry.on)),
        give_up=tuple(map(str, retry.give_up)) if retry else (),
        key=concurrency.key if concurrency else "",
        limit=concurrency.limit if concurrency else 0,
        reuse=policy.reuse,
    )
    return None if packed == NO_POLICY else packed


def micros(argument: str, seconds: Any, *, remedy: str = _A_LENGTH) -> int:
    """Return a length of time in µs, from seconds or a timedelta.

    Errors: ArgumentError, naming the argument and, as `remedy`, what it may be.

    >>> micros("grace", 1.5)
    1500000
    """
    return round(_seconds(argument, seconds, remedy=remedy) * 1e6)


def checked_retries(given: Any, argument: str = "max_retries") -> int:
    """Return a number of retries.

    Errors: ArgumentError, naming the argument.
    """
    _number(argument, given, 0, MOST_RETRIES, whole=True)
    return int(given)


def _start(start: datetime | Seconds | None, now: int) -> int:
    """Return the time that travels: 0 where it has come already, so that equal tasks stay of one kind."""
    if isinstance(start, datetime):
        at = (start - _EPOCH) // timedelta(microseconds=1)
    else:
        at = now + _micros(start)
    return at if at > now else 0


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(seconds: Seconds | None) -> int:
    return 0 if seconds is None else micros("", seconds)


def _seconds(argument: str, given: Any, *, least: float = 0, remedy: str = _A_LENGTH) -> float:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise ArgumentError(f"{argument}={given!r:.100} is no length of time: pass {remedy}")
    if not least <= seconds <= LONGEST:
        raise ArgumentError(
            f"{argument}={given!r:.100} cannot be used: pass {least} to {LONGEST} seconds, or a timedelta as long"
        )
    return float(seconds)


def _number(argument: str, given: Any, least: float, most: float, *, whole: bool = False) -> None:
    fits = isinstance(given, int if whole else int | float) and not isinstance(given, bool)
    if not fits or not least <= given <= most:
        what = "a whole number" if whole else "a number"
        raise ArgumentError(f"{argument}={given!r:.100} cannot be used: pass {what} from {least} to {most}")


def _exceptions(argument: str, given: Any) -> tuple[str, ...]:
    """Return the names by which a runner in another process knows these classes."""
    if isinstance(given, set | frozenset):
        return tuple(sorted(_exceptions(argument, tuple(given))))
    names = []
    for one in given if isinstance(given, tuple | list) else (given,):
        if isinstance(one, type) and issubclass(one, BaseException):
            names.append(one.__name__)
        elif isinstance(one, str) and 0 < len(one) <= MAX_WORD:
            names.append(one)
        else:
            raise ArgumentError(
                f"{argument}={one!r:.100} is no exception: pass classes, such as (ConnectionError,), or their names"
            )
    if len(names) > MOST_WORDS:
        raise ArgumentError(
            f"{argument} names {len(names):,} exceptions, at most {MOST_WORDS:,} are possible"
        )
    return tuple(names)

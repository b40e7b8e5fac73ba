"""What users may ask of a task: in its class line, where it is submitted, and what is said to a value that cannot be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import new_class
from typing import Any, Generic, TypeVar

import pytest

from jobledger.core.errors import ArgumentError
from jobledger.core.options import (
    Concurrency,
    Retry,
    TaskPolicy,
    checked_retries,
    declared,
    micros,
    policy_of,
    spec_policy,
)
from jobledger.core.policy import CONTINUE, HALT, Policy
from jobledger.core.task import ExecutionContext, Task

T = TypeVar("T")
SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND


class Fetch(
    Task,
    priority=3,
    retry=Retry(3, delay=1.0, backoff=2.0, cap=timedelta(minutes=1), jitter=0.1, on=(OSError, "HTTPError")),
    timeout=30,
    on_failure="continue",
    concurrency=Concurrency("api", 2),
    reuse=True,
):
    url: str

    def execute(self, context: ExecutionContext) -> None: ...


def travels(task: Any, **options: Any) -> Policy | None:
    """Return what travels of the policy of a task that is submitted with these options."""
    return spec_policy(policy_of(task, options), now=NOW)


# -- what travels -----------------------------------------------------------------------------------------------------


def test_a_task_that_asks_for_nothing_sends_nothing() -> None:
    class Plain(Task):
        pass

    assert travels(Plain) is None
    assert travels(Plain, retry=Retry(5)) is None  # how often is no part of the policy
    assert travels(Plain, retry=None, timeout=None, start=None, on_failure=None, reuse=False) is None


def test_everything_that_was_asked_for_travels() -> None:
    assert travels(Fetch) == Policy(
        priority=3,
        on_failure=CONTINUE,
        timeout=30 * SECOND,
        delay=SECOND,
        backoff=2.0,
        cap=60 * SECOND,
        jitter=0.1,
        retry_on=("OSError", "HTTPError"),
        key="api",
        limit=2,
        reuse=True,
    )


def test_what_is_said_where_it_is_submitted_counts() -> None:
    task = Fetch("x")
    packed = travels(
        task, priority=0, on_failure="halt", timeout=None, concurrency=None, retry=None, reuse=False
    )
    assert packed == Policy(on_failure=HALT)
    assert policy_of(task, {}) is policy_of(Fetch, {}) is Fetch.__task_policy__


def test_a_subtask_has_the_priority_of_its_parent_unless_its_own_is_given() -> None:
    class Child(Task):
        pass

    assert travels(Child, priority=0) is None
    assert spec_policy(policy_of(Child, {}), now=NOW, priority=7) == Policy(priority=7)
    assert spec_policy(policy_of(Child, {"priority": 0}), now=NOW, priority=7) is None
    assert spec_policy(policy_of(Fetch, {}), now=NOW, priority=7).priority == 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("start", "not_before"),
    [
        (None, 0),
        (90, NOW + 90 * SECOND),
        (0.5, NOW + SECOND // 2),
        (timedelta(hours=1), NOW + 3600 * SECOND),
        (datetime.fromtimestamp(1_700_000_060, UTC), NOW + 60 * SECOND),
        (datetime.fromtimestamp(1_700_000_060, timezone(timedelta(hours=-8))), NOW + 60 * SECOND),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), None),
        (0, 0),  # it has come already
        (datetime(1950, 1, 1, tzinfo=UTC), 0),
        (datetime.fromtimestamp(1_700_000_000, UTC), 0),
    ],
    ids=str,
)
def test_a_start_is_a_time_to_come(start: Any, not_before: int | None) -> None:
    packed = travels(Fetch, start=start)
    assert packed is not None
    assert packed.not_before == not_before or (not_before is None and packed.not_before > NOW)
    packed.check()


def test_a_retry_without_a_cap_has_none() -> None:
    packed = travels(Fetch, retry=Retry(1, delay=timedelta(seconds=2), give_up=(KeyError,)))
    assert packed is not None
    assert (packed.delay, packed.cap, packed.retry_on, packed.give_up) == (2 * SECOND, 0, None, ("KeyError",))


def test_the_order_of_a_set_of_exceptions_makes_no_difference() -> None:
    names: Any = {"C", "A", "B"}
    in_order = ("A", "B", "C")
    assert Retry(1, on=names, give_up=names) == Retry(1, on=in_order, give_up=in_order)


def test_retries_on_nothing_are_not_retries_on_everything() -> None:
    assert Retry(1, on=()).on == ()
    assert travels(Fetch, retry=Retry(1, on=())).retry_on == ()  # type: ignore[union-attr]


# -- the class line ---------------------------------------------------------------------------------------------------


def test_subclasses_inherit_and_change_what_they_name() -> None:
    class Special(Fetch, timeout=5, retry=None):
        pass

    class VerySpecial(Special, reuse=False):
        pass

    assert Special.__task_policy__ == TaskPolicy(3, None, 5, None, "continue", Concurrency("api", 2), True)
    assert VerySpecial.__task_policy__ == TaskPolicy(
        3, None, 5, None, "continue", Concurrency("api", 2), False
    )
    assert Fetch.__task_policy__.timeout == 30
    assert Task.__task_policy__ == TaskPolicy()


def test_a_mixin_without_a_policy_hides_none() -> None:
    class Mixin:
        pass

    class Mixed(Mixin, Fetch):
        pass

    assert Mixed.__task_policy__ is Fetch.__task_policy__


def test_policies_go_with_the_options_of_a_dataclass() -> None:
    class Slotted(Task, timeout=5, slots=True, frozen=True, kw_only=True):
        first: int = 0
        second: str

    task = Slotted(second="x")
    assert not hasattr(task, "__dict__")
    with pytest.raises(AttributeError):
        task.first = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        Slotted(0, "x")  # type: ignore[call-arg]
    assert policy_of(task, {}) == TaskPolicy(timeout=5)
    assert policy_of(task, {"priority": 1}) == TaskPolicy(timeout=5, priority=1)


@pytest.mark.parametrize("options", [{}, {"slots": True}, {"frozen": True, "kw_only": True}], ids=str)
def test_policies_stay_under_an_explicit_decorator(options: dict[str, Any]) -> None:
    @dataclass(**options)
    class Decorated(Task, timeout=5, retry=Retry(2)):
        more: int = 0

    class Below(Decorated, priority=9, **options):
        pass

    assert Decorated.__task_policy__ == TaskPolicy(timeout=5, retry=Retry(2))
    assert Below.__task_policy__ == TaskPolicy(timeout=5, retry=Retry(2), priority=9)
    assert policy_of(Decorated(more=2), {"timeout": 6}) == TaskPolicy(timeout=6, retry=Retry(2))


def test_a_policy_leaves_hooks_their_keywords() -> None:
    seen: list[str] = []

    class Registered(Task):
        def __init_subclass__(cls, label: str = "", **keywords: Any) -> None:
            seen.append(label)
            super().__init_subclass__(**keywords)

    class Labelled(Registered, label="x", timeout=5):
        pass

    assert seen[-1] == "x"
    assert Labelled.__task_policy__.timeout == 5


def test_a_class_line_that_cannot_be_says_where_it_is() -> None:
    with pytest.raises(TypeError, match=r"task class .*Wrong: timeout=-1 cannot be used: pass 0.001 to"):

        class Wrong(Task, timeout=-1):
            pass


_GENERIC: Any = Generic[T]  # type: ignore[index]


@pytest.mark.parametrize("bases", [(Task,), (Task, _GENERIC)], ids=["plain", "generic"])
def test_a_misspelt_word_in_a_class_line_is_told_with_those_there_are(bases: tuple[Any, ...]) -> None:
    says = r"task class Wrong: 'timeot' is no option of a task: there are concurrency, .*timeout"
    with pytest.raises(TypeError, match=says):
        new_class("Wrong", bases, {"timeot": 3})


# -- what is refused --------------------------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize(
    ("word", "value", "remedy"),
    [
        ("priority", "high", "pass a whole number from -2147483647 to 2147483647"),
        ("priority", 1.5, "pass a whole number"),
        ("priority", True, "pass a whole number"),
        ("priority", 2**31, "pass a whole number"),
        ("retry", 3, r"pass Retry\(3, delay=1.0\), or max_retries=3"),
        ("timeout", "30", "pass seconds or a timedelta"),
        ("timeout", 0, "pass 0.001 to 3153600000 seconds"),
        ("timeout", -1, "pass 0.001 to"),
        ("timeout", math.inf, "pass 0.001 to"),
        ("timeout", NAN, "pass 0.001 to"),
        ("timeout", 10**400, "pass 0.001 to"),
        ("timeout", -(10**400), "pass 0.001 to"),
        ("timeout", False, "pass seconds or a timedelta"),
        ("timeout", timedelta(0), "pass 0.001 to"),
        ("start", datetime(2030, 1, 1), "pass an aware datetime"),
        ("start", "tomorrow", "pass an aware datetime, seconds or a timedelta"),
        ("start", -1, "pass 0 to 3153600000 seconds"),
        ("start", timedelta(days=-1), "pass 0 to 3153600000 seconds"),
        ("on_failure", "stop", "pass 'halt' or 'continue'"),
        ("on_failure", True, "pass 'halt' or 'continue'"),
        ("concurrency", "api", r"pass Concurrency\('key', 2\)"),
        ("reuse", 1, "is neither True nor False"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_value_is_named_with_its_remedy(word: str, value: Any, remedy: str) -> None:
    with pytest.raises(ArgumentError, match=remedy) as refused:
        policy_of(Fetch, {word: value})
    assert f"{word}={value!r:.40}"[:40] in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max": -1}, "max=-1 cannot be used: pass a whole number from 0"),
        ({"max": 1.0}, "max=1.0 cannot be used: pass a whole number"),
        ({"max": True}, "max=True cannot be used: pass a whole number"),
        ({"max": "3"}, "max='3' cannot be used: pass a whole number"),
        ({"max": 1, "delay": -1}, "delay=-1 cannot be used: pass 0 to"),
        ({"max": 1, "delay": "1s"}, "delay='1s' is no length of time: pass seconds or a timedelta"),
        ({"max": 1, "delay": math.inf}, "delay=inf cannot be used"),
        ({"max": 1, "backoff": 0.5}, "backoff=0.5 cannot be used: pass a number from 1 to 1000"),
        ({"max": 1, "backoff": "2"}, "backoff='2' cannot be used"),
        ({"max": 1, "cap": -1}, "cap=-1 cannot be used: pass 0 to"),
        ({"max": 1, "cap": None}, "cap=None is no length of time"),
        (
            {"max": 1, "delay": 5, "cap": 1},
            "cap=1 is less than delay=5: pass a longer cap, or a shorter delay",
        ),
        ({"max": 1, "delay": 5, "cap": 0}, "cap=0 is less than delay=5"),
        ({"max": 1, "jitter": 1.1}, "jitter=1.1 cannot be used: pass a number from 0 to 1"),
        ({"max": 1, "jitter": NAN}, "jitter=nan cannot be used"),
        (
            {"max": 1, "on": 404},
            r"on=404 is no exception: pass classes, such as \(ConnectionError,\), or their names",
        ),
        ({"max": 1, "on": (int,)}, "on=<class 'int'> is no exception"),
        ({"max": 1, "on": ("",)}, "on='' is no exception"),
        ({"max": 1, "give_up": (OSError, None)}, "give_up=None is no exception"),
    ],
    ids=str,
)
def test_a_retry_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Retry(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "concurrency key='' cannot be used: pass text of 1 to 256 characters"),
        (("x" * 257,), "concurrency key='xxx"),
        ((7,), "concurrency key=7 cannot be used"),
        (("api", 0), "concurrency limit=0 cannot be used: pass a whole number from 1"),
        (("api", 1.5), "concurrency limit=1.5 cannot be used"),
        (("api", True), "concurrency limit=True cannot be used"),
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Concurrency(*arguments)


def test_an_unknown_word_is_named_with_those_there_are() -> None:
    with pytest.raises(
        ArgumentError, match=r"'retries' is no option of a task: there are concurrency, on_failure, .*timeout"
    ):
        declared({"timeout": 1, "retries": 3}, TaskPolicy())


def test_lengths_of_time_in_microseconds() -> None:
    assert micros("grace", 1.5) == micros("grace", timedelta(seconds=1.5)) == 1_500_000
    for wrong in (-1, math.inf, NAN, "1", None, True):
        with pytest.raises(ArgumentError, match="grace="):
            micros("grace", wrong)


def test_numbers_of_retries() -> None:
    assert checked_retries(3) == 3
    with pytest.raises(
        ArgumentError, match="max_retries=-1 cannot be used: pass a whole number from 0 to 2147483647"
    ):
        checked_retries(-1)

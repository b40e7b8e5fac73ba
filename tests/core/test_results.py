"""What `execute` may return: what becomes of it as JSON, and what is said about what cannot be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from jobledger.core.errors import ArgumentError
from jobledger.core.results import ResultError, encode_result, promises_result, read_result
from jobledger.core.task import ExecutionContext, Task

if TYPE_CHECKING:
    from elsewhere import Somewhere  # type: ignore[import-not-found]

T = TypeVar("T")


@dataclass
class Point:
    x: float
    y: float


class Silent(Task):
    def execute(self, context: ExecutionContext):  # type: ignore[no-untyped-def]
        """Say nothing about a result."""


class Nothing(Task):
    def execute(self, context: ExecutionContext) -> None:
        pass


class Number(Task):
    def execute(self, context: ExecutionContext) -> int:
        return 1


class Points(Task):
    async def execute(self, context: ExecutionContext) -> list[Point]:
        return []


class Loose(Task):
    def execute(self, context: ExecutionContext) -> dict[str, Any]:
        return {}


class Anything(Task):
    def execute(self, context: ExecutionContext) -> Any:
        return None


class Text(Task):
    def execute(self, context: ExecutionContext) -> str | None:
        return None


class Unresolved(Task):
    def execute(self, context: ExecutionContext) -> Somewhere:
        return None


class NoJson(Task):
    def execute(self, context: ExecutionContext) -> object:
        return None


class Step(Task, Generic[T]):
    def execute(self, context: ExecutionContext) -> T:
        raise NotImplementedError


def traced(execute: Any) -> Any:
    @wraps(execute)
    def wrapper(self: Any, context: Any) -> Any:
        return execute(self, context)

    return wrapper


class Decorated(Task):
    @traced
    def execute(self, context: ExecutionContext) -> int:
        return 1


@pytest.mark.parametrize("cls", [Number, Points, Loose, Anything, Text, Unresolved, NoJson, Step, Decorated])
def test_an_annotation_promises_a_result(cls: type[Task]) -> None:
    assert promises_result(cls)


@pytest.mark.parametrize("cls", [Silent, Nothing])
def test_without_one_nothing_is_promised(cls: type[Task]) -> None:
    assert not promises_result(cls)


@pytest.mark.parametrize(
    ("cls", "value", "data"),
    [
        (Silent, {"a": [1, None]}, b'{"a":[1,null]}'),
        (Silent, Point(1, 2), b'{"x":1,"y":2}'),
        (Silent, Path("a/b"), b'"a/b"'),
        (Silent, "null", b'"null"'),
        (Nothing, 5, b"5"),
        (Number, 3, b"3"),
        (Points, [Point(1.0, 2.0)], b'[{"x":1.0,"y":2.0}]'),
        (Points, (Point(1.0, 2.0),), b'[{"x":1.0,"y":2.0}]'),
        (Loose, {"at": Path("x"), "n": (1, 2)}, b'{"at":"x","n":[1,2]}'),
        (Anything, Path("a"), b'"a"'),
        (NoJson, [1], b"[1]"),
        (Unresolved, [1], b"[1]"),
        (Step, [1], b"[1]"),
        (Decorated, 7, b"7"),
    ],
)
def test_what_can_be_a_result(cls: type[Task], value: Any, data: bytes) -> None:
    assert encode_result(cls, value) == data


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("cls", "value", "said"),
    [
        (
            Silent,
            {"a": [object()]},
            r"Silent.execute returned .*: \['a'\]\[0\] of it: .* cannot be written as JSON",
        ),
        (Silent, {"rate": math.nan}, r"\['rate'\] of it: JSON has no nan and no infinity"),
        (Silent, LOOP, "it contains itself, or is nested too deeply"),
        (Silent, "\ud800", r"holds half a character \(a lone surrogate\)"),
        (
            Number,
            "three",
            r"Number.execute returned 'three', .* Expected `int`, got `str`.*annotation -> int says",
        ),
        (Points, [Point(1, 2), Point(math.inf, 2)], r"\[1\].x of it: JSON has no nan"),
        (Text, b"abc", r"it would arrive as 'YWJj'"),
        (Loose, {"a": math.nan}, r"\['a'\] of it: JSON has no nan"),
        (Loose, [1], "Expected `object`, got `array`"),
        (Unresolved, {1, object()}, "cannot be written as JSON"),
    ],
)
def test_what_cannot_is_told_with_its_place_and_the_way_out(cls: type[Task], value: Any, said: str) -> None:
    with pytest.raises(ResultError, match=said) as failure:
        encode_result(cls, value)
    assert "put the data into context.job_cache or a file and return its key or path" in str(failure.value)
    assert isinstance(failure.value, ArgumentError)
    assert isinstance(failure.value, TypeError)


def test_a_result_is_read_plainly_or_as_a_type() -> None:
    data = encode_result(Points, [Point(1.0, 2.0)])
    assert read_result(data) == [{"x": 1.0, "y": 2.0}]
    assert read_result(data, list[Point]) == [Point(1.0, 2.0)]
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert read_result(encode_result(Silent, at), datetime) == at
    assert read_result(None, int) is None


def test_a_result_of_another_type() -> None:
    with pytest.raises(
        ResultError, match=r"the result of task 3 is no list\[int\], at \[1\]: Expected `int`.*pass the type"
    ):
        read_result(b'[1,"2"]', list[int], whose="task 3")


def test_a_type_that_json_cannot_carry() -> None:
    with pytest.raises(ArgumentError, match=r"as_type=complex cannot be read from JSON: .*Pass a type"):
        read_result(b"1", complex)

"""Whatever users attach to lines, as data that can be stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.telemetry.plain import attributes, plain, text


class Colour(Enum):
    RED = "red"


@dataclass
class Box:
    size: int


class Hostile:
    def __repr__(self) -> str:
        raise SystemError

    __str__ = __repr__


class Scalar:
    """As numpy's numbers are."""

    ndim = 0

    def item(self) -> float:
        return 1.5


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        (1, 1),
        (2.5, 2.5),
        ("text", "text"),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        (b"bytes", "bytes"),
        (b"\xff", "\\xff"),
        ("half \udc80", "half ?"),
        ((1, [2, {"a": 3}]), [1, [2, {"a": 3}]]),
        ({1: Colour.RED}, {"1": "red"}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (Path("/a/b"), "/a/b"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.10"), "Decimal('1.10')"),
        (Box(3), "Box(size=3)"),
        (Scalar(), 1.5),
        (Hostile(), "<Hostile>"),
        ([Hostile()], ["<Hostile>"]),
    ],
)
def test_values_keep_what_they_say(value: Any, stored: Any) -> None:
    assert plain(value) == stored


def test_what_is_large_or_endless_is_cut() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert len(text("x" * 10_000)) == 4096
    assert len(plain(range(3)) or "") < 100
    assert len(plain(list(range(1000)))) == 64
    assert str(plain(endless)).count("[") < 10
    assert len(attributes({f"a{number}": 1 for number in range(1000)})) == 64


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_anything_can_be_stored(given: dict[str, Any]) -> None:
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(attributes(given)))
    for name, value in given.items():
        if isinstance(value, bool | float) and name == text(name):
            assert stored[name] == value or math.isnan(value)

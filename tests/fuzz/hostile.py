"""Values that programs stumble over, and strategies that make whole messages of them.

`hostile(kind)` draws instances of any type that travels, each of their fields as its type allows and as badly as that
goes. What no type allows is for `mutation` to make.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

#: what is no name, no path, no subject, no line, no column, and no number of characters to be taken lightly
TEXTS = (
    *("", " ", "\0", "a\0b", "\n", "a\r\nPUB jobledger 0\r\n\r\n", "*", ">", "a.b", ".", "..", "a b", "\t"),
    *(
        "../../../etc/passwd",
        "/etc/passwd",
        "C:\\nul",
        "%s%n{0}",
        "<script>alert(1)</script>",
        "'; DROP TABLE jobs",
    ),
    *(
        "\x1b[2J\x1b]0;x\x07",
        "\u202eabc",
        "\ufeff",
        "\U0010ffff",
        "ﬃ",
        "İ",
        "a" * 300,
        "é" * 5000,
        "\x7f",
        "-",
        "--help",
    ),
    *("nan", "None", "0", "-1", "01890a5d-ac96-774b-bcce-b302099a8057", '{"a":1}', "\u2028", "\ud7ff"),
)
INTEGERS = (
    *(-(2**63), -(2**63) + 1, -(2**31) - 1, -(10**12), -2, -1, 0, 1, 2, 3, 255, 256, 65_535, 65_536),
    *(
        2**31 - 1,
        2**31,
        2**32 - 1,
        2**32,
        10**12,
        2**53,
        2**53 + 1,
        253_402_300_800_000_000,
        2**62,
        2**63 - 1,
        2**63,
    ),
    2**64 - 1,
)
FLOATS = (math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 5e-324, 1e308, 1e18, 0.5)
BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"null",
    b"1",
    b'{"a":',
    b"\xed\xa0\x80",
    b"[" * 5000,
    b"x" * 5000,
    bytes(32),
    b'"\\ud800"',
)

#: one of each kind that a decoder may meet
VALUES: tuple[Any, ...] = (
    *(*TEXTS, *INTEGERS, *FLOATS, *BYTES, None, True, False),
    *([], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, [0, 10**12], [5, 2], [0], [-1, 0], [[[[[[]]]]]]),
)

texts = st.sampled_from(TEXTS) | st.text(max_size=8)
integers = st.sampled_from(INTEGERS) | st.integers(-3, 12)
floats = st.sampled_from(FLOATS)
octets = st.sampled_from(BYTES) | st.binary(max_size=8)


def hostile(kind: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw instances of a type that travels. Shape: `fields` are strategies for some of a struct's own fields."""
    return _of(inspect.type_info(kind), fields)


def _of(
    node: inspect.Type, fields: dict[str, st.SearchStrategy[Any]] | None = None
) -> st.SearchStrategy[Any]:
    match node:
        case inspect.Metadata():
            return _of(node.type)
        case inspect.StructType():
            given = fields or {}
            parts = [given[f.name] if f.name in given else _of_field(f) for f in node.fields]
            cls = node.cls
            return st.tuples(*parts).map(lambda values: cls(*values))
        case inspect.NamedTupleType():
            cls = node.cls
            return st.tuples(*(_of(field.type) for field in node.fields)).map(lambda values: cls(*values))
        case inspect.UnionType():
            return st.one_of(*map(_of, node.types))
        case inspect.ListType():
            return st.lists(_of(node.item_type), max_size=3)
        case inspect.VarTupleType():
            return st.lists(_of(node.item_type), max_size=3).map(tuple)
        case inspect.TupleType():
            return st.tuples(*map(_of, node.item_types))
        case inspect.DictType():
            return st.dictionaries(_of(node.key_type), _of(node.value_type), max_size=3)
        case inspect.IntType():
            return integers
        case inspect.FloatType():
            return floats
        case inspect.StrType():
            return texts
        case inspect.BytesType():
            return octets
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case _:
            return st.sampled_from(VALUES)


def _of_field(field: inspect.Field) -> st.SearchStrategy[Any]:
    """What has a default mostly has it: an instance of which everything is absurd fails at the first thing."""
    strategy = _of(field.type)
    if field.default is not msgspec.NODEFAULT:
        return st.one_of(st.just(field.default), strategy)
    if field.default_factory is not msgspec.NODEFAULT:
        return st.one_of(st.builds(field.default_factory), strategy)
    return strategy

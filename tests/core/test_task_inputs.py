"""Inputs of tasks: what they look like on the wire, that they come back equal, and what is refused when, and how."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import types
from collections import OrderedDict
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobledger.core.errors import ArgumentError
from jobledger.core.task import InputError, Task, TaskIdentifier, decode_input, encode_input


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Sphere(Point):
    radius: float = 1.0


@dataclass(frozen=True)
class Shape:
    points: list[Point]
    inside: Shape | None = None
    names: dict[str, Point] = field(default_factory=dict)


class Size(NamedTuple):
    width: int
    height: int


class Options(TypedDict, total=False):
    quality: int
    title: str


def define(name: str, **annotations: Any) -> Any:
    """Return a task class with these fields."""
    namespace = {"__annotations__": annotations, "__module__": __name__}
    return types.new_class(name, (Task,), exec_body=lambda body: body.update(namespace))


def of(annotation: Any) -> Any:
    """Return a task class with one field, `value`, of this type."""
    return define("One", value=annotation)


def wire(annotation: Any, value: Any) -> bytes:
    return encode_input(of(annotation)(value))


class Nothing(Task): ...


class Pair(Task):
    a: int
    b: str = "b"


class Tree(Task):
    name: str
    children: list[Tree] = field(default_factory=list)
    parent: Optional[Tree] = None  # noqa: UP045


# ---------------------------------------------------------------------------------------------------- the wire


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 3, b"3"),
        (str, 'a"ä', '"a\\"ä"'.encode()),
        (float, 1.5, b"1.5"),
        (float, 3, b"3"),
        (bool, True, b"true"),
        (Any, {"a": [1, None]}, b'{"a":[1,null]}'),
        (bytes, b"\x00\xff", b'"AP8="'),
        (bytearray, bytearray(b"ab"), b'"YWI="'),
        (list[int], [1, 2], b"[1,2]"),
        (tuple[int, str], (1, "a"), b'[1,"a"]'),
        (tuple[int, ...], [1, 2], b"[1,2]"),
        (set[int], {7}, b"[7]"),
        (dict[int, str], {1: "a"}, b'{"1":"a"}'),
        (int | None, None, b"null"),
        (Union[int, str], "1", b'"1"'),  # noqa: UP007
        (Literal["a", 1], 1, b"1"),
        (Colour, Colour.RED, b'"red"'),
        (Level, Level.HIGH, b"2"),
        (datetime, datetime(2024, 1, 2, 3, 4, 5), b'"2024-01-02T03:04:05"'),
        (datetime, datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=2))), b'"2024-01-02T00:00:00+02:00"'),
        (date, date(2024, 1, 2), b'"2024-01-02"'),
        (time, time(1, 2, 3), b'"01:02:03"'),
        (timedelta, timedelta(seconds=90), b'"PT90S"'),
        (UUID, UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Decimal, Decimal("1.10"), b'"1.10"'),
        (PurePath, PurePosixPath("a/b"), b'"a/b"'),
        (Path | None, Path("/a"), b'"/a"'),
        (ZoneInfo, ZoneInfo("Europe/Vienna"), b'"Europe/Vienna"'),
        (Point, Point(1, 2.0), b'{"x":1,"y":2.0}'),
        (Size, Size(1, 2), b"[1,2]"),
        (Options, {"quality": 3}, b'{"quality":3}'),
        (Pair, Pair(1), b'{"a":1,"b":"b"}'),
    ],
)
def test_one_field_travels_as_its_bare_value(annotation: Any, value: Any, expected: bytes) -> None:
    assert wire(annotation, value) == expected


def test_no_field_and_several() -> None:
    assert encode_input(Nothing()) == b""
    assert decode_input(Nothing, b"") == Nothing()
    assert encode_input(Pair(1, "x")) == b'{"a":1,"b":"x"}'
    assert decode_input(Pair, b' {"b": "x", "a": 1}\n') == Pair(1, "x")


def test_fields_may_stay_behind() -> None:
    class Kept(Task):
        a: int
        secret: str = field(default="?", metadata={"skip_serialization": True})
        callback: Any = field(init=False, metadata={"skip_serialization": True})

    task = Kept(1, "mine")
    assert encode_input(task) == b"1"
    assert decode_input(Kept, b"1").secret == "?"


def test_fields_outside_the_constructor_travel_too() -> None:
    @dataclass(frozen=True)
    class Counted(Task):
        a: int
        count: int = field(init=False, default=0)

    task = Counted(1)
    object.__setattr__(task, "count", 5)
    assert encode_input(task) == b'{"a":1,"count":5}'
    assert decode_input(Counted, encode_input(task)) == task


def test_names_a_struct_could_not_have() -> None:
    names = ["_private", "__struct_fields__", "__init__", "field0", "self"]
    odd = dataclasses.make_dataclass("Odd", [(name, int) for name in names[:1]], bases=(Task,))
    assert decode_input(odd, b"3")._private == 3

    class Names(Task):
        _private: int
        field1: int
        field0: int

    assert encode_input(Names(1, 2, 3)) == b'{"_private":1,"field1":2,"field0":3}'
    assert decode_input(Names, encode_input(Names(1, 2, 3))) == Names(1, 2, 3)


def test_recursive_inputs() -> None:
    tree = Tree("root", [Tree("a"), Tree("b", [Tree("c")])], parent=Tree("above"))
    assert decode_input(Tree, encode_input(tree)) == tree


# ---------------------------------------------------------------------------------------------- round trips

text = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
offsets = st.one_of(
    st.none(),
    st.just(UTC),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
scalars: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (str, text),
    (float, finite),
    (bool, st.booleans()),
    (bytes, st.binary()),
    (datetime, st.datetimes(timezones=offsets)),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(days=-9999), timedelta(days=9999))),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False)),
    (PurePosixPath, st.lists(st.text("abc.ä ", min_size=1)).map(lambda parts: PurePosixPath(*parts))),
    (ZoneInfo, st.sampled_from(["UTC", "Europe/Vienna", "America/New_York"]).map(ZoneInfo)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (type(None), st.none()),
    (Point, st.builds(Point, st.integers(), finite)),
    (Size, st.builds(Size, st.integers(), st.integers())),
    (
        Annotated[int, msgspec.Meta(ge=0)],
        st.integers(min_value=0),
    ),
]
hashable = [pair for pair in scalars if pair[0] is not Point]
keys = [pair for pair in scalars if pair[0] in (int, str, UUID, date, Colour, Level)]


def generic(origin: type, *arguments: Any) -> Any:
    return types.GenericAlias(origin, arguments)


def containers(
    inner: tuple[Any, st.SearchStrategy[Any]],
) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    annotation, values = inner
    return st.one_of(
        st.just((generic(list, annotation), st.lists(values, max_size=4))),
        st.just((generic(tuple, annotation, ...), st.lists(values, max_size=4).map(tuple))),
        st.just((generic(tuple, annotation, int), st.tuples(values, st.integers()))),
        st.just((Optional[annotation], st.none() | values)),  # noqa: UP045
        st.sampled_from(keys).map(
            lambda key: (generic(dict, key[0], annotation), st.dictionaries(key[1], values, max_size=4))
        ),
    )


sets = st.sampled_from(hashable).flatmap(
    lambda pair: st.sampled_from(
        [
            (generic(set, pair[0]), st.sets(pair[1], max_size=4)),
            (generic(frozenset, pair[0]), st.frozensets(pair[1], max_size=4)),
        ]
    )
)
typed = st.recursive(
    st.sampled_from(scalars) | sets, lambda inner: inner.flatmap(containers), max_leaves=3
).flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1]))


@given(st.lists(typed, min_size=1, max_size=3))
def test_every_supported_input_comes_back_equal(pairs: list[tuple[Any, Any]]) -> None:
    annotations = {f"field_{index}": pair[0] for index, pair in enumerate(pairs)}
    cls = define("Generated", **annotations)
    task = cls(*(pair[1] for pair in pairs))
    data = encode_input(task)
    again = decode_input(cls, data)
    assert again == task
    for name, (annotation, value) in zip(annotations, pairs, strict=True):
        if annotation in (int, str, float, bool, bytes, datetime):
            assert type(getattr(again, name)) is type(value)
    assert encode_input(again) == data or "set[" in str(annotations)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
)
anything = st.recursive(
    st.one_of(
        *(values for _, values in scalars), st.floats(), st.text(), st.complex_numbers(), st.builds(object)
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=4,
)


@given(st.sampled_from(scalars + [(generic(list, pair[0]), pair[1]) for pair in scalars]), anything)
@example((float, None), float("nan"))
@example((str, None), b"bytes")
@example((bytes, None), "abcd")
@example((dict[str, int], None), {1: 2})
def test_whatever_is_let_out_can_be_read_and_says_the_same(annotation: tuple[Any, Any], value: Any) -> None:
    cls = of(annotation[0])
    try:
        data = encode_input(cls(value))
    except InputError:
        return
    again = decode_input(cls, data)
    assert carries(again.value, value)
    assert decode_input(cls, encode_input(again)) == again


def carries(arrived: Any, value: Any) -> bool:
    if isinstance(value, list | tuple) and isinstance(arrived, list | tuple):
        return len(value) == len(arrived) and all(map(carries, arrived, value))
    return bool(arrived == value) or (isinstance(value, str) and not isinstance(arrived, str | bytes))


@given(st.sampled_from([Nothing, Pair, Tree, of(int), of(dict[str, int])]), st.binary())
def test_bytes_from_elsewhere_never_fail_in_another_way(cls: type[Task], data: bytes) -> None:
    with contextlib.suppress(InputError):
        decode_input(cls, data)


@given(json_values)
def test_any_takes_whatever_json_can_say(value: Any) -> None:
    assert decode_input(of(Any), wire(Any, value)).value == value


def test_a_day_with_a_repeated_hour() -> None:
    vienna = ZoneInfo("Europe/Vienna")
    for fold in (0, 1):
        repeated = datetime(2024, 10, 27, 2, 30, tzinfo=vienna, fold=fold)
        again = decode_input(of(datetime), wire(datetime, repeated)).value
        assert again.timestamp() == repeated.timestamp()


class Text(str): ...


class Number(int): ...


class Real(float): ...


class Moment(datetime): ...


class Day(date): ...


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, Text("a")),
        (int, Number(3)),
        (float, Real(1.5)),
        (datetime, Moment(2024, 1, 2, tzinfo=UTC)),
        (date, Day(2024, 1, 2)),
        (dict[str, int], OrderedDict(a=1)),
        (list[str], [Text("a")]),
    ],
)
def test_subclasses_of_plain_types(annotation: Any, value: Any) -> None:
    assert decode_input(of(annotation), wire(annotation, value)).value == value


@pytest.mark.parametrize(
    ("annotation", "value", "arrives"),
    [
        (Path, "a/b", Path("a/b")),
        (UUID, str(UUID(int=1)), UUID(int=1)),
        (datetime, "2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (Colour, "red", Colour.RED),
        (Level, 2, Level.HIGH),
        (tuple[float, float], [1, 2], (1.0, 2.0)),
        (list[Point], ({"x": 1}, Point(2)), [Point(1), Point(2)]),
        (Shape, Shape(({"x": 1, "y": 2.0},)), Shape([Point(1, 2.0)])),  # type: ignore[arg-type]
        (frozenset[int], [1, 2], frozenset({1, 2})),
    ],
)
def test_the_json_form_of_a_value_is_accepted(annotation: Any, value: Any, arrives: Any) -> None:
    assert decode_input(of(annotation), wire(annotation, value)).value == arrives


# ---------------------------------------------------------------------------------------------- refusals


class Awkward:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")


class Array:
    """Stands in for values of numerical libraries, whose comparison is no truth value."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    def tolist(self) -> list[int]:
        return [1]


looped: list[Any] = []
looped.append(looped)


@pytest.mark.parametrize(
    ("annotation", "value", "place", "reason"),
    [
        (int, "3", "", "Expected `int`, got `str`"),
        (int, 3.0, "", "Expected `int`, got `float`"),
        (int, True, "", "Expected `int`, got `bool`"),
        (int, None, "", "got `null`"),
        (bool, 1, "", "Expected `bool`, got `int`"),
        (float, True, "", "got `bool`"),
        (float, float("nan"), "", "nan"),
        (float, float("inf"), "", "infinity"),
        (list[float], [1.0, float("nan")], "[1]", "nan"),
        (float | None, float("nan"), "", "it would arrive as None"),
        (Any, float("nan"), "", "it would arrive as None"),
        (float, 2**53 + 1, "", "it would arrive as"),
        (str, b"ab", "", "it would arrive as 'YWI='"),
        (str, datetime(2024, 1, 2), "", "it would arrive as '2024"),
        (str, Colour.RED, "", "it would arrive as 'red'"),
        (str, "\ud800", "", "half a character"),
        (bytes, "abcd", "", "it would arrive as b"),
        (bytes, "abc", "", "base64"),
        (dict[str, int], {1: 2}, "", "it would arrive as {'1': 2}"),
        (dict[str, int], {"a": "b"}, "[...]", "Expected `int`"),
        (dict[str, Any], {"a": {"b": object()}}, "['a']['b']", "no JSON form"),
        (dict[Any, Any], {"a": {(1, 2): 1}}, "['a'] key (1, 2)", "no JSON form"),
        (list[int], [1, "a"], "[1]", "Expected `int`"),
        (list[Any], [1, {2, print}], "[1][", "cannot be written"),
        (list[int], 5, "", "Expected `array`"),
        (set[int], [1, 1], "", "it would arrive as {1}"),
        (list[int], (number for number in [1]), "", "generator"),
        (tuple[int, int], (1, 2, 3), "", "length 2"),
        (Colour, "green", "", "Invalid enum value 'green'"),
        (Literal["a"], "b", "", "Invalid enum value 'b'"),
        (Annotated[int, msgspec.Meta(ge=1)], 0, "", ">= 1"),
        (Point, Point("1"), ".x", "Expected `int`, got `str`"),  # type: ignore[arg-type]
        (Point, Sphere(1), "", "it would arrive as Point"),
        (Point, {"x": 1, "z": 2}, "", "it would arrive as Point"),
        (list[Shape], [Shape([Point(1), Point(None)])], "[0].points[1].x", "null"),  # type: ignore[arg-type]
        (Any, Point(1), "", "it would arrive as {'x': 1, 'y': 0.0}"),
        (UUID, "no", "", "Invalid UUID"),
        (ZoneInfo, "Mars/Base", "", "not a known ZoneInfo"),
        (Path, 3, "", "Expected `str` for a Path"),
        (datetime, datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Paris")), "", "it would arrive as"),
        (Any, Awkward(), "", "Awkward"),
        (Point, Point(Awkward()), ".x", "Awkward"),  # type: ignore[arg-type]
        (list[int], Array(), "", ".tolist()"),
        (Any, looped, "", "contains itself"),
        (Pair, Pair("a"), ".a", "Expected `int`"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_refused_at_submission(annotation: Any, value: Any, place: str, reason: str, several: bool) -> None:
    task = define("One", first=int, value=annotation)(1, value) if several else of(annotation)(value)
    with pytest.raises(InputError) as caught:
        encode_input(task)
    assert str(caught.value).startswith(f"One.value{place}")
    assert reason in str(caught.value)
    assert "not submitted" in str(caught.value)
    assert len(str(caught.value)) < 700
    assert isinstance(caught.value, ArgumentError)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


def test_a_number_python_does_not_write() -> None:
    with pytest.raises(InputError, match=r"One\.value does not take .*digits"):
        wire(int, 10**5000)


def test_a_field_without_a_value() -> None:
    class Later(Task):
        a: int = field(init=False)

    with pytest.raises(InputError, match=r"Later\.a has no value"):
        encode_input(Later())


@pytest.mark.parametrize("other", [3, "x", None, object(), Point(1), Task()])
def test_only_tasks_have_inputs(other: Any) -> None:
    with pytest.raises(InputError, match="a task is needed"):
        encode_input(other)


def test_a_class_is_no_task() -> None:
    with pytest.raises(InputError, match=r"not the class Pair: write Pair\(…\)"):
        encode_input(Pair)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (complex, "complex has no JSON form"),
        (list[dict[str, complex | None]], "complex has no JSON form"),
        (object, "object has no JSON form"),
        (str | Path, "unions"),
        (list[int] | set[int], "unions"),
        (enum.Enum("Half", {"A": 0.5}), "Enum"),
    ],
)
def test_types_without_a_json_form(annotation: Any, reason: str) -> None:
    with pytest.raises(InputError, match=r"One\.value cannot be the input of a task") as caught:
        wire(annotation, None)
    assert reason in str(caught.value)


def test_inputs_a_runner_could_not_rebuild() -> None:
    class Secret(Task):
        a: int = field(metadata={"skip_serialization": True})

    class Volatile(Task):
        a: int
        scale: InitVar[int]

    class Harmless(Task):
        a: int
        scale: InitVar[int] = 1

    with pytest.raises(InputError, match=r"Secret\.a is needed.*skip_serialization"):
        encode_input(Secret(1))
    with pytest.raises(InputError, match=r"Volatile\.scale is needed.*InitVar"):
        encode_input(Volatile(1, 2))
    assert encode_input(Harmless(1, 2)) == b"1"


def test_constructors_written_by_hand() -> None:
    class Fine(Task):
        a: int
        b: int = field(init=False)

        def __init__(self, a: int, **more: int) -> None:
            self.a, self.b = a, a + 1

    class Wrong(Task):
        a: int

        def __init__(self) -> None:
            self.a = 3

    class Demanding(Task):
        a: int

        def __init__(self, a: int, b: int) -> None:
            self.a = a

    assert decode_input(Fine, encode_input(Fine(1))) == Fine(1)
    with pytest.raises(InputError, match=r"Wrong\.a is a field that the class's own __init__ does not take"):
        encode_input(Wrong())
    with pytest.raises(InputError, match=r"Demanding\.b is needed"):
        encode_input(Demanding(1, 2))


def test_names_that_cannot_be_found() -> None:
    class Local: ...

    class Unresolved(Task):
        first: int
        value: list[Local]

    with pytest.raises(
        InputError, match=r"Unresolved.*field 'value'.*there is no 'Local' in module.*module level"
    ):
        encode_input(Unresolved(1, [Local()]))


def test_names_of_the_module_are_found_from_a_function() -> None:
    class Inner(Task):
        value: list[Point]
        colour: Colour = Colour.RED

    assert decode_input(Inner, encode_input(Inner([Point(1)]))) == Inner([Point(1)])


T = TypeVar("T")
U = TypeVar("U")


class Box(Task, Generic[T, U]):
    content: T
    others: dict[str, U] = field(default_factory=dict)


class HalfBox(Box[list[T], int], Generic[T], kw_only=True):
    more: T


def test_generic_tasks() -> None:
    class IntBox(Box[int, str]): ...

    assert encode_input(IntBox(1, {"a": "b"})) == b'{"content":1,"others":{"a":"b"}}'
    with pytest.raises(InputError, match=r"IntBox\.content does not take 'a'"):
        encode_input(IntBox("a"))  # type: ignore[arg-type]


def test_generic_tasks_of_generic_tasks() -> None:
    class PointBox(HalfBox[Point]): ...

    task = PointBox([Point(1)], {"a": 1}, more=Point(2))
    assert decode_input(PointBox, encode_input(task)) == task
    with pytest.raises(InputError, match=r"PointBox\.content\[0\]"):
        encode_input(PointBox([3], more=Point(2)))  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"PointBox\.more"):
        encode_input(PointBox([], more=3))  # type: ignore[arg-type]


def test_type_variables_left_open_take_any_json() -> None:
    assert encode_input(Box[int, int]([1, "a"], {})) == b'{"content":[1,"a"],"others":{}}'  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------- on the runner


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":"x"}', r"Pair\.a does not fit.*Expected `int`, got `str`"),
        (b'{"b":"x"}', r"Pair does not fit.*no value for 'a'"),
        (b'{"a":1,"c":2}', r"Pair does not fit.*unknown field `c`"),
        (b'{"a":1', r"Pair does not fit.*malformed|truncated"),
        (b"", r"Pair does not fit.*no value for 'a'"),
        (b"[1]", r"Pair does not fit.*Expected `object`"),
        (b"\xff", r"Pair does not fit"),
    ],
)
def test_a_misfit_on_the_runner(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        decode_input(Pair, data, TaskIdentifier("Pair", 0, 7))
    assert "Submitted was Pair v0.7, this runner has Pair v0.0" in str(caught.value)


def test_a_misfit_of_a_bare_value() -> None:
    with pytest.raises(InputError, match=r"One\.value\[1\] does not fit the input b'\[1,\"a\"\]'"):
        decode_input(of(list[int]), b'[1,"a"]')
    with pytest.raises(InputError, match=r"Nothing does not fit.*no field"):
        decode_input(Nothing, b"1")


def test_what_the_class_itself_refuses() -> None:
    class Picky(Task):
        a: int

        def __post_init__(self) -> None:
            if self.a > 3:
                raise KeyError("too large")

    with pytest.raises(InputError, match=r"refuses it with KeyError.*too large"):
        decode_input(Picky, b"4")


def test_a_minor_version_may_add_fields_with_defaults() -> None:
    class One(Task):
        a: dict[str, int] = field(default_factory=dict)

    class Two(Task):
        a: dict[str, int] = field(default_factory=dict)
        b: int = 2

    class Three(Task):
        a: dict[str, int] = field(default_factory=dict)
        b: int = 2
        c: int = 3

    assert decode_input(One, encode_input(Nothing())) == One()
    assert decode_input(Two, encode_input(Nothing())) == Two()
    assert decode_input(Two, encode_input(One({"x": 1}))) == Two({"x": 1})
    assert decode_input(Two, encode_input(One({}))) == Two()
    assert decode_input(Three, encode_input(Two({"x": 1}, 5))) == Three({"x": 1}, 5)

"""Task classes: what subclassing makes of them, and what is refused where they are defined."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import pickle
import subprocess
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jobledger.core.errors import ArgumentError
from jobledger.core.task import (
    ExecutionContext,
    Task,
    TaskIdentifier,
    decode_input,
    encode_input,
    identifier_of,
    is_executable,
)


class Resize(Task):
    image: str
    width: int = 128
    tags: list[str] = field(default_factory=list)

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = self.image


class Crop(Resize):
    height: int = 10

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Resize(self.image, self.height))


def define(namespace: dict[str, Any]) -> Any:
    """Return a task class with this body."""
    return types.new_class("Wrong", (Task,), exec_body=lambda body: body.update(namespace))


def test_a_subclass_is_a_dataclass() -> None:
    task = Resize("cat.png", tags=["pet"])

    assert [one.name for one in dataclasses.fields(Resize)] == ["image", "width", "tags"]
    assert repr(task) == "Resize(image='cat.png', width=128, tags=['pet'])"
    assert task == Resize("cat.png", 128, ["pet"])
    assert task != Resize("dog.png", 128, ["pet"])
    assert Resize("a").tags is not Resize("b").tags
    assert dataclasses.replace(task, width=1).width == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(task)
    with pytest.raises(TypeError, match="image"):
        Resize()  # type: ignore[call-arg]


def test_fields_come_after_those_of_the_base_class() -> None:
    assert [one.name for one in dataclasses.fields(Crop)] == ["image", "width", "tags", "height"]
    assert Crop("a", 1, [], 2).height == 2
    assert Crop("a") != Resize("a")


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))])
def test_tasks_can_be_pickled_and_copied(clone: Callable[[Task], Task]) -> None:
    task = Crop("cat.png", tags=["pet"])
    assert clone(task) == task


def test_options_in_the_class_line() -> None:
    class Frozen(Task, frozen=True, order=True, kw_only=True):
        a: int = 1
        b: str

    task = Frozen(b="x")
    assert hash(task) == hash(Frozen(a=1, b="x"))
    assert task < Frozen(a=2, b="x")
    with pytest.raises(FrozenInstanceError):
        task.a = 3  # type: ignore[misc]


def test_slots_in_the_class_line_and_in_a_decorator() -> None:
    class First(Task, slots=True):
        a: int

        def execute(self, context: ExecutionContext) -> None: ...

    @dataclass(slots=True, frozen=True)
    class Second(Task):
        a: int
        b: list[int] = field(default_factory=list)

    for task in (First(1), Second(1)):
        assert not hasattr(task, "__dict__")
        assert decode_input(type(task), encode_input(task)) == task


def test_an_explicit_dataclass_decorator_has_its_effect() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Sharpen(Task):
        tags: list[str] = field(default_factory=list)
        radius: int  # type: ignore[misc]  # mypy does not see the second decorator
        note: str = field(default="", metadata={"skip_serialization": True}, repr=False)

    task = Sharpen(radius=2, note="mine")
    assert repr(task).endswith("Sharpen(tags=[], radius=2)")
    assert encode_input(task) == b'{"tags":[],"radius":2}'
    assert isinstance(hash(Sharpen(tags=(), radius=1)), int)  # type: ignore[arg-type]
    with pytest.raises(FrozenInstanceError):
        task.radius = 3  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        Sharpen([], 2)


def test_an_explicit_decorator_after_the_class_was_used() -> None:
    class Blur(Task):
        radius: int = field(default=1, metadata={"skip_serialization": True})
        rest: int = 2

    assert encode_input(Blur()) == b"2"
    again = dataclass(kw_only=True)(Blur)
    assert again is Blur
    assert encode_input(Blur(rest=3)) == b"3"
    assert decode_input(Blur, b"4") == Blur(rest=4)


def test_the_decorator_keeps_methods_the_class_wrote_itself() -> None:
    @dataclass
    class Own(Task):
        a: int

        def __repr__(self) -> str:
            return "own"

    assert repr(Own(1)) == "own"


def test_a_required_field_after_an_optional_one() -> None:
    class Late(Crop):
        depth: int  # type: ignore[misc]

    with pytest.raises(TypeError, match=r"non-default argument 'depth'.*kw_only=True"):
        Late(depth=1)  # type: ignore[call-arg]

    @dataclass(kw_only=True)
    class ByName(Crop):
        depth: int  # type: ignore[misc]  # mypy does not see the second decorator

    assert ByName("cat.png", depth=1).depth == 1

    class InLine(Crop, kw_only=True):
        depth: int

    assert decode_input(InLine, encode_input(InLine("cat.png", depth=1))) == InLine("cat.png", depth=1)


def test_the_decorator_works_where_dataclasses_is_patched() -> None:
    # eventsourcing replaces an inner function of dataclasses for the whole process: hence a process of its own.
    script = (
        "import eventsourcing.domain\n"
        "from dataclasses import dataclass, field\n"
        "from jobledger.core.task import Task, encode_input\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class T(Task):\n"
        "    a: list[int] = field(default_factory=list)\n"
        "    b: int\n"
        'assert encode_input(T(b=1)) == b\'{"a":[],"b":1}\'\n'
        "assert hash(T(a=(), b=1))\n"
    )
    source = Path(inspect.getfile(Task)).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(source)}, timeout=60)


def test_abstract_tasks() -> None:
    class Step(Task, ABC):
        a: int

        @abstractmethod
        def work(self) -> int: ...

        def execute(self, context: ExecutionContext) -> None:
            self.work()

    class Concrete(Step):
        b: int

        def work(self) -> int:
            return self.a + self.b

    assert Concrete(1, 2).work() == 3
    assert is_executable(Concrete)
    assert not is_executable(Step)
    with pytest.raises(TypeError, match="abstract"):
        Step(1)  # type: ignore[abstract]


def test_execute_from_a_mixin() -> None:
    class Mixin:
        def execute(self, context: ExecutionContext) -> None: ...

    class Mixed(Mixin, Task):
        a: int

    assert is_executable(Mixed)


def test_a_task_without_execute_can_be_submitted_only() -> None:
    class Elsewhere(Task):
        a: int

    assert not is_executable(Elsewhere)
    assert is_executable(Resize)
    assert is_executable(Crop)
    assert encode_input(Elsewhere(1)) == b"1"
    with pytest.raises(NotImplementedError, match="Elsewhere has no execute"):
        Elsewhere(1).execute(None)  # type: ignore[arg-type]


def test_class_bodies_and_hooks_work_as_usual() -> None:
    class Registered(Task):
        name: str

        def __init_subclass__(cls, label: str = "", **keywords: Any) -> None:
            super().__init_subclass__(**keywords)
            cls.label = label

        def __post_init__(self) -> None:
            self.name = self.name.upper()

    class Labelled(Registered, label="x"):
        def execute(self, context: ExecutionContext) -> str:
            return super().name

    assert Labelled("a").name == "A"
    assert Labelled.label == "x"  # type: ignore[attr-defined]


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    return wrapper


def override(function: Callable[..., Any]) -> Callable[..., Any]:
    function.__override__ = True  # type: ignore[attr-defined]  # as typing.override does, from 3.12 on
    return function


class Accepted:
    def any_name(self, ctx: ExecutionContext) -> None: ...

    def positional(self, context: ExecutionContext, /) -> None: ...

    async def asynchronous(self, context: ExecutionContext) -> list[int]:
        return [1]

    @decorated
    def wrapped(self, context: ExecutionContext) -> None: ...

    @override
    def overriding(self, context: ExecutionContext) -> None: ...


class Refused:
    def no_context(self) -> None: ...

    def too_many(self, context: ExecutionContext, more: int = 1) -> None: ...

    def any_number(self, *args: Any, **keywords: Any) -> None: ...

    def by_name(self, *, context: ExecutionContext) -> None: ...

    @staticmethod
    def static(this: Any, context: ExecutionContext) -> None: ...

    @classmethod
    def of_the_class(cls, context: ExecutionContext) -> None: ...

    def generator(self, context: ExecutionContext) -> Any:
        yield 1

    async def asynchronous_generator(self, context: ExecutionContext) -> Any:
        yield 1

    value = 3


def methods(cls: type) -> list[Any]:
    return [pytest.param(value, id=name) for name, value in vars(cls).items() if not name.startswith("__")]


@pytest.mark.parametrize("execute", methods(Accepted))
def test_execute_is_accepted(execute: Any) -> None:
    assert is_executable(define({"execute": execute}))


@pytest.mark.parametrize("execute", methods(Refused))
def test_execute_is_refused_where_the_class_is_defined(execute: Any) -> None:
    with pytest.raises(TypeError, match=r"task class .*Wrong") as caught:
        define({"execute": execute})
    if inspect.isfunction(execute):
        assert f'"{__file__}", line {execute.__code__.co_firstlineno}' in str(caught.value)


@pytest.mark.parametrize("name", ["execute", "identifier"])
def test_methods_of_every_task_cannot_be_fields(name: str) -> None:
    with pytest.raises(TypeError, match=f"cannot be called '{name}'"):
        define({"__annotations__": {name: int}})


def test_the_default_identifier() -> None:
    assert identifier_of(Resize) == TaskIdentifier("Resize", 0, 0)
    assert identifier_of(Crop("a")) == TaskIdentifier("Crop", 0, 0)
    assert Crop.identifier() == ("Crop", "v0.0")


def test_identifiers_of_static_and_class_methods() -> None:
    class Named(Task):
        @staticmethod
        def identifier() -> tuple[str, str]:
            return "example.org/Named", "v3.14"

    class Derived(Named):
        @classmethod
        def identifier(cls) -> tuple[str, str]:
            return cls.__name__.lower(), "v0.1"

    class Same(Named):
        def execute(self, context: ExecutionContext) -> None: ...

    assert identifier_of(Named) == TaskIdentifier("example.org/Named", 3, 14)
    assert identifier_of(Derived()) == TaskIdentifier("derived", 0, 1)
    assert identifier_of(Same) == identifier_of(Named)


@pytest.mark.parametrize(
    "given",
    [
        ("", "v1.0"),
        ("x" * 257, "v1.0"),
        ("\ud800", "v1.0"),
        (b"x", "v1.0"),
        ("x", "1.0"),
        ("x", "v1"),
        ("x", "v1.0.0"),
        ("x", "v1.0\n"),
        ("x", "v-1.0"),
        ("x", "v\u0661.\u0660"),
        ("x", "v1." + "9" * 5000),
        ("x", None),
        "x",
        None,
        ("x", "v1.0", "more"),
    ],
)
def test_identifiers_are_refused_where_the_class_is_defined(given: Any) -> None:
    with pytest.raises(TypeError, match=r"task class .*Wrong.* line \d+.*@staticmethod"):
        define({"identifier": staticmethod(lambda: given)})


def test_an_identifier_must_not_need_an_instance() -> None:
    with pytest.raises(TypeError, match="static or class method"):
        define({"identifier": lambda self: ("x", "v1.0")})


def test_the_longest_name() -> None:
    identifier = TaskIdentifier.parse("ä" * 256, "v000000001.0")
    assert identifier.version == "v1.0"
    assert str(identifier) == "ä" * 256 + " v1.0"
    with pytest.raises(ArgumentError, match="257 characters"):
        TaskIdentifier.parse("ä" * 257, "v1.0")


@pytest.mark.parametrize(
    ("runner", "submitted", "runs"),
    [
        (("a", 1, 3), ("a", 1, 3), True),
        (("a", 1, 5), ("a", 1, 3), True),
        (("a", 1, 3), ("a", 1, 5), False),
        (("a", 2, 5), ("a", 1, 3), False),
        (("a", 1, 5), ("a", 2, 3), False),
        (("b", 1, 3), ("a", 1, 3), False),
    ],
)
def test_compatibility(runner: tuple[str, int, int], submitted: tuple[str, int, int], runs: bool) -> None:
    assert TaskIdentifier(*runner).runs(TaskIdentifier(*submitted)) is runs


@pytest.mark.parametrize("other", [3, "Resize", int, None, Task])
def test_what_is_no_task_has_no_identifier(other: Any) -> None:
    with pytest.raises(TypeError, match="subclass of Task"):
        identifier_of(other)

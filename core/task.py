"""What users subclass: a task is a dataclass whose fields are its input and whose `execute` is its work.

>>> class Thumbnail(Task):
...     image: str
...     width: int = 128
...
...     def execute(self, context: ExecutionContext) -> None:
...         context.logger.info("resizing %s", self.image)
>>> task = Thumbnail("cat.png", width=64)
>>> task
Thumbnail(image='cat.png', width=64)
>>> encode_input(task)
b'{"image":"cat.png","width":64}'
>>> decode_input(Thumbnail, b'{"image":"dog.png"}')
Thumbnail(image='dog.png', width=128)
>>> identifier_of(task)
TaskIdentifier(name='Thumbnail', major=0, minor=0)

Everything that can be known to be wrong with a task is refused where the class is defined, or else where the task is
submitted: never first on a runner.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from abc import ABCMeta
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, Unpack, dataclass_transform

import msgspec

from .automatic_dataclass import DATACLASS_OPTIONS, as_dataclass, undo_dataclass
from .context import ExecutionContext
from .errors import ArgumentError
from .inputs import InputError, decode_input, encode_input
from .options import OPTIONS, PolicyOptions, TaskPolicy, declared

__all__ = [
    "ExecutionContext",
    "InputError",
    "Task",
    "TaskClass",
    "TaskIdentifier",
    "decode_input",
    "encode_input",
    "identifier_of",
    "is_executable",
]

#: in characters
MAX_NAME = 256

_VERSION = re.compile(r"v([0-9]{1,9})\.([0-9]{1,9})")


class TaskIdentifier(msgspec.Struct, frozen=True, array_like=True):
    """Which code a task needs. The submitted one is recorded with the task; runners announce theirs.

    >>> task.identifier
    TaskIdentifier(name='Greet', major=0, minor=0)
    >>> print(task.identifier)
    Greet v0.0
    """

    name: str
    major: int
    minor: int

    @property
    def version(self) -> str:
        """As users write it.

        >>> TaskIdentifier("Thumbnail", 1, 2).version
        'v1.2'
        """
        return f"v{self.major}.{self.minor}"

    @classmethod
    def parse(cls, name: str, version: str) -> TaskIdentifier:
        """Return the identifier users write as a name and a version.

        >>> TaskIdentifier.parse("Thumbnail", "v1.2")
        TaskIdentifier(name='Thumbnail', major=1, minor=2)

        Errors: ArgumentError unless the name has 1 to 256 characters and the version reads `v<int>.<int>`.
        """
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
            size = f"{len(name)} characters" if isinstance(name, str) else f"a {type(name).__name__}"
            raise ArgumentError(f"a task's name is text of 1 to {MAX_NAME} characters, not {size}")
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ArgumentError(f"the task name {name!r} holds half a character (a lone surrogate)")
        match = _VERSION.fullmatch(version) if isinstance(version, str) else None
        if match is None:
            raise ArgumentError(f"a task's version reads 'v<int>.<int>', such as 'v1.2', not {version!r}")
        return cls(name, int(match[1]), int(match[2]))

    def runs(self, submitted: TaskIdentifier) -> bool:
        """Whether code of this identifier may run a task submitted with that one: a newer minor version may.

        >>> TaskIdentifier("Thumbnail", 1, 5).runs(TaskIdentifier("Thumbnail", 1, 3))
        True
        >>> TaskIdentifier("Thumbnail", 2, 0).runs(TaskIdentifier("Thumbnail", 1, 3))
        False
        """
        return self.name == submitted.name and self.major == submitted.major and self.minor >= submitted.minor

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass_transform(field_specifiers=(dataclasses.field,))
class TaskMeta(ABCMeta):
    """Makes each subclass of `Task` a dataclass, and checks what can be checked before anything is submitted."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **keywords: Any
    ) -> TaskMeta:
        options = {key: keywords.pop(key) for key in DATACLASS_OPTIONS & keywords.keys()}
        policy = {key: keywords.pop(key) for key in OPTIONS & keywords.keys()}
        try:
            cls = super().__new__(mcls, name, bases, namespace, **keywords)
        except TypeError as error:
            if not keywords or "takes no keyword arguments" not in str(error):
                raise
            raise TypeError(_unknown_option(name, keywords)) from error
        if not any(isinstance(base, TaskMeta) for base in bases):
            return cls  # Task itself
        _check_names(cls)
        # A slotted dataclass is a copy of the class: the copy arrives here complete.
        if "__dataclass_fields__" not in namespace:
            cls = as_dataclass(cls, options)
        _check_execute(cls)
        try:
            type.__setattr__(cls, "__task_policy__", declared(policy, cls.__task_policy__))  # type: ignore[attr-defined]
        except ArgumentError as error:
            raise TypeError(f"{_where(cls)}: {error}") from error
        type.__setattr__(cls, "__task_identifier__", _identify(cls))
        type.__setattr__(cls, "__input_codec__", None)
        return cls

    def __setattr__(cls, name: str, value: Any) -> None:
        if name == "__dataclass_params__" and undo_dataclass(cls):  # decorated by the user as well
            type.__setattr__(cls, "__input_codec__", None)
        super().__setattr__(name, value)


class Task(metaclass=TaskMeta):
    """A unit of work. Subclass it, annotate the inputs as in a dataclass, and write `execute`.

    The subclass is a dataclass; options go into the class line (`class Crop(Task, frozen=True)`) or into an explicit
    `@dataclass(…)`. A class without `execute` can be submitted but not run: another process may have the code.

    How it runs is said in the class line too, by the words of `PolicyOptions`, and may be said anew where it is
    submitted: `class Fetch(Task, timeout=30, retry=Retry(3, delay=1.0))`. Subclasses inherit it.

    Inputs: str, int, float, bool, bytes, None; list, tuple, set, frozenset, dict; Optional, unions, Literal, Enum;
    datetime, date, time, timedelta, ZoneInfo; UUID, Decimal, paths; dataclasses, NamedTuple, TypedDict; and any
    nesting of them. `Annotated[int, msgspec.Meta(ge=1)]` limits a value. A field with
    `metadata={"skip_serialization": True}` stays behind: it needs a default, which the runner then sees.

    >>> class Thumbnail(Task, timeout=30, retry=Retry(3, delay=1.0)):
    ...     image: str
    ...     width: int = 128
    ...
    ...     def execute(self, context: ExecutionContext) -> str:
    ...         return f"{self.image} at {self.width}"
    >>> Thumbnail("cat.png", width=64)
    Thumbnail(image='cat.png', width=64)
    >>> InlineClient().run(Thumbnail("cat.png")).result
    'cat.png at 128'
    """

    __slots__ = ()

    __task_identifier__: ClassVar[TaskIdentifier]
    __task_policy__: ClassVar[TaskPolicy] = TaskPolicy()
    __input_codec__: ClassVar[Any] = None

    if TYPE_CHECKING:  # the metaclass takes these words; type checkers look for them here

        def __init_subclass__(cls, **options: Unpack[PolicyOptions]) -> None: ...

    def execute(self, context: ExecutionContext) -> Any:
        """Do the work; may be `async def`. Whatever it raises fails this attempt.

        What it returns is the task's result, which those who depend on it and whoever submitted the job can read: a
        value that JSON can carry, as for inputs.

        A task may run more than once (a runner can be lost just after the work was done), so it must be idempotent.

        >>> class Ping(Task):
        ...     host: str
        ...
        ...     async def execute(self, context: ExecutionContext) -> float:
        ...         await asyncio.sleep(0.001)
        ...         return 0.001
        >>> InlineClient().run(Ping("example.org")).result
        0.001
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no execute: it can be submitted, not run. "
            "Run it with the class that implements it"
        )

    @classmethod
    def identifier(cls) -> tuple[str, str]:
        """Return (name, version). Override as a static or class method to survive a renaming, and to have versions.

        A runner takes tasks of its own major version whose minor version is not above its own.

        >>> class Thumbnail(Task):
        ...     @staticmethod
        ...     def identifier() -> tuple[str, str]:
        ...         return "example.org/Thumbnail", "v1.2"
        ...
        ...     def execute(self, context: ExecutionContext) -> None: ...
        >>> client.runner(tasks=[Thumbnail, Greet]).tasks_to_run
        [TaskIdentifier(name='example.org/Thumbnail', major=1, minor=2), TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        return cls.__name__, "v0.0"


#: What a runner takes. Type checkers see a list of task classes, [A, B], as a list of their metaclass.
TaskClass: TypeAlias = type[Task] | TaskMeta


def identifier_of(task: Task | type[Task]) -> TaskIdentifier:
    """Return which code this task, or task class, is.

    Errors: InputError (a TypeError) for anything else.
    """
    found = getattr(task, "__task_identifier__", None)
    if found is None:
        raise InputError(f"a task or a subclass of Task is needed, not {task!r}")
    return found  # type: ignore[no-any-return]


def is_executable(cls: type[Task]) -> bool:
    """Whether a runner can run this class: it has `execute`, and nothing is left abstract.

    >>> class Elsewhere(Task):
    ...     size: int
    >>> is_executable(Elsewhere)
    False
    """
    return cls.execute is not Task.execute and not inspect.isabstract(cls)


def _check_names(cls: type) -> None:
    for name in inspect.get_annotations(cls).keys() & {"execute", "identifier"}:
        raise TypeError(
            f"{_where(cls)}: a field cannot be called {name!r}, that is a method of every task. Rename the field"
        )


def _check_execute(cls: type) -> None:
    execute = inspect.getattr_static(cls, "execute")
    if execute is vars(Task)["execute"]:
        return
    wanted = "Write `def execute(self, context: ExecutionContext) -> None:`, or `async def`"
    if isinstance(execute, staticmethod | classmethod) or not callable(execute):
        raise TypeError(f"{_where(cls, execute)}: execute must be an ordinary method. {wanted}")
    if inspect.isgeneratorfunction(execute) or inspect.isasyncgenfunction(execute):
        raise TypeError(
            f"{_where(cls, execute)}: execute contains `yield`, so calling it would run nothing. "
            "Submit further work with context.submit_subtask instead"
        )
    signature = inspect.signature(execute)
    parameters = list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 2 or any(parameter.kind not in positional for parameter in parameters):
        raise TypeError(
            f"{_where(cls, execute)}: execute must take exactly (self, context), not {signature}. {wanted}. "
            "Inputs are fields of the class; a decorator around execute needs functools.wraps"
        )


def _identify(cls: TaskMeta) -> TaskIdentifier:
    method = inspect.getattr_static(cls, "identifier")
    remedy = (
        'Write `@staticmethod` over `def identifier() -> tuple[str, str]: return "example.org/Name", "v1.0"`'
    )
    if not isinstance(method, staticmethod | classmethod):
        raise TypeError(f"{_where(cls, method)}: identifier must be a static or class method. {remedy}")
    try:
        name, version = cls.identifier()  # type: ignore[attr-defined]
        return TaskIdentifier.parse(name, version)
    except Exception as error:
        raise TypeError(
            f"{_where(cls, method.__func__)}: identifier() gives no name and version: {error}. {remedy}"
        ) from error


def _unknown_option(name: str, options: Iterable[str]) -> str:
    return (
        f"task class {name}: {', '.join(map(repr, options))} is no option of a task: there are "
        f"{', '.join(sorted(OPTIONS))}, and those of a dataclass"
    )


def _where(cls: type, function: object = None) -> str:
    """Name the class, and the line of the function where it is known."""
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    place = f' (file "{code.co_filename}", line {code.co_firstlineno})' if code else ""
    return f"task class {cls.__module__}.{cls.__qualname__}{place}"

"""The result of a task: what `execute` returned <-> JSON, and the proof that its readers get it whole.

>>> from .task import ExecutionContext, Task
>>> class Count(Task):
...     text: str
...
...     def execute(self, context: ExecutionContext) -> dict[str, int]:
...         return {word: self.text.split().count(word) for word in self.text.split()}
>>> encode_result(Count, {"a": 2, "b": 1})
b'{"a":2,"b":1}'
>>> read_result(b'{"a":2,"b":1}', dict[str, int])
{'a': 2, 'b': 1}

A task whose `execute` says that it returns something promises a result: a value that cannot be one fails the attempt.
One that says nothing may have been written where results are ignored: what it returns is kept if that is possible.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from .errors import ArgumentError
from .json_values import decoder_for, encode, is_open, located, misfit, show, type_name, unwritable

if TYPE_CHECKING:
    from .task import Task


class ResultError(ArgumentError, TypeError):
    """What a task returned cannot be its result, or is not what its reader expects. Names the place and the remedy.

    The first fails the attempt, and is the `error` of the task and of its job; the second is raised by
    `context.results(as_type=…)`.

    >>> class Count(Task):
    ...     def execute(self, context: ExecutionContext) -> int:
    ...         return "many"
    >>> job = client.jobs().submit("counting", Count())
    >>> client.runner(tasks=[Count]).run_all()
    ERROR: Task Count failed ...
    >>> print(job.error)
    ResultError: Count.execute returned 'many', which cannot be its result: ...
    """


def promises_result(cls: type[Task]) -> bool:
    """Whether `execute` is annotated to return something other than None."""
    return _returns(cls).promised


def encode_result(cls: type[Task], value: Any) -> bytes:
    """Return what a task of this class returned as it travels.

    Errors: ResultError when it has no JSON form, or does not fit the annotation.
    """
    expected = _returns(cls)
    if expected.decode is not None:
        try:
            data = encode(value)
            if expected.decode(data) == value:
                return data
        except Exception:  # noqa: BLE001, S110  objects of users may raise anything; it is found again and explained
            pass
    found = _misfit(value, expected)
    if found is not None:
        place, reason = found
        part = f"{place.strip()} of it: " if place else ""
        remedy = "Return what JSON can carry"
        if expected.decode is not None:
            remedy += f" and what the annotation -> {type_name(expected.type)} says, or change the annotation"
        raise ResultError(
            f"{cls.__qualname__}.execute returned {show(value)}, which cannot be its result: {part}{reason}. {remedy}; "
            "or put the data into context.job_cache or a file and return its key or path"
        )
    return encode(value)


def read_result(data: bytes | None, as_type: Any = Any, *, whose: str = "the task") -> Any:
    """Return a result as a value of this type; None where there is none. Any: as JSON has it.

    Errors: ArgumentError for a type that has no JSON form; ResultError, which names `whose` result does not fit it.
    """
    return result_reader(as_type)(data, whose)


def result_reader(as_type: Any = Any) -> Callable[[bytes | None, str], Any]:
    """Return the function that reads many results, as `read_result` does one."""
    try:
        decode = decoder_for(as_type)
    except Exception as error:
        raise ArgumentError(
            f"as_type={type_name(as_type):.200} cannot be read from JSON: {error}. Pass a type that JSON can carry (see "
            "Task), or none to get the plain value"
        ) from error

    def read(data: bytes | None, whose: str) -> Any:
        if data is None:
            return None
        try:
            return decode(data)
        except Exception as error:
            place, reason = located(error)
            where = f", at {place}" if place else ""
            raise ResultError(
                f"the result of {whose} is no {type_name(as_type):.200}{where}: {reason}. It is {show(data)}: pass "
                "the type it was returned as, or none to get the plain value"
            ) from error

    return read


class _Returns(NamedTuple):
    """What `execute` of a class is annotated to return."""

    type: Any
    decode: (
        Callable[[bytes], Any] | None
    )  #: None where the annotation says nothing that values could be held against
    promised: bool
    loose: bool = True  #: what arrives need not equal what was sent: `Any` in the annotation allows for that


def _misfit(value: Any, expected: _Returns) -> tuple[str, str] | None:
    """Return where and why `value` is no such result, or None if it is one."""
    if expected.decode is not None and not expected.loose:
        return misfit(value, expected.decode)
    found = unwritable(value)
    if found is None and expected.decode is not None:
        try:
            expected.decode(encode(value))
        except Exception as error:  # noqa: BLE001  also from the constructors of users
            return located(error)
    return found


_known: WeakKeyDictionary[type, _Returns] = WeakKeyDictionary()


def _returns(cls: type[Task]) -> _Returns:
    found = _known.get(cls)
    if found is None:
        found = _known[cls] = _find(cls)
    return found


def _find(cls: type[Task]) -> _Returns:
    execute: Any = inspect.unwrap(cls.execute)
    annotation = inspect.get_annotations(execute).get("return")
    if annotation in (None, type(None), "None"):
        return _Returns(None, None, promised=False)

    def lookup() -> None: ...

    lookup.__annotations__ = {"return": annotation}
    names = {parameter.__name__: parameter for parameter in getattr(cls, "__type_params__", ())}
    try:
        hints = typing.get_type_hints(
            lookup, execute.__globals__, {**vars(cls), **names}, include_extras=True
        )
        hint = hints["return"]
        return _Returns(hint, decoder_for(hint), hint is not type(None), is_open(hint))
    except Exception:  # noqa: BLE001  imported for type checkers only, or of no JSON form: then the value decides
        return _Returns(annotation, None, promised=True)

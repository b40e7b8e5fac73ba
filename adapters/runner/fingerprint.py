"""What the code of a task class is, as a hash: results are reused only where it is the same.

The source text of its methods counts, also of those it inherits, so that the hash is the same in every process, on
every machine and in every version of Python. Comments count, the place in the file does not. Where there is no source
(a REPL, a program shipped as bytecode) the bytecode counts, which differs between versions of Python. Beside the
methods count the constants of the class, and those its methods were closed over: numbers, texts, and tuples of them.

What the methods call outside of the class does not count: when that changes, a new version in `Task.identifier` says so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cached_property, partialmethod
from types import CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from jobledger.core.task import Task

_PLAIN = (str, bytes, int, float, complex, bool, type(None))
#: classes that have no code of the user's
_NOT_OURS = ("builtins", "abc", "typing", Task.__module__)
#: where the methods come from that dataclasses write; they say nothing that the fields do not
_WRITTEN_BY_DATACLASS = ("<string>", dataclasses.__file__)

_known: WeakKeyDictionary[type, bytes] = WeakKeyDictionary()


def fingerprint(cls: type[Task]) -> bytes:
    """Return the SHA-256 of the code of a class, as it was when it was first asked for.

    To be asked for soon after the class was loaded: the source is read from its file, which may be edited later.
    """
    found = _known.get(cls)
    if found is None:
        digest = hashlib.sha256()
        for part in _class_parts(cls):
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8) + data)  # the length: parts must not run into each other
        found = _known[cls] = digest.digest()
    return found


def _class_parts(cls: type) -> Iterator[str | bytes]:
    for owner in cls.__mro__:
        if owner.__module__ not in _NOT_OURS:
            for name, member in sorted(vars(owner).items()):
                for part in _member_parts(name, member):
                    yield name
                    yield part


def _member_parts(name: str, member: Any) -> Iterator[str | bytes]:
    dunder = name.startswith("__") and name.endswith("__")
    functions = list(_functions(member))
    for function in functions:
        if not (dunder and function.__code__.co_filename in _WRITTEN_BY_DATACLASS):
            yield from _function_parts(function)
    if not functions and not dunder and _is_constant(member):
        yield repr(member)


def _functions(member: Any) -> Iterator[FunctionType]:
    """Yield the functions that a member of a class consists of, without what is wrapped around them."""
    several: list[Any] = [member]
    if isinstance(member, staticmethod | classmethod):
        several = [member.__func__]
    elif isinstance(member, property):
        several = [member.fget, member.fset, member.fdel]
    elif isinstance(member, cached_property | partialmethod):
        several = [member.func]
    for one in several:
        bare = inspect.unwrap(one) if callable(one) else one
        if isinstance(bare, FunctionType):
            yield bare


def _function_parts(function: FunctionType) -> Iterator[str | bytes]:
    try:
        yield "\n".join(line.rstrip() for line in textwrap.dedent(inspect.getsource(function)).splitlines())
    except (OSError, TypeError, SyntaxError):
        yield from _bytecode(function.__code__)
        yield from (repr(value) for value in function.__defaults__ or () if _is_constant(value))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        if _is_constant(value):
            yield f"{name}={value!r}"


def _bytecode(code: CodeType) -> Iterator[str | bytes]:
    yield code.co_code
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _bytecode(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)


def _is_constant(value: Any) -> bool:
    """Whether the repr of a value is the same in every process."""
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_constant, value)))

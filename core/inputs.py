"""The input of a task: its fields <-> bytes, and the proof at submission that a runner can read them.

On the wire: no fields, no bytes; one field, its bare JSON value; several fields, a JSON object by field name. Other
languages can read and write that. Fields with the metadata `skip_serialization` stay behind.

Every input is decoded again before it is let out, as the runner will decode it, and must come back equal. It costs
about a microsecond, and leaves nothing to be discovered on the runner: neither a wrong type nor a value that JSON
quietly changes, such as nan (null), integer keys for text ones, or bytes in a text field (base64).
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET

from .errors import ArgumentError
from .field_types import UnresolvedType, field_types
from .json_values import decoder_for, encode, located, misfit, show, type_name

if TYPE_CHECKING:
    from .task import Task, TaskIdentifier

_TaskT = TypeVar("_TaskT", bound="Task")
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class InputError(ArgumentError, TypeError):
    """The input of a task does not fit its class. Names the class, the field, the value and the way out.

    Raised where the task is submitted, and nothing is submitted then. On a runner it fails the attempt: its class is
    not the one that was submitted.

    >>> client.jobs().submit("greetings", Greet(name=5))
    Traceback (most recent call last):
    InputError: Greet.name does not take 5: Expected `str`, got `int`. The task was not submitted. Pass a value ...
    """


def encode_input(task: Task) -> bytes:
    """Return the input of the task as it travels.

    Errors: InputError (an ArgumentError and a TypeError) when a value does not fit the annotation of its field or has
            no JSON form, and when the class has a field that no runner could fill.
    """
    codec: InputCodec | None = getattr(task, "__input_codec__", None)
    if isinstance(task, type):
        raise InputError(
            f"an instance is needed, not the class {task.__qualname__}: write {task.__name__}(…)"
        )
    if codec is None:
        codec = input_codec(type(task))
    return codec.encode(task)


def decode_input(cls: type[_TaskT], data: bytes, submitted: TaskIdentifier | None = None) -> _TaskT:
    """Return a new task of this class with the input that `encode_input` gave.

    Fields that the bytes do not mention take their defaults. So a minor version may add fields that have one, even if
    the form on the wire changes by that, from nothing to a bare value or from a bare value to an object.

    Errors: InputError saying which field did not fit, and which version was submitted, if `submitted` is given.
    """
    codec: InputCodec = cls.__input_codec__ or input_codec(cls)
    try:
        return codec.build(codec.decode(data))  # type: ignore[return-value]
    except Exception as error:
        if isinstance(error, msgspec.MsgspecError):
            place, reason = located(error)
        else:
            place, reason = "", f"the class refuses it with {error!r}"
        sender = f"Submitted was {submitted}" if submitted else "Which version was submitted is not known"
        raise InputError(
            f"{codec.names}{place} does not fit the input {show(data)}: {reason}. "
            f"{sender}, this runner has {cls.__task_identifier__}. Register the code the task was submitted for, or "
            "give fields added since a default and keep the others; a change that breaks older input needs a new "
            "major version"
        ) from error


def input_codec(cls: type[Task]) -> InputCodec:
    """Return how tasks of this class travel. Made on first use, when every name in its annotations is defined.

    Errors: InputError when an annotation cannot be resolved or has no JSON form, or a field could never be filled.
    """
    if not hasattr(cls, "__task_identifier__"):
        raise InputError(
            f"a task is needed, not an instance of {cls.__qualname__}. Pass an instance of a subclass of Task"
        )
    fields = _wire_fields(cls)
    codec = (NoField, OneField, SeveralFields)[min(len(fields), 2)](cls, fields)
    cls.__input_codec__ = codec
    return codec


class WireField(msgspec.Struct, frozen=True):
    """A field that travels."""

    name: str
    type: Any
    required: bool
    init: bool  #: taken by `__init__`
    decode: Callable[[bytes], Any]


def _wire_fields(cls: type[Task]) -> list[WireField]:
    try:
        types = field_types(cls)
    except UnresolvedType as error:
        raise InputError(f"{cls.__qualname__} cannot be submitted: {error}") from error
    found = []
    for field in dataclasses.fields(cls):
        if field.metadata.get("skip_serialization"):
            continue
        hint = types[field.name]
        try:
            decode = decoder_for(hint)
        except Exception as error:
            raise InputError(
                f"{cls.__qualname__}.{field.name} cannot be the input of a task: annotated {type_name(hint)}, but "
                f"{error}. Annotate types that JSON can carry (see Task), such as a path or key to the data"
            ) from error
        found.append(WireField(field.name, hint, _lacks_default(field), field.init, decode))
    _check_constructor(cls, {field.name for field in found if field.init})
    return found


def _check_constructor(cls: type[Task], given: set[str]) -> None:
    """Raise InputError unless the class can be called with these names alone, as a runner will."""
    _self, *parameters = inspect.signature(cls.__init__).parameters.values()
    needed = {one.name for one in parameters if one.default is one.empty and one.kind not in _ANY_NUMBER}
    if lost := sorted(needed - given):
        raise InputError(
            f"{cls.__qualname__}.{lost[0]} is needed to make the task but is not part of its input: it is an InitVar, "
            "marked skip_serialization, or no field. A runner could not make the task again: give it a default, or "
            "make it a field that travels"
        )
    by_name = any(one.kind is one.VAR_KEYWORD for one in parameters)
    if not by_name and (unknown := sorted(given - {one.name for one in parameters})):
        raise InputError(
            f"{cls.__qualname__}.{unknown[0]} is a field that the class's own __init__ does not take, so a runner could "
            "not make the task again. Take it, or mark the field with init=False"
        )


def _lacks_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


class InputCodec:
    """How the tasks of one class travel."""

    def __init__(self, cls: type[Task], fields: list[WireField]) -> None:
        self.cls = cls
        self.fields = fields
        self._only_init = all(field.init for field in fields)

    @property
    def names(self) -> str:
        """What an error about the input as a whole begins with; a place in it may follow."""
        return self.cls.__qualname__

    def encode(self, task: Task) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> dict[str, Any]:
        """Return the values of the fields that the bytes mention. Errors: msgspec.MsgspecError."""
        raise NotImplementedError

    def build(self, values: dict[str, Any]) -> Task:
        """Return the task with these values."""
        for field in self.fields:
            if field.required and field.init and field.name not in values:
                raise msgspec.ValidationError(f"there is no value for {field.name!r}, which has no default")
        if self._only_init:
            return self.cls(**values)
        given = [field for field in self.fields if field.name in values]
        task = self.cls(**{field.name: values[field.name] for field in given if field.init})
        for field in given:
            if not field.init:
                object.__setattr__(task, field.name, values[field.name])  # as it was sent, also if frozen
        return task

    def _values(self, task: Task) -> list[Any]:
        """Return the values of the fields, each of which can travel, in order."""
        values = []
        for field in self.fields:
            try:
                value = getattr(task, field.name)
            except AttributeError:
                raise InputError(f"{self.cls.__qualname__}.{field.name} has no value. Set it first") from None
            found = misfit(value, field.decode)
            if found is not None:
                place, reason = found
                raise InputError(
                    f"{self.cls.__qualname__}.{field.name}{place} does not take {show(value)}: {reason}. "
                    f"The task was not submitted. Pass a value that fits the annotation {type_name(field.type)}, or "
                    "change the annotation"
                )
            values.append(value)
        return values


class NoField(InputCodec):
    """No bytes."""

    def encode(self, task: Task) -> bytes:
        return b""

    def decode(self, data: bytes) -> dict[str, Any]:
        if data:
            raise msgspec.ValidationError("the class has no field to take it")
        return {}


class OneField(InputCodec):
    """The bare value."""

    def __init__(self, cls: type[Task], fields: list[WireField]) -> None:
        super().__init__(cls, fields)
        self._name = fields[0].name
        self._get = attrgetter(self._name)
        self._decode = fields[0].decode

    @property
    def names(self) -> str:
        return f"{self.cls.__qualname__}.{self._name}"

    def encode(self, task: Task) -> bytes:
        try:
            value = self._get(task)
            data = encode(value)
            if self._decode(data) == value:
                return data
        except Exception:  # noqa: BLE001, S110  objects of users may raise anything; it is found again and explained
            pass
        return encode(self._values(task)[0])

    def decode(self, data: bytes) -> dict[str, Any]:
        return {self._name: self._decode(data)} if data else {}


class SeveralFields(InputCodec):
    """An object by field name."""

    def __init__(self, cls: type[Task], fields: list[WireField]) -> None:
        super().__init__(cls, fields)
        self._names = [field.name for field in fields]
        self._get = attrgetter(*self._names)
        # Renamed, because a field may be called what an attribute of a Struct may not.
        keys = {f"field{index}": field.name for index, field in enumerate(fields)}
        self._row: Any = msgspec.defstruct(
            cls.__name__,
            [(key, field.type, UNSET) for key, field in zip(keys, fields, strict=True)],
            rename=keys,
            forbid_unknown_fields=True,  # a misspelt field would silently take its default
        )
        self._decode = decoder_for(self._row)
        first, *others = fields
        self._sole = None if any(field.required for field in others) else first

    def encode(self, task: Task) -> bytes:
        try:
            row = self._row(*self._get(task))
            data = encode(row)
            if self._decode(data) == row:
                return data
        except Exception:  # noqa: BLE001, S110  objects of users may raise anything; it is found again and explained
            pass
        return encode(self._row(*self._values(task)))

    def decode(self, data: bytes) -> dict[str, Any]:
        if not data:
            return {}
        try:
            row = msgspec.structs.astuple(self._decode(data))
        except msgspec.ValidationError:
            # Submitted when the class had its first field only?
            if self._sole is None:
                raise
            try:
                return {self._sole.name: self._sole.decode(data)}
            except msgspec.ValidationError:
                pass
            raise
        return {name: value for name, value in zip(self._names, row, strict=True) if value is not UNSET}

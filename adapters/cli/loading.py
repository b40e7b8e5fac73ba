"""Finding task classes and runners in the user's modules, and making tasks of JSON."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.core.inputs import InputError, input_codec
from jobledger.core.json_values import located, type_name
from jobledger.core.task import Task, TaskIdentifier, TaskMeta, is_executable
from jobledger.core.undecodable import UNDECODABLE

if TYPE_CHECKING:
    from ..runner.runner import Runner
    from ..sealing.keys import KeyStore


class ImportFailed(JobLedgerError):
    """A module of the user's raised when it was imported. The message ends with where, as Python shows it."""

    def __init__(self, path: str, error: BaseException) -> None:
        ours = (__file__, importlib.__file__)
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename not in ours and not frame.filename.startswith("<frozen importlib")
        ]
        shown = "".join(traceback.format_list(frames) + traceback.format_exception_only(error))
        super().__init__(f"{path!r:.200} cannot be imported, its own code fails:\n{shown.rstrip()}")


def load(path: str) -> Any:
    """Return what `module:object` names; the module where no object is named. The working folder is searched first.

    Errors: ArgumentError saying what could not be found; ImportFailed.
    """
    module_name, colon, name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or (colon and not name):
        raise ArgumentError(
            f"{path!r:.200} names no module: write module:object, such as workflows.tiles:Render for the class Render in "
            "workflows/tiles.py"
        )
    if "" not in sys.path:
        sys.path.insert(0, "")
    found: Any = _imported(module_name, path)
    for part in name.split(".") if name else ():
        if not hasattr(found, part):
            names = (
                [one for one in vars(found) if not one.startswith("_")] if hasattr(found, "__dict__") else []
            )
            raise ArgumentError(
                f"{path!r:.200}: there is no {part!r} in it, only {', '.join(sorted(names)[:20]) or 'nothing'}"
            )
        found = getattr(found, part)
    return found


def key_store(path: str) -> KeyStore:
    """Return the key store that `module:object` names. Errors: as `load`; ArgumentError for what is none."""
    from ..sealing.keys import checked_store

    found: KeyStore = load(path)
    return checked_store(found)


def _imported(name: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ArgumentError(
                f"{path!r:.200}: there is no module {error.name!r}: run this in the folder that has it, or set PYTHONPATH"
            ) from None
        raise ImportFailed(path, error) from error  # the module exists: something it needs does not
    except (Exception, SystemExit) as error:
        raise ImportFailed(path, error) from error


def runner_from(path: str) -> Runner:
    """Return the runner that `module:object` names: a `Runner`, task classes, or all those of the module itself.

    Errors: ArgumentError if it is none of these.
    """
    from ..runner.runner import Runner

    found = load(path)
    return found if isinstance(found, Runner) else Runner(tasks=_classes(path, found))


def classes_from(path: str) -> list[type[Task]]:
    """Return the task classes that `module:object` names: a class, several, or all those of the module itself.

    Errors: ArgumentError if it is none of these.
    """
    return _classes(path, load(path))


def _classes(path: str, found: Any) -> list[Any]:
    if inspect.ismodule(found):
        own = [one for one in vars(found).values() if _is_task(one) and one.__module__ == found.__name__]
        classes: Any = [one for one in dict.fromkeys(own) if is_executable(one)]
        if not classes:
            raise ArgumentError(
                f"{path!r} defines no task that can be run: name what does, as module:object (a Runner, a task class, or "
                "a list of them)"
            )
    elif _is_task(found):
        classes = [found]
    else:
        classes = list(found) if isinstance(found, Iterable) and not isinstance(found, str | bytes) else []
    if not classes or not all(map(_is_task, classes)):
        raise ArgumentError(
            f"{path!r} is {found!r:.100}: name a Runner, a task class, a list of task classes, or a module of them"
        )
    return list(classes)


def task_from(path: str, text: bytes | None, version: str | None = None) -> Task:
    """Return the task to submit: of the class `module:Class`, or one of that name whose code is elsewhere.

    Shape:  `text` is JSON: an object of the fields of the class; where the code is elsewhere, the input as it travels.
    Errors: ArgumentError (InputError where a field does not fit).
    """
    if ":" not in path:
        return _elsewhere(path, version or "v0.0", text)
    cls = load(path)
    if not _is_task(cls):
        raise ArgumentError(f"{path!r:.200} is {cls!r:.100}: name a subclass of Task, as module:Class")
    if version is not None:
        raise ArgumentError(
            f"--version {version} is for a task whose code is elsewhere: {path!r} has its own, {cls.__task_identifier__}"
        )
    return _made(cls, {} if text is None else _decoded(text, dict[str, msgspec.Raw]))


def _made(cls: type[Task], given: dict[str, msgspec.Raw]) -> Task:
    """Return a task with these fields, each checked by its annotation."""
    codec = input_codec(cls)
    fields = {field.name: field for field in codec.fields}
    for name in given:
        if name not in fields:
            raise InputError(
                f"--input: {cls.__name__} has no field {name!r}, only {', '.join(fields) or 'none'}"
            )
    values = {}
    for name, raw in given.items():
        try:
            values[name] = fields[name].decode(bytes(raw))
        except UNDECODABLE as error:
            place, reason = located(error)
            raise InputError(
                f"--input: {cls.__name__}.{name}{place} does not take {_short(raw)}: {reason}. Write a value that fits "
                f"{type_name(fields[name].type)}"
            ) from error
    for field in codec.fields:
        if field.required and field.init and field.name not in values:
            raise InputError(
                f"--input: {cls.__name__}.{field.name} has no value, and no default: add {field.name!r} to the JSON object"
            )
    try:
        return codec.build(values)
    except Exception as error:
        raise InputError(f"--input: {cls.__name__} refuses it: {error!r}") from error


def _elsewhere(name: str, version: str, text: bytes | None) -> Task:
    """Make a task of which only the name, the version and the input are known."""
    TaskIdentifier.parse(name, version)
    # One field travels as its bare value, whatever that is: so the input arrives as it was written.
    fields = {} if text is None else {"input": _decoded(text, Any)}
    namespace = {
        "__annotations__": dict.fromkeys(fields, Any),
        "identifier": staticmethod(lambda: (name, version)),
    }
    made: Any = TaskMeta("Elsewhere", (Task,), namespace)
    task: Task = made(**fields)
    return task


def _decoded(text: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise ArgumentError(
            f"--input {_short(text)} is no JSON object: write the fields of the task, such as '{{\"n\": 3}}'"
        ) from None
    except UNDECODABLE as error:
        raise ArgumentError(
            f"--input {_short(text)} is not JSON: {error}. Text stands in double quotes there, and the whole in single "
            "quotes for the shell"
        ) from None


def _short(text: bytes | msgspec.Raw) -> str:
    shown = bytes(text).decode("utf-8", "replace")
    return shown if len(shown) <= 80 else f"{shown[:80]}…"


def _is_task(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Task) and found is not Task

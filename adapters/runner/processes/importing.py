"""Classes by name: a worker process imports what it is to run, as any program would.

What the script itself defines is the exception: it is run again in each process, under the name `__mp_main__`, as
multiprocessing does it. That is possible where the script says what it does only when it is started, below
`if __name__ == "__main__":`. One that does not say so is refused before anything is run twice.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from jobledger.core.errors import ArgumentError

from . import loading
from .messages import Main

MAIN = "__main__"
#: its name where it is not what was started, but was loaded for its classes
LOADED_MAIN = "__mp_main__"


def name_of(cls: type, use: str) -> str:
    """Return the name by which a process can import this class, which is to be `use` there.

    Errors: ArgumentError for a class that cannot be found by its name.
    """
    module = MAIN if cls.__module__ == LOADED_MAIN else cls.__module__
    name = f"{module}:{cls.__qualname__}"
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not cls:
        where = (
            "inside a function" if "<locals>" in cls.__qualname__ else "where that name does not lead to it"
        )
        raise ArgumentError(
            f"{use} {cls.__qualname__} of {cls.__module__} is defined {where}: a worker process imports classes by name. "
            'Define it at the top level of a module, or leave out pool="processes"'
        )
    return name


def main_of(names: Iterable[str]) -> Main | None:
    """Return the script if one of these names is in it.

    Errors: ArgumentError if it cannot be loaded for that.
    """
    first = next((name for name in names if name.partition(":")[0] == MAIN), None)
    if first is None:
        return None
    module = sys.modules[MAIN]
    path = getattr(module, "__file__", None)
    shown = first.partition(":")[2]
    if path is None or not os.path.isfile(path):
        raise ArgumentError(
            f"{shown} is defined in an interactive session, which a worker process cannot import. Write it to a module "
            'and import it from there, or leave out pool="processes"'
        )
    if not _is_guarded(path):
        raise ArgumentError(
            f'{shown} is defined in {path}, which has no line `if __name__ == "__main__":` at its top level: each worker '
            "process would do all of it once more. Put what it does when it is started below that line, or the tasks "
            "into a module of their own"
        )
    return Main(os.path.abspath(path), getattr(module, "__package__", None) or "")


def _is_guarded(path: str) -> bool:
    try:
        tree = ast.parse(Path(path).read_bytes(), path)
    except (OSError, SyntaxError, ValueError):
        return False
    tests = [node.test for node in tree.body if isinstance(node, ast.If)]
    return any(
        isinstance(part, ast.Name) and part.id == "__name__" for test in tests for part in ast.walk(test)
    )


def load_main(main: Main) -> None:
    """Run the script again, for its classes. Errors: whatever it raises."""
    module = ModuleType(LOADED_MAIN)
    module.__file__, module.__package__ = main.path, main.package or None
    # Under both names, and before it runs: its classes look there for what their annotations name.
    sys.modules[MAIN] = sys.modules[LOADED_MAIN] = module
    with loading.for_its_classes():
        exec(compile(Path(main.path).read_bytes(), main.path, "exec"), vars(module))  # noqa: S102  that is what it is for


def found(name: str) -> Any:
    """Return what is named. Errors: whatever the module raises; AttributeError."""
    module, _, path = name.partition(":")
    value: Any = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value

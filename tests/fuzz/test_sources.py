"""What no source file does: make code, or objects of any class, of bytes; or catch a part of what decoding raises."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("core", "projections", "adapters", "src/jobledger")
SOURCES = sorted({path.resolve() for room in ROOMS for path in (ROOT / room).rglob("*.py")})

#: modules that make objects of any class, or code, of bytes
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "yaml",
    "jsonpickle",
    "code",
}
#: and calls that do
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "import_module",
    "run_path",
    "run_module",
    "loads_any",
    "unpickle",
}
#: where such a call is meant: what is run there is the user's own code, named by the user, never by a message
ALLOWED = {
    "adapters/cli/demo/runner.py": {"import_module"},  # one of our own examples
    "adapters/cli/loading.py": {"import_module"},  # named on the command line
    "adapters/client/show/pictures.py": {"import_module"},  # IPython
    "adapters/runner/caches/cloud_caches.py": {"import_module"},  # the library of a cloud
    "adapters/runner/processes/importing.py": {
        "exec",
        "compile",
        "import_module",
    },  # the script that was started
    "adapters/telemetry/found.py": {"import_module"},  # pandas
    "src/jobledger/_lazy.py": {"import_module"},
}


def called(tree: ast.AST) -> Iterator[str]:
    """Yield the names of what is called: `run` for `a.b.run()`; `re.compile` and the like are no such thing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(name):
                    yield name
                case ast.Attribute(value=ast.Name("re")):
                    continue
                case ast.Attribute(attr=name):
                    yield name


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@cache
def trees() -> list[tuple[str, ast.AST]]:
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES
    ]


def test_there_are_sources() -> None:
    assert len(SOURCES) > 300


def test_nothing_is_unpickled_and_no_code_is_made_of_data() -> None:
    modules = {(name, module) for name, tree in trees() for module in imported(tree) if module in MODULES}
    assert modules == set()
    calls = {(name, call) for name, tree in trees() for call in called(tree) if call in CALLS}
    assert calls == {(name, call) for name, allowed in ALLOWED.items() for call in allowed}


@pytest.mark.parametrize("source", ["import pickle", "from yaml import load", "eval('1')", "x.run_path('a')"])
def test_such_a_source_would_be_found(source: str) -> None:
    tree = ast.parse(source)
    assert {*imported(tree), *called(tree)} & (MODULES | CALLS)


#: where one of these is looked at by itself, after or beside the others
LOOKED_AT = {
    "adapters/cli/loading.py",  # a form that is JSON, and no object
    "adapters/gateway/decoding.py",  # the same: it is told otherwise
    "core/codec.py",  # what does not fit is looked at again, event by event
    "core/inputs.py",  # another form of the same input
    "core/json_values.py",  # the values of users: whatever they raise is told
}
_PARTS = {"MsgspecError", "DecodeError", "ValidationError"}


def caught(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            yield from (one.attr for one in ast.walk(node.type) if isinstance(one, ast.Attribute))


def test_who_decodes_catches_all_that_decoding_raises() -> None:
    """`UNDECODABLE`: that a text is no UTF-8, and that arrays are nested too deeply, are no errors of msgspec's own."""
    found = {name for name, tree in trees() if _PARTS.intersection(caught(tree))}
    assert found <= LOOKED_AT, "catch UNDECODABLE (core/undecodable.py) there"

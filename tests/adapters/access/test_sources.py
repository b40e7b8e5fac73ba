"""What comes over the network is decoded as data: nothing that would run code, or make any object it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jobledger.adapters
import jobledger.core
import jobledger.projections

PACKAGES = (jobledger.core, jobledger.projections, jobledger.adapters)
#: modules that turn bytes into whatever these name
_FORBIDDEN = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
_FORBIDDEN |= {"multiprocessing"}  # its connections and queues pickle
#: (module, name) of what does so in modules that are fine otherwise
_CALLS = {("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("numpy", "load")}
#: what runs code that it is given: only the script that a user started, read from its own file
_CODE = {"eval", "exec"}
_MAY_RUN_CODE = {"adapters/runner/processes/importing.py"}
_SUSPICIOUS = re.compile(rf"\b({'|'.join(_FORBIDDEN | _CODE)}|load|unsafe_load|full_load|allow_pickle)\b")


def _sources() -> dict[str, str]:
    roots = [Path(package.__path__[0]) for package in PACKAGES]
    return {
        f"{root.name}/{path.relative_to(root)}": path.read_text(encoding="utf-8")
        for root in roots
        for path in root.rglob("*.py")
    }


def _wrong(name: str, text: str) -> list[str]:
    found: list[str] = []
    if not _SUSPICIOUS.search(text):  # most need no closer look
        return found
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            continue
        imported: list[str] = []
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported = [node.module]
        found += [
            f"{name}:{node.lineno} imports {one}" for one in imported if one.split(".")[0] in _FORBIDDEN
        ]
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in _CODE and name not in _MAY_RUN_CODE:
                found.append(f"{name}:{node.lineno} calls {called.id}")
            if isinstance(called, ast.Attribute) and (ast.unparse(called.value), called.attr) in _CALLS:
                found.append(f"{name}:{node.lineno} calls {called.attr}")
            if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                found.append(f"{name}:{node.lineno} allows pickles")
    return found


def test_nothing_is_ever_unpickled() -> None:
    sources = _sources()
    assert len(sources) > 300
    assert [wrong for name, text in sources.items() for wrong in _wrong(name, text)] == []


def test_this_would_find_it() -> None:
    assert len(_wrong("m", "import pickle\nfrom marshal import loads\neval('1')\nyaml.load(b'')\n")) == 4

"""The hash of a task's code: the same wherever the code is the same, another one where it is not."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobledger.adapters.runner.fingerprint import fingerprint

HEAD = """
import functools
from functools import cached_property, wraps
from typing import ClassVar
from jobledger.core.task import ExecutionContext, Task
"""

CODE = """
class Base(Task):
    text: str

    def words(self) -> list[str]:
        return [word for word in self.text.split() if word not in {"a", "the", "of"}]


class Count(Base):
    least: int = 2
    limit: ClassVar[int] = 10

    @cached_property
    def longest(self) -> str:
        return max(self.words())

    @staticmethod
    def shout(text: str) -> str:
        return text.upper()

    def execute(self, context: ExecutionContext) -> int:
        # how many
        return sum(len(word) > self.least for word in self.words())
"""

Load = Callable[..., bytes]
_numbers = itertools.count()


def load_from(path: Path) -> bytes:
    spec = importlib.util.spec_from_file_location(f"code_{next(_numbers)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return fingerprint(module.Count)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return the fingerprint of Count in this code, with some texts of it replaced."""

    def load(*replaced: tuple[str, str], code: str = CODE) -> bytes:
        for old, new in replaced:
            assert old in code
            code = code.replace(old, new)
        path = tmp_path / f"code{next(_numbers)}.py"
        path.write_text(HEAD + code)
        return load_from(path)

    return load


def test_the_same_code_elsewhere(load: Load) -> None:
    original = load()
    assert load() == original
    assert load(code="# moved down\n\n\n" + CODE) == original
    nested = "if True:\n" + textwrap.indent(CODE, "    ") + "\n"
    assert load(code=nested) == original
    assert load(("        return max(self.words())", "        return max(self.words())   ")) == original
    assert load(code=CODE + "\ndef unrelated(): ...\n") == original


def test_the_same_code_in_another_process(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        HEAD
        + CODE
        + "\nif __name__ == '__main__':\n"
        + "    from jobledger.adapters.runner.fingerprint import fingerprint\n"
        + "    print(fingerprint(Count).hex())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {load().hex()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("len(word) > self.least", "len(word) >= self.least"),
        ("self.text.split()", "self.text.split(',')"),  # inherited
        ("return max(self.words())", "return min(self.words())"),
        ("text.upper()", "text.lower()"),
        ("limit: ClassVar[int] = 10", "limit: ClassVar[int] = 11"),
        ("least: int = 2", "least: int = 3"),
        ("# how many", "# how few"),
        ("class Count(Base):", "class Count(Base):\n    def __post_init__(self) -> None:\n        pass\n"),
    ],
)
def test_other_code(load: Load, old: str, new: str) -> None:
    assert load((old, new)) != load()


def test_what_a_decorator_wraps_counts(load: Load) -> None:
    def decorated(body: str) -> str:
        return f"""
def loud(execute):
    @wraps(execute)
    def wrapper(self, context):
        return execute(self, context)
    return wrapper

class Count(Task):
    @loud
    def execute(self, context):
        return {body}
"""

    assert load(code=decorated("1")) == load(code=decorated("1"))
    assert load(code=decorated("1")) != load(code=decorated("2"))


def test_constants_it_was_closed_over_count(load: Load) -> None:
    def made(factor: str) -> str:
        return f"""
def make(factor, log):
    class Count(Task):
        n: int
        def execute(self, context):
            log.append(1)
            return self.n * factor
    return Count

Count = make({factor}, [])
"""

    assert load(code=made("2")) == load(code=made("2"))
    assert load(code=made("2")) != load(code=made("3"))
    assert load(code=made("(1, 'a')")) != load(code=made("(1, 'b')"))


def test_code_without_source(tmp_path: Path) -> None:
    def compiled(code: str) -> bytes:
        names: dict[str, Any] = {"__name__": "typed_in"}
        exec(compile(HEAD + code, "<typed in>", "exec", dont_inherit=True), names)  # noqa: S102
        return fingerprint(names["Count"])

    original = compiled(CODE)
    assert compiled(CODE) == original
    assert compiled("\n\n\n" + CODE) == original
    assert compiled(CODE.replace("self.least", "self.least + 1")) != original
    assert compiled(CODE.replace('"the", "of"', '"the", "off"')) != original


def test_it_is_that_of_the_code_that_was_loaded(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    path.write_text(HEAD + CODE)
    spec = importlib.util.spec_from_file_location("edited", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before = fingerprint(module.Count)
    path.write_text(HEAD + CODE.replace("self.least", "self.least + 1"))
    assert fingerprint(module.Count) == before

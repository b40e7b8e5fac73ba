"""The table of features names tests that exist, and a test for each feature."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "features.md"
_NAME = re.compile(r"`([\w/]+\.py)::([\w:]+)`")


def rows() -> list[tuple[str, str, str]]:
    """The lines of all tables: feature, how it is done, tests."""
    cells = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| feature |")
    ]
    assert {len(row) for row in cells} == {3}, [row for row in cells if len(row) != 3]
    return [(row[0], row[1], row[2]) for row in cells]


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the tests of a file, those of classes as `Class::test`."""
    return frozenset(_names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _names(node.body, f"{prefix}{node.name}::")


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_feature_has_tests_that_exist(row: tuple[str, str, str]) -> None:
    _, done, tests = row
    assert done
    named = _NAME.findall(tests)
    assert named, f"no test in {tests!r}"
    assert _NAME.sub("", tests).strip(" ,") == "", f"something else than tests in {tests!r}"
    for path, name in named:
        assert name in names_in(TESTS / path), f"there is no {path}::{name}"


def test_the_three_pages_are_there() -> None:
    headings = re.findall(r"^## (\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {"Tilebox", "Taipy", "Fiddler"} <= {*headings}
    features = [row[0] for row in rows()]
    assert len({*features}) == len(features) > 100

"""`jobledger demo` on libraries and folders that are not as it expects them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

import jobledger

from .conftest import Place

#: makes a library of files; returns the environment in which Python says that it is its own
Library: TypeAlias = Callable[[dict[str, bytes]], dict[str, str]]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    def make(files: dict[str, bytes]) -> dict[str, str]:
        root = tmp_path / "library"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        site = tmp_path / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(
            "import sysconfig\n"
            "true = sysconfig.get_path\n"
            f"sysconfig.get_path = lambda name, *more, **options: {str(root)!r} if name == 'stdlib'"
            " else true(name, *more, **options)\n"
        )
        return {"PYTHONPATH": os.pathsep.join((str(site), str(Path(jobledger.__path__[0]).parent)))}

    return make


def test_files_that_are_no_python_are_counted_by_their_lines(place: Place, library: Library) -> None:
    environment = library(
        {
            "one.py": b"import ast\nclass A:\n    def f(self): pass\n",
            "package/latin.py": b"# -*- coding: latin-1 -*-\ndef f(): return '\xe9'\n",
            "package/template.py": b"class $NAME:\n",
            "package/damaged.py": b"x = '\xff'\n",
            "package/test/left_out.py": b"x = 1\n",
        }
    )
    code, said, complained = place.run(more=environment)
    assert (code, complained) == (0, ""), said + complained
    assert re.search(r"^  all 2 packages +4 +7 +1 +2 +1 *$", said, re.MULTILINE), said
    assert "2 modules are no valid Python" in said


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"one.py": b"x = 1\n"}, "the job should have failed, and is COMPLETED"),
        ({"one.py": b"class $NAME:\n"}, "should have failed of a file that is not ASCII, not of SyntaxError"),
        ({"test/one.py": b"x = 1\n"}, "no source code to survey"),
    ],
)
def test_it_says_so_if_it_does_not_go_as_described(
    files: dict[str, bytes],
    complaint: str,
    place: Place,
    library: Library,
) -> None:
    code, _, complained = place.run(more=library(files))
    assert code == 1
    assert complained.startswith("jobledger: the demo did not go as described: ")
    assert complaint in complained
    assert place.runners() == []


def test_a_folder_that_cannot_hold_a_log(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, complained = place.run(more={"JOBLEDGER_HOME": str(tmp_path / "file")})
    assert code == 2
    assert complained.startswith("jobledger: cannot use data folder")

"""The checkout, the import package and the wheel agree; the README's commands are what CI runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ["core", "adapters", "projections"]


@pytest.mark.parametrize("name", PARTS)
def test_part_is_linked_into_the_package(name: str) -> None:
    spec = find_spec(f"jobledger.{name}")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve() == ROOT / name / "__init__.py"


@pytest.mark.parametrize("name", PARTS)
def test_part_cannot_be_imported_under_its_bare_name(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"import jobledger.{name}, not {name}" in done.stderr


def test_every_module_is_in_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a build leaves folders behind, which the next one would pack again
    for folder in [*PARTS, "src"]:
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=ignore)
    for file in ["pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True, timeout=110)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("jobledger/")}
    written = {
        "jobledger/" + str(path.relative_to(ROOT)) for part in PARTS for path in (ROOT / part).rglob("*.py")
    }
    written |= {f"jobledger/{path.name}" for path in (ROOT / "src" / "jobledger").glob("*.py")}
    assert shipped == written | {"jobledger/py.typed"}


def test_the_readme_has_exactly_two_commands_of_one_line() -> None:
    section = re.search(
        r"^## Two commands$(.*?)(?=^## |\Z)", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert section is not None
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section[1], re.DOTALL | re.MULTILINE)
    assert [language for language, _ in blocks] == ["sh", "sh"]
    assert all(len(block.strip().splitlines()) == 1 for _, block in blocks)
    assert "jobledger demo" in blocks[0][1]
    assert "pytest" in blocks[1][1]

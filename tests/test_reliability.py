"""The page on reliability names tests, files, commands and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PATHS = sorted({*re.findall(r"`((?:tests|adapters|core|deploy)/[\w/.-]*)`", TEXT)})
PROGRAMS = sorted({*re.findall(r"python (tests/[\w/.]+)", TEXT)})
LINKS = sorted({*re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", TEXT)})
ANCHORS = sorted({*re.findall(r"\]\(#([^)]+)\)", TEXT)})


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_there(program: str) -> None:
    path = ROOT / program
    assert path.is_file() or (path / "__main__.py").is_file()


@pytest.mark.parametrize("link", LINKS)
def test_a_page_is_there(link: str) -> None:
    assert (ROOT / "docs" / link).exists()


@pytest.mark.parametrize("anchor", ANCHORS)
def test_a_section_is_there(anchor: str) -> None:
    headings = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_every_promise_has_a_section_and_every_program_a_promise() -> None:
    assert len(ANCHORS) > 10
    assert {"tests/simulation", "tests/chaos", "tests/power", "tests/soak", "tests/fuzz"} <= {*PROGRAMS}

"""The examples for people who come from Taipy, Fiddler and Tilebox: they print what they would have printed there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import jobledger

EXAMPLES = Path(__file__).parents[2] / "examples"


def printed_by(name: str, *arguments: str) -> list[str]:
    """Run an example as its reader would, and return the lines it printed."""
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(jobledger.__path__[0]).parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.splitlines()


@pytest.mark.parametrize(
    ("example", "ending"),
    [("taipy_cancel_waiting.py", "Status.CANCELED"), ("taipy_cancel_running.py", "Status.ABANDONED")],
)
def test_what_taipys_page_prints_is_printed_word_for_word(example: str, ending: str) -> None:
    assert printed_by(example, "2") == [
        "(1) Number of jobs: 0.",
        "(2) Number of jobs: 2.",
        "(3) Status of job double_task: Status.RUNNING",
        "(4) Status of job print_task: Status.BLOCKED",
        "(5) Status of job double_task: Status.COMPLETED",
        f"(6) Status of job print_task: {ending}",
    ]


def test_what_fiddlers_page_shows() -> None:
    lines = printed_by("fiddler_watch.py")
    assert lines[:2] == ["Job: publish prices.csv - Status: SUCCESS", "Progress: 100.0%"]
    told = [line for line in lines[2:] if not line.startswith(("Progress milestone", "ERROR"))]
    assert told[:-1] == [
        "publish customers.csv: SUCCESS",
        "Job failed: ValueError",
        "Error: ValueError",
        "Details: holiday.png is no table",
        "Task details: Publish FAILURE, attempt 1",
        "Info: root task Publish, clusters ['default']",
        "publish too-much.csv: PENDING",
        "publish too-much.csv: REVOKED",
        "publish nobody-runs-this.csv: still PENDING when time was up",
    ]
    assert told[-1].startswith("Not found: there is no job")
    assert any(line.startswith("Progress milestone: ") for line in lines)


def test_what_tileboxs_page_shows() -> None:
    assert printed_by("tilebox_page.py") == [
        "Job is submitted: True",
        "Job is canceled: True",
        "Tasks that may run again: 1",
        *(f"Read number={number}" for number in range(3)),
        "Job is completed: True",
        "Jobs of this hour: 1",
        "It is among them: True",
        "A diagram: <svg",
        "read-a-chapter · COMPLETED · 4 tasks",
        "└─ ✓ Chapter(3)",
        *(f"   {'└' if number == 2 else '├'}─ ✓ Paragraph Nr. {number}" for number in range(3)),
    ]


#: what a script for Tilebox imports, by the module it imports it from
OF_TILEBOX = {
    "tilebox.workflows": {"Client", "ExecutionContext", "Job", "Task"},
    "tilebox.workflows.data": {"JobState"},
}


def test_a_script_for_tilebox_differs_in_its_import_lines_alone() -> None:
    """It imports nothing from us that Tilebox has not, under the same names."""
    tree = ast.parse((EXAMPLES / "tilebox_page.py").read_text())
    ours = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jobledger")
    ]
    assert {
        str(node.module).replace("jobledger", "tilebox.workflows"): {name.name for name in node.names}
        for node in ours
    } == OF_TILEBOX

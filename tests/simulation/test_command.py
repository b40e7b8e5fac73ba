"""`python tests/simulation`, and what it says of a seed that fails."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUG = "a job that is submitted again is begun again"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tests/simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_that_all_is_well() -> None:
    ran = run("--seeds", "8", "--first", "100", "--jobs", "2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.match(r"8 seeds, 0 failed: \d+ commits, [\d,]+ answers held against the log", ran.stdout)


def test_a_seed_that_fails_says_how_it_is_repeated() -> None:
    ran = run("--seeds", "40", "--jobs", "1", "--bug", BUG)
    assert ran.returncode == 1
    told = re.search(
        r"^seed (\d+) \(\w+\): (.*)\n((?:    .*\n)+)  repeat it: python (.*)$", ran.stdout, re.MULTILINE
    )
    assert told is not None, ran.stdout
    again = subprocess.run(
        [sys.executable, *shlex.split(told[4])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert again.returncode == 1
    assert f"seed {told[1]} " in again.stdout
    assert told[2] in again.stdout
    assert told[3].splitlines()[-1].strip() in again.stdout


def test_wrong_arguments_are_named() -> None:
    ran = run("--bug", "none")
    assert ran.returncode == 2
    assert "argument --bug: invalid choice: 'none'" in ran.stderr
    assert "--seeds=0" in run("--seeds", "0").stderr

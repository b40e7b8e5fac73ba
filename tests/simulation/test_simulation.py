"""Engines, runners, clients and projectors from thousands of seeds: whatever dies, nothing is lost and nothing happens twice.

A longer run, and the repetition of a single seed, are `python tests/simulation --help`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from simulation.faults import PROFILES
from simulation.outcome import Outcome, command
from simulation.running import run_seed

SEEDS = 2000


def told(outcome: Outcome) -> str:
    """Return what went wrong, how it came to that, and how to repeat it."""
    lines = "\n".join(outcome.last)
    return f"seed {outcome.seed}: {outcome.problem}\n{lines}\nrepeat it: {command(outcome.seed)}"


@pytest.mark.timeout(400)  # half a minute on a machine that does nothing else
@pytest.mark.parametrize("half", ["even", "odd"])  # two workers share the seeds
def test_whatever_goes_wrong_in_two_thousand_worlds(half: str) -> None:
    acknowledged = 0
    profiles = set()
    for seed in range(half == "odd", SEEDS, 2):
        outcome = run_seed(seed)
        assert not outcome.problem, told(outcome)
        acknowledged += outcome.acknowledged
        profiles.add(outcome.profile)
    assert profiles == set(PROFILES)
    assert acknowledged > 10 * SEEDS  # every one of them was held against the log


@pytest.mark.parametrize("seed", [6887])
def test_a_world_in_which_something_went_wrong_once(seed: int) -> None:
    """Found by longer runs, and mended since."""
    outcome = run_seed(seed)
    assert not outcome.problem, told(outcome)


_DIGESTS = """
import json, sys
from simulation.running import run_seed
print(json.dumps([run_seed(seed).digest for seed in json.loads(sys.argv[1])]))
"""


def digests(seeds: list[int], hash_seed: str) -> list[str]:
    """Return what a process of its own makes of these seeds."""
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests), str(tests.parent / "src")])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
    program = [sys.executable, "-c", _DIGESTS, json.dumps(seeds)]
    ran = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=True)
    found: list[str] = json.loads(ran.stdout)
    return found


def test_a_seed_is_one_world_in_every_process() -> None:
    seeds = list(range(len(PROFILES)))
    here = [run_seed(seed).digest for seed in seeds]
    assert [run_seed(seed).digest for seed in seeds] == here
    assert digests(seeds, "1") == digests(seeds, "2") == here
    assert len(set(here)) == len(seeds)


def test_what_another_thread_draws_meanwhile_changes_no_world() -> None:
    undisturbed = run_seed(4).digest
    begun, ended = threading.Event(), threading.Event()
    drawn = 0

    def disturb() -> None:
        nonlocal drawn
        while not ended.is_set():
            uuid.uuid4()
            drawn += 1
            begun.set()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        assert begun.wait(10)
        before = drawn
        disturbed = run_seed(4).digest
        assert drawn > before
    finally:
        ended.set()
        thread.join()
    assert disturbed == undisturbed

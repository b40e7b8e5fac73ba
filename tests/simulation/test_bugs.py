"""A test of the simulation: it finds each of these bugs, and not because it always finds something."""

from __future__ import annotations

import pytest

from simulation.bugs import BUGS
from simulation.running import run_seed

#: seeds among which a bug has to be found
SEEDS = 300


@pytest.mark.parametrize("bug", BUGS)
def test_it_is_found(bug: str) -> None:
    for seed in range(SEEDS):
        if run_seed(seed, BUGS[bug].profile, bug).problem:
            return
    pytest.fail(f"no seed below {SEEDS} finds this: {bug}")

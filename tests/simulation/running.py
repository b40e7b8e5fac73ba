"""Running a seed, with or without a bug."""

from __future__ import annotations

from contextlib import nullcontext

from .bugs import planted
from .outcome import Outcome
from .scenario import Scenario


def run_seed(seed: int, profile: str = "", bug: str = "", *, verbose: bool = False) -> Outcome:
    """Return what comes of a seed. `profile` says what goes wrong; "": the one that is the seed's turn."""
    with planted(bug) if bug else nullcontext():
        return Scenario(seed, profile, say=print if verbose else None).run()

"""How hypothesis is used here, and how many of the seeded bugs are planted in an ordinary run."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about what else the machine is doing than about the code.
settings.register_profile("jobledger", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("jobledger")

#: One in so many mutants is tried: all of them take four minutes. JOBLEDGER_ALL_MUTANTS=1 has each one tried.
_SHARE = 8


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("JOBLEDGER_ALL_MUTANTS"):
        return
    left_out = [item for item in items if "test_mutants.py::test_the_machine_finds[" in item.nodeid]
    left_out = [item for item in left_out if zlib.crc32(item.name.encode()) % _SHARE]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]

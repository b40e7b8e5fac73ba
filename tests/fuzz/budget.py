"""How much is tried: little and always the same in every run of the tests, or as much as there is time for.

`python tests/fuzz --minutes 10` sets JOBLEDGER_FUZZ to how many times the usual number of examples each test takes, and
draws new ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

VARIABLE = "JOBLEDGER_FUZZ"
#: 1 in every run of the tests
TIMES = int(os.environ.get(VARIABLE, "1"))


def examples(number: int) -> Callable[[Any], Any]:
    """Have a test take so many examples, the same in every run; more, and new ones, where there is more time."""
    return settings(
        max_examples=number * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        # What is drawn is mostly a seed: to look for a smaller one takes minutes and makes nothing simpler.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.function_scoped_fixture,
            HealthCheck.data_too_large,
        ],
    )

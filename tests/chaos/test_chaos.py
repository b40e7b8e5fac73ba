"""A minute of chaos, and some seconds of competing runners, as `python tests/chaos` has them for as long as one likes."""

from __future__ import annotations

import pytest

from chaos.run import Options, competing, run
from chaos.summary import table


@pytest.mark.timeout(240)
def test_whatever_dies_nothing_is_lost_and_nothing_computed_twice() -> None:
    """Runners, engines, the server and the projector are killed, suspended and told to stop, connections are cut and held up,
    and the disk is full now and then. All jobs settle; how soon is up to the machine here, and held against two leases by
    the command."""
    outcome = run(
        Options(seconds=45.0, every=0.6, tasks=3_000, outstanding=1_000, lease=4.0, runners=3, in_time=False)
    )
    print(table(outcome))
    assert outcome.findings == []
    struck = {what for fault, what in outcome.faults if fault == "kill"}
    assert struck == {"runner", "engine", "nats-server", "projector"}


@pytest.mark.timeout(120)
def test_of_many_competing_runners_each_attempt_has_one() -> None:
    """Some are suspended until others have what they held, and go on then."""
    outcome = run(competing(20_000, runners=3, every=1.0, lease=1.0, engines=1, partitions=1))
    print(table(outcome))
    assert outcome.findings == []
    assert outcome.figures.attempts >= 20_000

"""A quarter of a minute of the soak, and that it would find what leaks."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from soak.figures import ALLOWED, Allowed, MiB
from soak.run import Options, Result, run
from soak.trend import trend


def test_what_goes_up_and_down_has_no_trend() -> None:
    drawn = random.Random(1)
    times = range(200)
    noise = [100 + drawn.gauss(0, 20) for _ in times]
    sawtooth = [100 + time % 25 for time in times]
    once_up = [100.0] * 3 + [120.0] * 197
    for values in (noise, sawtooth, once_up):
        assert not trend(times, values).exceeds(5)


def test_what_grows_has_one_however_it_jumps_beside() -> None:
    drawn = random.Random(1)
    times = range(200)
    slow = [100 + 0.1 * time + drawn.gauss(0, 3) for time in times]
    steps = [100 + time // 20 for time in times]
    collected_now_and_then = [100 + 0.2 * time + 3 * (time % 25) for time in times]
    with_an_outlier = [100 + 0.1 * time + 5000 * (time == 7) for time in times]
    for values in (slow, steps, collected_now_and_then, with_an_outlier):
        assert trend(times, values).exceeds(8)


def test_what_falls_or_stands_still_does_not_rise() -> None:
    assert not trend(range(50), [5.0] * 50).sure
    assert not trend(range(50), range(50, 0, -1)).sure
    assert math.isclose(trend(range(50), range(50, 0, -1)).growth, -49)
    with pytest.raises(ValueError, match="5 samples tell nothing"):
        trend(range(5), range(5))


def test_growth_counts_from_where_a_figure_is_allowed_to_be() -> None:
    assert (Allowed(10, 0.1).of(50), Allowed(10, 0.1).of(500)) == (10, 50)
    result = Result(
        times=[*range(20)], samples={("engine", "files"): [*range(20)], ("engine", "threads"): [4] * 20}
    )
    assert result.leaks == ["files of engine grew by 19 from 2"]
    assert "| engine | files | 2.5 | 16.5 | 19.0 | **leaks** |" in result.table()


def test_a_short_soak_finds_what_leaks_and_nothing_else(tmp_path: Path) -> None:
    """Three processes leak on purpose; nothing else may grow beside them."""
    leak = {"runner 1": "files", "projector": "threads", "client": "memory"}
    options = Options(seconds=6.0, warm_up=3.5, rate=400, every=0.3, kill_every=60.0, leak=leak)
    result = run(options, tmp_path)
    assert result.tasks > 0
    assert result.killed >= 2
    found = {tuple(told.split(" grew ")[0].split(" of ")) for told in result.leaks}
    assert {("files", "runner 1"), ("threads", "projector"), ("resident", "client")} <= found, result.table()
    others = {(figure, process) for figure, process in found if process not in leak}
    assert not others, result.table()
    assert ALLOWED["resident"].of(40 * MiB) == 12 * MiB

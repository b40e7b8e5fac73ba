"""Versions, clocks and file systems: what is concluded from what is known of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobledger.adapters.doctor.defects import DEFECTS, defects_of
from jobledger.adapters.doctor.host import judged, mount_of
from jobledger.adapters.doctor.servers import Clock
from jobledger.data import Health


@pytest.mark.parametrize(
    ("mount", "state"),
    [
        ("ext4 /dev/a rw", Health.OK),
        ("xfs /dev/a rw", Health.OK),
        ("ext4 /dev/a rw,data=writeback", Health.FAILED),
        ("ext4 /dev/a rw,barrier=0", Health.FAILED),
        ("tmpfs tmpfs rw", Health.FAILED),
        ("nfs4 host:/x rw", Health.WARNING),
        ("overlay overlay rw", Health.WARNING),
    ],
)
def test_a_file_system_and_what_a_sync_is_worth_on_it(mount: str, state: Health) -> None:
    mounts = f"1 0 8:1 / / rw - ext4 /dev/root rw\n2 1 8:2 / /da\\040ta rw,noatime - {mount}\n"
    store = Path("/da ta/jetstream")
    finding = judged(store, mount_of(store, mounts))
    assert finding.state is state
    assert "at /da ta" in finding.found


@pytest.mark.parametrize(
    ("shown", "ahead"),
    [(10.0, 0.0), (10.4, 0.0), (15.5, 5.0), (7.0, -3.0)],
    ids=["first", "within", "ahead", "behind"],
)
def test_a_clock_is_wrong_by_what_is_certain(shown: float, ahead: float) -> None:
    assert Clock(asked=10.0, shown=shown, answered=10.5).ahead == ahead


def test_defects_name_where_they_are_told_of() -> None:
    for defect in DEFECTS:
        assert defect.source == f"https://github.com/nats-io/nats-server/pull/{defect.number}"
        before = (*defect.fixed[:2], defect.fixed[2] - 1)
        assert defect in defects_of(before, replicated=True, relaxed=True)
        assert defect not in defects_of(defect.fixed, replicated=True, relaxed=True)
    assert [one.number for one in defects_of((2, 12, 0), replicated=False, relaxed=False)] == [7783, 8475]

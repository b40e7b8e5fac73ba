"""What a runner may take for its own, and from when on it may not."""

from __future__ import annotations

from jobledger.adapters.clocks import clock
from jobledger.adapters.runner.lease import Lease

LENGTH = 1000.0


def test_a_runner_has_no_lease_before_the_engine_answered() -> None:
    assert Lease().over


def test_an_exchange_renews_it_from_when_it_was_asked() -> None:
    lease = Lease()
    lease.renewed(asked := clock(), LENGTH, uncounted=False)
    assert not lease.over
    assert lease.until == asked + LENGTH
    lease.renewed(asked + 1, LENGTH, uncounted=True)
    assert lease.until == asked + LENGTH + 1


def test_an_answer_that_is_overtaken_takes_nothing_back() -> None:
    lease = Lease()
    lease.renewed(clock(), LENGTH, uncounted=False)
    until = lease.until
    lease.renewed(clock() - 10, LENGTH, uncounted=True)
    lease.renewed(clock() - 10, LENGTH, uncounted=False)
    assert lease.until == until


def test_a_new_lease_does_not_cover_what_was_held_under_the_old_one() -> None:
    lease = Lease()
    lease.renewed(clock() - 2, 1.0, uncounted=False)
    lease.renewed(clock(), LENGTH, uncounted=True)
    assert lease.over
    lease.renewed(clock(), LENGTH, uncounted=False)  # what was lost of it is known now
    assert not lease.over


def test_where_nothing_is_uncounted_another_begins() -> None:
    lease = Lease()
    lease.renewed(clock() - 2, 1.0, uncounted=False)
    lease.renewed(clock(), LENGTH, uncounted=False)
    assert not lease.over


def test_what_took_longer_to_arrive_than_its_lease_is_not_covered_by_the_next_one() -> None:
    lease, early = Lease(), clock() - 10
    lease.renewed(early, 1.0, uncounted=False)
    lease.renewed(clock(), LENGTH, uncounted=False)  # a sign of life was answered before
    lease.handed_out(early, 1.0)
    assert lease.over
    lease.renewed(clock(), LENGTH, uncounted=True)
    assert lease.over
    lease.renewed(clock(), LENGTH, uncounted=False)
    assert not lease.over


def test_what_arrives_while_its_lease_lasts_is_covered() -> None:
    lease, asked = Lease(), clock()
    lease.renewed(clock(), LENGTH, uncounted=False)
    lease.handed_out(asked, LENGTH)
    assert not lease.over

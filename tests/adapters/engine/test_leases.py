"""Leases: who is alive, and what of it has to be remembered."""

from __future__ import annotations

from jobledger.adapters.engine.live import LiveJob
from jobledger.adapters.engine.runners.leases import Leases, Silent
from jobledger.core import events as e
from jobledger.core.job import Job, evolve
from support.histories import submission, task


class Runners:
    """Leases of ten seconds, the jobs that are live, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.live: dict[str, LiveJob] = {}
        self.leases = Leases(10.0, lambda: self.now, self.live.get)

    def claims(self, runner: str, job_id: str) -> LiveJob:
        live = self.live[job_id] = LiveJob(Job(job_id))
        evolve(live.job, e.JobSubmitted("a job", submission(task(), task())), 1)
        evolve(live.job, e.TasksClaimed(runner, 1, [0, 1]), 1)
        self.leases.claimed(runner, live)
        return live


def test_a_runner_that_is_silent_for_the_length_of_a_lease_has_expired_once() -> None:
    runners = Runners()
    runners.claims("one", "a")
    runners.now = 5.0
    runners.leases.extend("two")
    runners.now = 10.0
    assert runners.leases.expired() == [Silent("one", heard=False)]
    assert runners.leases.expired() == []
    assert runners.leases.runners == 1


def test_what_a_runner_holds_is_found_by_job() -> None:
    runners = Runners()
    one, two = runners.claims("one", "a"), runners.claims("one", "b")
    runners.claims("two", "c")
    evolve(two.job, e.TaskComputed(0, 1, 1, 2), 1)
    assert list(runners.leases.held("one")) == [(one, [0])]
    assert list(runners.leases.held("nobody")) == []


def test_a_runner_that_goes_through_thousands_of_jobs_leaves_no_trail() -> None:
    runners = Runners()
    kept = runners.claims("one", "kept")
    for number in range(5_000):
        runners.claims("one", f"job {number}")
        del runners.live[f"job {number}"]  # it has settled
    assert runners.leases.noted < 200
    assert list(runners.leases.held("one")) == [(kept, [0])]
    assert runners.leases.noted == 1


def test_a_runner_that_only_the_log_knows_is_told_from_one_that_was_heard() -> None:
    runners = Runners()
    for name in ("one", "two"):
        runners.claims(name, name)
    runners.leases.extend("two")
    runners.now = 10.0
    assert runners.leases.expired() == [Silent("one", heard=False), Silent("two", heard=True)]


def test_runners_that_are_lost_leave_no_trail() -> None:
    runners = Runners()
    for number in range(100):
        live = runners.claims(f"runner {number}", f"job {number}")
        runners.now += 10.0
        (lost,) = runners.leases.expired()
        evolve(live.job, e.LeaseExpired(0, 1, lost.runner), 1)
        runners.leases.forget(lost.runner)
    assert (runners.leases.runners, runners.leases.noted) == (0, 0)


def test_a_runner_is_overdue_after_half_a_lease() -> None:
    runners = Runners()
    runners.leases.extend("one")
    runners.now = 4.0
    runners.leases.extend("two")
    runners.now = 6.0
    assert list(runners.leases.overdue()) == ["one"]

"""Which slots are free: those of tasks that have ended, in another job only once the log says so."""

from __future__ import annotations

from jobledger.adapters.engine.live import LiveJob
from jobledger.adapters.engine.runners.slots import Slots
from jobledger.core import events as e
from jobledger.core.job import Job, evolve
from support.histories import submission, task

KEY = "door"


class Counted:
    """A job with tasks under the key, as the engine holds it."""

    def __init__(self, slots: Slots, name: str, *, limit: int = 1) -> None:
        self.slots = slots
        self.live = LiveJob(Job(name))
        self.decide(e.JobSubmitted("a job", submission(*[task(key=KEY, limit=limit) for _ in range(4)])))
        self.write()

    def decide(self, event: e.Event) -> bool:
        evolve(self.live.job, event, 1)
        self.live.decided += 1
        return self.refresh()

    def claim(self, number: int) -> bool:
        return self.decide(e.TasksClaimed("runner", 1, [number, number + 1]))

    def end(self, number: int) -> bool:
        return self.decide(e.TaskComputed(number, 1, 1, 2))

    def write(self, decisions: int = 99) -> bool:
        self.live.durable = min(self.live.decided, self.live.durable + decisions)
        return self.refresh()

    def refresh(self) -> bool:
        """Return whether another job may have a slot now."""
        return self.slots.refresh(self.live)

    def read_again(self) -> None:
        """As after an append that failed: only the claims of this test were written."""
        self.live.dead = True
        assert not self.slots.forget(self.live)
        self.live = LiveJob(self.live.job)

    @property
    def left(self) -> int:
        return self.slots.left(self.live)[KEY]


def two_jobs(*, limit: int = 1) -> tuple[Counted, Counted]:
    slots = Slots()
    return Counted(slots, "one", limit=limit), Counted(slots, "two", limit=limit)


def test_what_is_claimed_in_one_job_is_missing_in_the_other_at_once() -> None:
    one, two = two_jobs(limit=3)
    one.claim(0)
    assert (one.left, two.left) == (2, 2)


def test_what_ended_makes_room_in_its_own_job_at_once_and_in_others_when_the_log_says_so() -> None:
    one, two = two_jobs()
    one.claim(0)
    one.write()
    assert not one.end(0)
    assert (one.left, two.left) == (1, 0)
    assert one.write()
    assert (one.left, two.left) == (1, 1)


def test_a_job_that_never_rests_gives_back_what_is_written() -> None:
    one, two = two_jobs(limit=2)
    one.claim(0)
    one.claim(1)
    one.end(0)
    one.end(1)
    assert two.left == 0
    one.write(3)  # both claims, and the first end
    assert two.left == 1
    one.claim(2)
    assert two.left == 1
    one.write()
    assert two.left == 1


def test_a_job_that_is_read_again_keeps_its_slots_until_then() -> None:
    one, two = two_jobs()
    one.claim(0)
    one.write()
    one.read_again()
    assert two.left == 0
    one.refresh()
    one.end(0)
    assert two.left == 0
    one.write()
    assert two.left == 1


def test_what_was_thrown_away_says_nothing_about_the_job_that_took_its_place() -> None:
    one, two = two_jobs()
    one.claim(0)
    thrown_away = one.live
    one.read_again()
    one.refresh()
    one.slots.forget(thrown_away)
    two.claim(0)
    two.write()
    assert not two.end(0)
    assert two.write()


def test_a_job_that_does_not_come_back_keeps_nothing() -> None:
    one, two = two_jobs()
    one.claim(0)
    one.read_again()
    assert one.slots.free("one")
    assert two.left == 1


def test_a_job_that_settled_keeps_nothing() -> None:
    one, two = two_jobs()
    one.claim(0)
    one.end(0)
    one.write()
    assert not one.slots.forget(one.live)  # it had given everything back
    assert two.left == 1


def test_the_smallest_limit_of_a_key_counts() -> None:
    slots = Slots()
    one, two = Counted(slots, "one", limit=3), Counted(slots, "two", limit=2)
    one.claim(0)
    assert (one.left, two.left) == (2, 1)


def test_a_key_is_full_for_all_but_the_job_in_which_a_task_has_just_ended() -> None:
    one, two = two_jobs()
    slots = one.slots
    assert not slots.full(KEY, 1)
    one.claim(0)
    one.write()
    assert slots.full(KEY, 1)
    assert not slots.full(KEY, 2)  # a task that asks for a higher limit may still run
    assert not slots.with_room(KEY)
    one.end(0)
    assert slots.full(KEY, 1)
    assert list(slots.with_room(KEY)) == ["one"]
    one.write()
    assert not slots.full(KEY, 1)
    assert not slots.with_room(KEY)
    two.claim(0)
    assert slots.full(KEY, 1)


def test_a_job_that_claims_again_before_its_end_is_written_has_no_room_any_more() -> None:
    one, _ = two_jobs()
    one.claim(0)
    one.write()
    one.end(0)
    one.claim(1)
    assert not one.slots.with_room(KEY)
    assert one.slots.full(KEY, 1)
    assert not one.write()  # nothing has become free


def test_a_key_without_jobs_is_forgotten() -> None:
    one, two = two_jobs()
    one.claim(0)
    for job in (one, two):
        job.slots.forget(job.live)
    assert not one.slots.full(KEY, 1)
    assert not one.slots.with_room(KEY)

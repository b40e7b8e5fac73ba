"""What is checked of every log: histories as engines write them pass, and each way to damage one is found."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec
import pytest

from jobledger.adapters.nats.log import StoredCommit, encode_message
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, digest
from jobledger.core.job import Job, evolve
from support.histories import JOB, task
from support.log_checks import LogChecks
from support.random_history import ClockedDriver, random_history

RUNNER = "runner-1"


def stored(history: list[tuple[int, list[e.Event]]]) -> list[StoredCommit]:
    """Return a history as a log of nothing else has it."""
    job, previous, commits = Job(JOB), NO_PREVIOUS, list[StoredCommit]()
    for position, (at, events) in enumerate(history, 1):
        for event in events:
            evolve(job, event, at)
        commit = Commit(position.to_bytes(16, "big"), previous, at, "engine", job.settled, events)
        previous = digest(encode_message(position, commit))
        commits.append(StoredCommit(position, position, commit, previous))
    return commits


def found(commits: list[StoredCommit]) -> set[str]:
    """Return which invariants the log breaks, but for what is not over yet."""
    checks = LogChecks()
    for commit in commits:
        checks.add(JOB, commit)
        checks.recount(JOB)
    return {finding.invariant for finding in checks.findings}


@pytest.mark.parametrize("seed", range(40))
def test_what_engines_write_passes(seed: int) -> None:
    without_limits = {"concurrency limits hold"}  # whoever claims there looks at no limits
    assert found(stored(random_history(Random(seed)).history)) <= without_limits


def a_job() -> ClockedDriver:
    """Two tasks, the first of which was computed by a runner, and failed before that on another."""
    driver = ClockedDriver(task("A", retries=1, key="api", limit=1), task("B"))
    driver.claim(2, runner=RUNNER, specs=[0, 1])
    driver.fail(0)
    driver.claim(1, runner="runner-2", specs=[0])
    driver.compute(0)
    driver.compute(1)
    return driver


Damage = Callable[[list[tuple[int, list[e.Event]]]], object]
COMPUTED = e.TaskComputed(0, 2, 10, 20)


def commits_of(damage: Damage) -> list[StoredCommit]:
    """Return the job's commits with its history damaged, but chained and numbered as it should be."""
    history = a_job().history
    damage(history)
    commits, previous = list[StoredCommit](), NO_PREVIOUS
    for position, (at, events) in enumerate(history, 1):
        commit = Commit(position.to_bytes(16, "big"), previous, at, "engine", False, events)
        previous = digest(encode_message(position, commit))
        commits.append(StoredCommit(position, position, commit, previous))
    return commits


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a task is computed again": (lambda h: h[4][1].append(COMPUTED), "attempt is the fence"),
    "a computed task is claimed again": (
        lambda h: h.insert(5, (h[4][0], [e.TasksClaimed("runner-3", 3, [0, 1])])),
        "computed once",
    ),
    "a running task is claimed by another": (
        lambda h: h.insert(2, (h[1][0], [e.TasksClaimed("runner-3", 2, [0, 1])])),
        "an attempt has one holder",
    ),
    "an attempt is left out": (
        lambda h: h.__setitem__(3, (h[3][0], [e.TasksClaimed("runner-2", 3, [0, 1])])),
        "attempts count",
    ),
    "an attempt that is over is reported": (
        lambda h: h.__setitem__(4, (h[4][0], [msgspec.structs.replace(COMPUTED, attempt=1)])),
        "attempt is the fence",
    ),
    "a lease of another runner expires": (
        lambda h: h.__setitem__(4, (h[4][0], [e.LeaseExpired(0, 2, RUNNER)])),
        "an attempt has one holder",
    ),
    "a lost commit": (lambda h: h.pop(3), "attempt is the fence"),
    "nothing happened": (lambda h: h.insert(3, (h[3][0], [])), "commits say something"),
    "it is completed too early": (lambda h: h[2][1].append(e.JobCompleted()), "the log can be folded"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found(what: str) -> None:
    damage, invariant = DAMAGES[what]
    assert invariant in found(commits_of(damage))


def test_a_history_out_of_joint_is_found() -> None:
    commits = stored(a_job().history)
    assert "versions have no gap" in found([*commits[:2], *commits[3:]])
    assert "the chain of hashes holds" in found(
        [*commits[:2], commits[2]._replace(digest=bytes(32)), *commits[3:]]
    )
    again = commits[-1]._replace(position=len(commits) + 1, version=len(commits) + 1)
    assert "a commit is there once" in found([*commits, again])


def test_settled_is_what_the_events_say_and_stays_so() -> None:
    history = a_job().history
    commits = stored(history)
    commit = msgspec.structs.replace(commits[1].commit, settled=True)
    assert "settled is settled" in found([commits[0], commits[1]._replace(commit=commit)])
    history.append((history[-1][0], [e.JobCanceled("again")]))
    assert "settled stays settled" in found(commits_after(commits, history[-1]))


def commits_after(commits: list[StoredCommit], more: tuple[int, list[e.Event]]) -> list[StoredCommit]:
    at, events = more
    place = len(commits) + 1
    commit = Commit(place.to_bytes(16, "big"), commits[-1].digest, at, "engine", True, events)
    return [*commits, StoredCommit(place, place, commit, digest(encode_message(place, commit)))]


def test_more_tasks_of_a_key_than_its_limit_are_found() -> None:
    driver = ClockedDriver(task("A", key="api", limit=1))
    driver.claim()
    checks = LogChecks()
    for position, (job_id, version) in enumerate([("one", 0), ("other", 0), ("one", 1), ("other", 1)], 1):
        assert checks.findings == []
        commit = stored(driver.history)[version]
        new = msgspec.structs.replace(commit.commit, id=position.to_bytes(16, "big"))
        checks.add(job_id, commit._replace(position=position, commit=new))
    assert [finding.invariant for finding in checks.findings] == ["concurrency limits hold"]


def test_at_the_end_every_job_is_settled_and_every_claim_has_ended() -> None:
    whole = stored(a_job().history)
    assert finished(whole) == []
    assert finished(whole[:-1]) == ["every claim ends"]
    assert finished(whole[:1]) == ["every job settles"]


def finished(commits: list[StoredCommit]) -> list[str]:
    checks = LogChecks()
    for commit in commits:
        checks.add(JOB, commit)
    return [finding.invariant for finding in checks.finish()]


def test_bytes_that_are_no_commit_are_found() -> None:
    checks = LogChecks()
    checks.read(JOB, 1, b"\x93nonsense")
    assert [finding.invariant for finding in checks.findings] == ["the log can be read"]

"""What was asked for with a task, read back in the words in which it was asked."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger.core import events as e
from jobledger.core.codec import Commit
from jobledger.core.options import Concurrency, Retry, TaskPolicy, spec_policy
from jobledger.core.policy import Policy
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.projections.policies import policy_words
from jobledger.projections.task_view import TaskView
from support.histories import submission
from support.random_history import T0, ClockedDriver, Placed
from support.views import view_of

START = datetime(2030, 1, 1, tzinfo=UTC)


def submitted(
    policy: Policy | None, *, retries: int = 0, optional: bool = False, continues: bool = False
) -> TaskView:
    spec = TaskSpec("Load", 1, 0, "gpu", retries, optional, policy)
    driver = ClockedDriver(NewTask(spec, b"", frozenset()), options=e.JobOptions(continues=continues))
    return view_of(driver).tasks[0]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({"priority": 5}, {"priority": 5}),
        ({"timeout": timedelta(minutes=1)}, {"timeout": 60.0}),
        ({"start": START}, {"start": START}),
        ({"on_failure": "continue"}, {"on_failure": "continue"}),
        ({"concurrency": Concurrency("api", 2)}, {"concurrency": Concurrency("api", 2)}),
        ({"reuse": True}, {"reuse": True}),
        (
            {"retry": Retry(3, 1.0, 2.0, 60.0, 0.1, (OSError,), ("KeyError",))},
            {"retry": Retry(3, 1.0, 2.0, 60.0, 0.1, ("OSError",), ("KeyError",)), "max_retries": 3},
        ),
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_it_reads_as_it_was_asked_for(asked: dict[str, Any], shown: dict[str, Any]) -> None:
    policy = TaskPolicy(**asked)
    task = submitted(spec_policy(policy, now=T0), retries=policy.retry.max if policy.retry else 0)
    assert {name: getattr(task, name) for name in shown} == shown


def test_what_was_not_asked_for() -> None:
    task = submitted(None)
    assert (task.priority, task.max_retries, task.on_failure, task.cluster) == (0, 0, "halt", "gpu")
    assert [task.timeout, task.start, task.retry, task.concurrency] == [None] * 4
    assert (task.reuse, task.optional) == (False, False)


def test_the_job_says_what_a_failure_does_unless_the_task_does() -> None:
    assert submitted(None, continues=True).on_failure == "continue"
    halts = spec_policy(TaskPolicy(on_failure="halt"), now=T0)
    assert submitted(halts, continues=True).on_failure == "halt"


def test_plain_retries_are_at_once() -> None:
    assert submitted(None, retries=2).retry == Retry(2, 0.0, 1.0, math.inf)


def test_what_the_log_holds_is_shown_whatever_it_is() -> None:
    # No engine takes this any more: the log of one that did may have it.
    policy = Policy(key="k" * 1000, limit=1, delay=2**62, jitter=1.0)
    tasks = submission(NewTask(TaskSpec("Load", 1, 0, "gpu", 2**40, False, policy), b"", frozenset()))
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, [e.JobSubmitted("a job", tasks)])
    task = view_of([Placed(1, 1, commit)]).tasks[0]
    assert task.concurrency is not None
    assert len(task.concurrency.key) == 1000
    assert task.retry is not None
    assert task.retry.max == 2**40


def test_it_can_be_told_in_words() -> None:
    retry = Retry(3, delay=1.0, backoff=2.0, cap=60, jitter=0.1, on=(OSError,), give_up=(KeyError,))
    policy = TaskPolicy(5, retry, 90, START, "continue", Concurrency("api", 2), True)
    spec = TaskSpec("Load", 1, 0, "gpu", 3, True, spec_policy(policy, now=T0))
    assert policy_words(spec) == [
        "priority 5",
        "optional",
        "not before 2030-01-01 00:00:00.000Z",
        "timeout 1 min 30 s",
        (
            "3 retries after 1.000 s, each delay 2 times the one before up to 1 min 0 s, spread by 10%, "
            "only after OSError, not after KeyError"
        ),
        "at most 2 of 'api' at a time",
        "on failure continue",
        "reuses earlier results",
    ]
    assert policy_words(TaskSpec("Load", 1, 0, "gpu")) == []

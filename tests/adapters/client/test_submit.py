"""What can be asked for with a job: labels, an idempotency key, a deadline, policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger import (
    ArgumentError,
    Client,
    Concurrency,
    ExecutionContext,
    JobClient,
    JobFailed,
    JobState,
    Retry,
    Task,
)
from jobledger.adapters.client.submit.submission import keyed_id, submit_command
from jobledger.core.policy import CONTINUE
from support.engines import BareRunner, failed


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> None:
        """Nothing is left to do."""


class Careful(Task, priority=3, retry=Retry(4, delay=1.0)):
    left: int


@pytest.fixture
def nowhere() -> JobClient:
    """Of a client whose server does not exist: a request would raise ServerUnavailable."""
    return Client("nats://127.0.0.1:1", patience=0).jobs()


# -- labels -------------------------------------------------------------------------------------------------------


def test_labels_are_kept_with_the_job(client: Client) -> None:
    labels = {"team": "maps", "note": ""}
    job = client.jobs().submit("adding", Add(1), labels=labels)
    assert client.jobs().find(job).labels == labels
    assert job.info["labels"] == labels
    assert client.jobs().submit("adding", Add(1)).labels == {}


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("team", "labels='team' are no labels: pass a dict"),
        ({5: "x"}, "labels key=5 is a int, not text"),
        ({"": "x"}, "labels key='' is empty"),
        ({129 * "k": "x"}, "labels key has 129 characters, at most 128"),
        ({"team": 5}, r"labels\['team'\]=5 is a int, not text"),
        ({"team": 1025 * "x"}, r"labels\['team'\] has 1025 characters, at most 1024"),
        ({str(n): "x" for n in range(65)}, "labels has 65 entries, at most 64"),
    ],
)
def test_labels_that_are_none_are_refused(nowhere: JobClient, labels: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        nowhere.submit("adding", Add(1), labels=labels)


# -- the idempotency key ------------------------------------------------------------------------------------------


def test_a_key_stands_for_one_job_whoever_submits_it_and_however_often(client: Client) -> None:
    jobs = client.jobs()
    first = jobs.submit("adding", Add(1), idempotency_key="order 4711", deadline=60, start=1)
    again = jobs.submit("adding", Add(1), idempotency_key="order 4711", deadline=60, start=1)
    assert again == first
    assert len(first.history) == 1
    assert jobs.submit("adding", Add(1), idempotency_key="order 4712") != first
    jobs.cancel(first)
    assert jobs.submit("adding", Add(1), idempotency_key="order 4711").state is JobState.CANCELED


def test_a_key_is_not_used_for_something_else(client: Client) -> None:
    jobs = client.jobs()
    first = jobs.submit("adding", Add(1), idempotency_key="order 4711")
    for name, root in (("adding", Add(2)), ("another", Add(1)), ("adding", Careful(1))):
        with pytest.raises(ArgumentError, match=rf"idempotency key 'order 4711' belongs to job {first.id}"):
            jobs.submit(name, root, idempotency_key="order 4711")
    jobs.delete(first, force=True)
    with pytest.raises(ArgumentError, match=r"belongs to job .*, which was deleted"):
        jobs.submit("adding", Add(1), idempotency_key="order 4711")


def test_the_id_of_a_key_is_the_same_for_ever() -> None:
    """Ids are in logs and in other systems: what is derived here may never be derived differently."""
    assert str(keyed_id("default", "order 4711")) == "f196127a-6076-5664-a14e-bee1ed3fd5b4"
    assert keyed_id("other", "order 4711") != keyed_id("default", "order 4711")
    command = submit_command("default", "adding", Add(1), idempotency_key="order 4711")
    assert command.job_id == str(keyed_id("default", "order 4711"))
    assert command.options is not None
    assert command.options.key == "order 4711"


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "idempotency_key='' is empty"),
        (5, "idempotency_key=5 is a int"),
        (257 * "x", "has 257 characters, at most 256"),
    ],
)
def test_a_key_that_is_none_is_refused(nowhere: JobClient, key: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        nowhere.submit("adding", Add(1), idempotency_key=key)


# -- the deadline -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deadline", [3600, timedelta(hours=1)])
def test_a_deadline_counts_from_now(client: Client, deadline: Any) -> None:
    before = datetime.now(UTC)
    job = client.jobs().submit("adding", Add(1), deadline=deadline)
    assert job.deadline is not None
    assert before <= job.deadline - timedelta(hours=1) <= datetime.now(UTC)


def test_a_deadline_may_be_a_time(client: Client) -> None:
    deadline = datetime(2200, 1, 1, tzinfo=UTC)
    assert client.jobs().submit("adding", Add(1), deadline=deadline).deadline == deadline


def test_a_job_that_misses_its_deadline_fails_for_no_fault_of_a_task(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1), deadline=0.05)
    with pytest.raises(
        JobFailed, match=r"failed: DeadlineExceeded: the job was not over at its deadline"
    ) as caught:
        job.wait(timeout=10)
    assert (caught.value.reason, caught.value.task_id) == ("DeadlineExceeded", "")
    assert job.error is not None
    assert job.error.reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("deadline", "says"),
    [
        (-1, "deadline=-1"),
        ("tomorrow", "deadline='tomorrow' is no length of time: pass an aware datetime, seconds"),
        (datetime(2030, 1, 1), "deadline=.* has no time zone: pass an aware datetime"),
    ],
)
def test_a_deadline_that_is_none_is_refused(nowhere: JobClient, deadline: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        nowhere.submit("adding", Add(1), deadline=deadline)


# -- policies -----------------------------------------------------------------------------------------------------


def test_the_words_of_a_policy_are_for_the_root_tasks_and_win_over_the_class() -> None:
    command = submit_command("ns", "careful", [Careful(1), Add(2)], policy={"timeout": 30, "priority": 5})
    careful, add = command.tasks.specs
    assert (careful.asked.priority, careful.asked.timeout, careful.max_retries) == (5, 30_000_000, 4)
    assert (add.asked.priority, add.asked.timeout, add.max_retries) == (5, 30_000_000, 0)
    (plain,) = submit_command("ns", "careful", Careful(1)).tasks.specs
    assert (plain.asked.priority, plain.max_retries, plain.asked.delay) == (3, 4, 1_000_000)
    (fewer,) = submit_command("ns", "careful", Careful(1), max_retries=2).tasks.specs
    assert fewer.max_retries == 2


def test_on_failure_is_for_the_root_tasks_and_for_the_job() -> None:
    command = submit_command("ns", "adding", Add(1), policy={"on_failure": "continue"})
    assert command.options is not None
    assert command.options.continues
    assert command.tasks.specs[0].asked.on_failure == CONTINUE
    plain = submit_command("ns", "adding", Add(1))
    assert plain.options is None or not plain.options.continues


def test_a_job_that_continues_runs_what_does_not_depend_on_the_failure(
    client: Client, bare_runner: BareRunner
) -> None:
    job = client.jobs().submit("adding", [Add(1), Add(2)], on_failure="continue", force=True)
    assert job.on_failure == "continue"
    (ref,) = bare_runner.claim()
    bare_runner.report(failed(ref))
    assert job.state is not JobState.FAILED
    client.runner(tasks=[Add]).run_all()
    assert job.refresh().state is JobState.FAILED
    assert [task.state.name for task in job.tasks] == ["FAILED", "COMPUTED"]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"priority": "high"}, "priority='high' cannot be used"),
        ({"timeout": 0}, "timeout=0"),
        ({"retry": 3}, "retry=3 is no retry policy"),
        ({"on_failure": "stop"}, "on_failure='stop' is not known"),
        ({"concurrency": "api"}, r"concurrency='api' is no limit: pass Concurrency\('key', 2\)"),
        ({"start": "later"}, "start='later' is no length of time"),
        ({"reuse": 1}, "reuse=1 is neither True nor False"),
        ({"prio": 1}, "'prio' is no option of a task"),
        ({"force": 1}, "force=1 is neither True nor False"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(nowhere: JobClient, policy: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        nowhere.submit("adding", Add(1), **policy)


def test_everything_at_once(client: Client) -> None:
    job = client.jobs().submit(
        "adding",
        Add(1),
        None,
        1,
        labels={"a": "b"},
        idempotency_key="k",
        deadline=60,
        force=True,
        priority=1,
        retry=Retry(2),
        timeout=10,
        start=0,
        on_failure="halt",
        concurrency=Concurrency("api", 2),
        reuse=True,
    )
    assert job.force
    client.runner(tasks=[Add]).run_all()
    assert job.wait(timeout=10).percent == 100

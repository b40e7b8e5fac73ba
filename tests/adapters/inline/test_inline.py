"""Inline jobs: what a user's test sees of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from jobledger import ExecutionContext, Task
from jobledger.adapters.nats.names import Names
from jobledger.core.errors import ArgumentError, ErasedError
from jobledger.core.events import AttemptFailed
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.options import Concurrency, Retry
from jobledger.testing import InlineClient, NotInline, VirtualClock
from support.servers import NatsServer


@pytest.fixture(params=["memory", "server"])
def client(request: pytest.FixtureRequest, nats_server: NatsServer, names: Names) -> Iterator[InlineClient]:
    """An inline client, on a log in memory and on that of a real server: both see the same."""
    url = nats_server.url if request.param == "server" else None
    with InlineClient(url, namespace=names.namespace) as client:
        yield client


class Noted(Task):
    """Appends its name to what ran."""

    name: str
    below: int = 0

    def execute(self, context: ExecutionContext) -> str:
        context.runner_context.append(self.name)
        for number in range(self.below):
            context.submit_subtask(Noted(f"{self.name}.{number}", self.below - 1))
        return self.name


def kinds(client: InlineClient, job: object) -> list[str]:
    return [type(event).__name__ for event in client.events(job)]  # type: ignore[arg-type]


def test_a_job_runs_depth_first_and_in_order_of_submission(client: InlineClient) -> None:
    ran: list[str] = []
    job = client.jobs().submit("tree", Noted("r", 2))
    assert client.runner(tasks=[Noted], context=ran).run_all() == 5
    assert ran == ["r", "r.0", "r.0.0", "r.1", "r.1.0"]
    assert job.state is JobState.COMPLETED
    assert kinds(client, job)[-2:] == ["TaskComputed", "JobCompleted"]


class Flaky(Task, retry=Retry(3, delay=timedelta(hours=1), backoff=2.0)):
    failures: int

    def execute(self, context: ExecutionContext) -> None:
        if context.current_task.attempt <= self.failures:
            raise OSError("not yet")


def test_delays_pass_at_once_on_the_virtual_clock(client: InlineClient) -> None:
    start = client.clock.now
    job = client.run(Flaky(2))
    assert job.state is JobState.COMPLETED
    assert client.clock.now - start == timedelta(hours=3)
    waits = [
        event.retry_at - event.stopped for event in client.events(job) if isinstance(event, AttemptFailed)
    ]
    assert waits == [3_600_000_000, 7_200_000_000]


def test_time_that_is_not_skipped_is_waited_for_by_the_test(client: InlineClient) -> None:
    job = client.jobs().submit("flaky", Flaky(1))
    runner = client.runner(tasks=[Flaky])
    assert runner.run_all(skip_time=False) == 1
    assert job.state.name == "RUNNING"
    client.clock.advance(timedelta(hours=1))
    assert runner.run_all(skip_time=False) == 1
    assert job.state.name == "COMPLETED"


def test_a_failed_job_is_looked_at_mended_and_retried(client: InlineClient) -> None:
    job = client.run(Flaky(9), max_retries=1)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.message == "not yet"
    assert client.jobs().retry(job) == 1
    assert job.tasks[0].state is TaskState.QUEUED


class Later(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Noted("late"), start=timedelta(hours=5))


def test_a_subtask_starts_by_the_virtual_clock(client: InlineClient) -> None:
    start = client.clock.now
    job = client.jobs().submit("later", Later())
    client.runner(tasks=[Later, Noted], context=[]).run_all()
    assert job.state is JobState.COMPLETED
    assert client.clock.now - start == timedelta(hours=5)


class Slow(Task, timeout=10.0):
    seconds: float

    def execute(self, context: ExecutionContext) -> None:
        context.runner_context.advance(self.seconds)


@pytest.mark.parametrize(("seconds", "state"), [(9.0, JobState.COMPLETED), (11.0, JobState.FAILED)])
def test_a_task_takes_the_time_it_lets_pass(client: InlineClient, seconds: float, state: JobState) -> None:
    job = client.jobs().submit("slow", Slow(seconds))
    client.runner(tasks=[Slow], context=client.clock).run_all()
    assert job.state is state


def test_a_deadline_ends_a_job_nobody_can_run(client: InlineClient) -> None:
    job = client.jobs().submit("late", Flaky(0), deadline=60.0)
    client.runner(tasks=[Slow]).run_all()
    assert job.state is JobState.FAILED
    assert kinds(client, job) == ["JobSubmitted", "DeadlineExceeded"]


def test_times_that_count_from_now_count_from_the_virtual_one(client: InlineClient) -> None:
    start = client.clock.now
    job = client.jobs().submit("later", Flaky(0), start=60, deadline=90)
    assert job.tasks[0].held_until == start + timedelta(seconds=60)
    assert job.deadline == start + timedelta(seconds=90)
    client.clock.advance(60)
    assert job.tasks[0].held_until is None
    assert job.tasks[0].pending_duration == 60.0
    client.jobs().cancel(job)
    assert client.jobs().retry(job, deadline=90) == 1
    assert job.deadline == start + timedelta(seconds=150)


class Limited(Task, concurrency=Concurrency("door", 1)):
    def execute(self, context: ExecutionContext) -> None: ...


def test_limits_hold_for_one_task_at_a_time(client: InlineClient) -> None:
    assert client.run(Limited()).state is JobState.COMPLETED


def test_waiting_for_what_nobody_runs_says_what_to_do(client: InlineClient) -> None:
    job = client.jobs().submit("tree", Noted("r"))
    with pytest.raises(NotInline, match=r"run_all\(\) before you wait"):
        job.wait(timeout=5)


def test_a_runner_without_tasks_is_a_mistake(client: InlineClient) -> None:
    with pytest.raises(ArgumentError, match="no tasks"):
        client.runner().run_all()


def test_two_runs_write_the_same_events_but_for_ids() -> None:
    def run() -> Sequence[object]:
        client = InlineClient(clock=VirtualClock())
        job = client.jobs().submit("tree", Noted("r", 2))
        client.runner(tasks=[Noted], context=[]).run_all()
        _submitted, *others = client.events(job)  # the first one carries the ids of job and trace
        return others

    assert run() == run()


def test_the_plugin_tells_the_story_of_the_jobs_of_a_failed_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from jobledger import Task

        class Broken(Task):
            def execute(self, context):
                raise ValueError("the reason")

        def test_it(inline_client):
            job = inline_client.run(Broken(), name="a story")
            assert job.error is None
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*jobledger job 'a story'*", "*ValueError: the reason*"])


# -- sealed jobs ------------------------------------------------------------------------------------------------------


class Confide(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        context.submit_subtask(Confided("got"))
        context.job_cache["what"] = self.text.encode()
        return self.text


class Confided(Task):
    verb: str

    def execute(self, context: ExecutionContext) -> str:
        return f"{self.verb} {context.job_cache['what'].decode()}"


def test_a_sealed_job_runs_as_any_other_and_is_erased() -> None:
    client = InlineClient(encrypt=True)
    job = client.run(Confide("a secret"), Confided)
    assert [task.result for task in job.tasks] == ["a secret", "got a secret"]
    assert "a secret" not in str(client.events(job))
    end = job.history[-1].position
    client.jobs().delete(job)
    with pytest.raises(ErasedError, match=f"job {job.id} was erased"):
        client.jobs().find(job.id, at=end).tasks[1].input  # noqa: B018

"""Submitting, finding, canceling, retrying and reading jobs, against a real engine on a real server."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import jobledger
from jobledger import (
    ArgumentError,
    Client,
    DamagedLog,
    ExecutionContext,
    Job,
    JobNotRetryable,
    JobState,
    NotFoundError,
    Task,
    TaskState,
)
from jobledger.adapters.client.ids import new_id
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.records import encode_record
from jobledger.adapters.portal import shared_portal
from jobledger.core.codec import TOPIC
from support.engines import BareRunner, EngineHarness, computed, failed, task
from support.servers import NatsServer


class Add(Task):
    left: int
    right: int = 0

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"{self.left} + {self.right} = {self.left + self.right}"


class Shout(Task):
    text: str


class Sum(Task):
    numbers: list[int]

    def execute(self, context: ExecutionContext) -> None:
        parts = context.submit_subtasks([Add(number) for number in self.numbers])
        context.submit_subtask(Add(0, 0), depends_on=parts)


def state(job: Job) -> JobState:
    """A type checker that has seen `job.state` once believes that it stays so."""
    return job.state


def test_a_submitted_job_can_be_read_at_once(client: Client, names: Names) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    job = client.jobs().submit("adding", Add(1, right=2))
    assert isinstance(job.id, UUID)
    assert job.id.version == 7
    assert repr(job) == f"<Job 'adding' {job.id}>"
    assert state(job) is JobState.SUBMITTED
    assert repr(job) == f"<Job 'adding' {job.id} SUBMITTED>"
    assert str(job) == f"job 'adding' ({job.id}): SUBMITTED, tasks: 1 QUEUED"
    assert (job.name, job.settled, job.settled_at, job.canceled, job.error) == (
        "adding",
        False,
        None,
        False,
        None,
    )
    assert before < job.submitted_at < datetime.now(UTC) + timedelta(seconds=1)
    assert job.submitted_at.tzinfo is UTC
    (only,) = job.tasks
    assert only.input_json == {"left": 1, "right": 2}
    assert only.cluster == "default"
    assert only.waiting == "ready: waits for a runner of cluster 'default' with task Add v0.0"
    assert job.tasks_by_state == {state: int(state is TaskState.QUEUED) for state in TaskState}
    (entry,) = job.history
    assert "job 'adding' submitted by " in str(entry)


def test_several_root_tasks_go_to_several_clusters(client: Client) -> None:
    for slug in ("gpu", "cpu"):
        client.clusters().create(slug, slug=slug)
    job = client.jobs().submit("two", [Add(1), Add(2)], cluster=["gpu", "cpu"], max_retries=3)
    assert [(one.cluster, one.max_retries) for one in job.tasks] == [("gpu", 3), ("cpu", 3)]
    assert {one.cluster for one in client.jobs().submit("two", [Add(1), Add(2)], cluster="gpu").tasks} == {
        "gpu"
    }


def test_find_returns_an_equal_job(client: Client) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1))
    for given in (job, job.id, str(job.id), job.id.hex):
        found = jobs.find(given)
        assert found == job
        assert found is not job
        assert repr(found) == f"<Job 'adding' {job.id} SUBMITTED>"
    other = jobs.submit("adding", Add(1))
    assert other != job
    assert len({job, jobs.find(job), other}) == 2
    assert job != job.id


def test_an_unknown_id_is_named(client: Client) -> None:
    unknown = new_id()
    jobs = client.jobs()
    calls: list[Callable[[UUID], object]] = [jobs.find, jobs.cancel, jobs.retry]
    for call in calls:
        with pytest.raises(NotFoundError, match=f"there is no job {unknown}") as caught:
            call(unknown)
        assert isinstance(caught.value, KeyError)
    jobs.submit("another", Add(1))
    with pytest.raises(NotFoundError):
        jobs.find(unknown)


def test_a_job_moves_on_under_the_hands_of_its_reader(client: Client, bare_runner: BareRunner) -> None:
    job = client.jobs().submit("adding", Add(1))
    (only,) = job.tasks
    (ref,) = bare_runner.claim()
    assert state(job) is JobState.RUNNING
    assert (only.state, only.runner, only.waiting) == (TaskState.RUNNING, bare_runner.name, None)
    bare_runner.report(computed(ref, task("Add", after=())))
    assert state(job) is JobState.STARTED
    assert [one.name for one in job.tasks] == ["Add", "Add"]
    assert only.children[0].parent == only
    adder = BareRunner(bare_runner._link, "Add")  # the subtask is of version 1.0
    (ref,) = adder.claim()
    assert (ref.task, state(job)) == (1, JobState.RUNNING)
    adder.report(computed(ref))
    assert (state(job), only.complete) == (JobState.COMPLETED, True)


def test_a_run_shows_in_tasks_and_history(client: Client) -> None:
    job = client.jobs().submit("sum", Sum([1, 2, 3]))
    client.runner(tasks=[Sum, Add]).run_all()
    assert state(job) is JobState.COMPLETED
    assert [one.display for one in job.tasks] == ["Sum", "1 + 0 = 1", "2 + 0 = 2", "3 + 0 = 3", "0 + 0 = 0"]
    assert [one.number for one in job.tasks[4].depends_on] == [1, 2, 3]
    assert job.settled_at is not None
    for one in job.tasks:
        assert one.started_at is not None
        assert one.stopped_at is not None
        assert job.submitted_at <= one.started_at <= one.stopped_at <= job.settled_at + timedelta(seconds=1)
    texts = [entry.text for entry in job.history]
    assert texts[0].startswith("job 'sum' submitted by")
    assert texts[-1] == "job completed"
    assert sum("computed by attempt 1" in text for text in texts) == 5
    positions = [(entry.position, entry.index) for entry in job.history]
    assert positions == sorted(positions)


def test_cancel_halts_a_job_once(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", [Add(1), Add(2)])
    (ref,) = bare_runner.claim()
    assert jobs.cancel(job, reason="wrong input") is True
    assert jobs.cancel(job.id) is False
    assert (job.state, job.canceled, job.settled) == (JobState.CANCELED, True, False)
    assert "(wrong input)" in (job.tasks[1].waiting or "")
    bare_runner.report(computed(ref))
    assert (job.state, job.settled) == (JobState.CANCELED, True)
    assert "wrong input" in str(job.history)


def test_retry_resumes_a_canceled_job(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", [Add(1), Add(2), Add(3)])
    refs = bare_runner.claim()
    bare_runner.report(computed(refs[0]))
    jobs.cancel(job)
    assert jobs.retry(str(job.id)) == 2
    assert state(job) is JobState.STARTED
    client.runner(tasks=[Add]).run_all()
    assert state(job) is JobState.COMPLETED
    assert [one.attempt for one in job.tasks] == [1, 1, 1]


def test_retry_resumes_a_failed_job(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", [Add(1), Add(2)])
    (ref,) = bare_runner.claim()
    bare_runner.report(failed(ref))
    assert state(job) is JobState.FAILED
    assert job.error is not None
    assert (job.error.reason, job.error.message) == ("ValueError", "it broke")
    assert job.error.task_id == f"{job.id}/0" == job.tasks[0].id
    assert jobs.retry(job) == 2
    assert state(job) is JobState.RUNNING
    assert job.refresh().error is None
    client.runner(tasks=[Add]).run_all()
    assert state(job) is JobState.COMPLETED
    assert [one.attempt for one in job.tasks] == [2, 1]
    assert [str(one) for one in job.tasks[0].attempts] == [
        "attempt 1 failed: ValueError: it broke",
        "attempt 2 computed",
    ]


def test_a_job_that_runs_or_is_completed_is_not_retried(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1))
    with pytest.raises(JobNotRetryable, match=rf"job {job.id} is SUBMITTED; only a FAILED or CANCELED job"):
        jobs.retry(job)
    (ref,) = bare_runner.claim()
    with pytest.raises(JobNotRetryable, match="is RUNNING"):
        jobs.retry(job)
    bare_runner.report(computed(ref))
    with pytest.raises(ArgumentError, match=r"is COMPLETED.*submit it again"):
        jobs.retry(job)
    assert jobs.cancel(job) is False
    assert state(job) is JobState.COMPLETED


def test_an_input_larger_than_a_message_of_the_server_is_submitted_all_the_same(client: Client) -> None:
    class Store(Task):
        data: str

    job = client.jobs().submit("large", [Store(9_000_000 * "x"), Store("small")])
    assert [len(task.input_json) for task in job.tasks] == [9_000_000, 5]


def test_too_many_root_tasks_for_one_message_are_refused_with_the_remedy(client: Client) -> None:
    with pytest.raises(
        ArgumentError, match=r"the 45,000 root tasks take .* takes messages of 8,388,608 bytes.*subtasks"
    ):
        client.jobs().submit("many", [Shout(200 * "x")] * 45_000)


def test_a_task_that_just_fits_reaches_a_runner(client: Client) -> None:
    class Measure(Task):
        data: str

        def execute(self, context: ExecutionContext) -> None:
            context.current_task.display = str(len(self.data))

    job = client.jobs().submit("x" * 1024, Measure((8_388_608 - 4096 - 1400) * "x"))
    client.runner(tasks=[Measure]).run_all()
    assert state(job) is JobState.COMPLETED


def test_one_client_serves_many_threads(client: Client) -> None:
    jobs = client.jobs()

    def one(number: int) -> tuple[Job, JobState]:
        job = jobs.submit(f"job {number}", Add(number))
        return job, jobs.find(job.id).state

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(40)))
    assert {state for _, state in found} == {JobState.SUBMITTED}
    assert len({job.id for job, _ in found}) == 40


def test_one_job_is_read_by_many_threads(client: Client) -> None:
    job = client.jobs().submit("sum", Sum([*range(200)]))
    ended = threading.Event()
    seen: list[list[JobState]] = []

    def read() -> None:
        states: list[JobState] = []
        while not ended.is_set():
            counts = job.tasks_by_state
            assert sum(counts.values()) in (1, 202)
            states.append(job.state)
        seen.append(states)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        try:
            client.runner(tasks=[Sum, Add], concurrency=2).run_all()
        finally:
            ended.set()
        for reader in readers:
            reader.result()
    assert len(seen) == 4
    assert state(job) is JobState.COMPLETED


def test_a_settled_job_costs_one_question_to_read_again(client: Client) -> None:
    job = client.jobs().submit("sum", Sum([*range(50)]))
    client.runner(tasks=[Sum, Add]).run_all()
    assert job.settled
    link = shared_portal().run(client._session.link())
    before = link.nc.stats["in_msgs"]
    assert state(job) is JobState.COMPLETED
    # measured 1: the answer that there is nothing new; a runner's or engine's message may come in between
    assert link.nc.stats["in_msgs"] - before < 5
    assert job.tasks.filter(name="Add")


def test_a_job_is_not_copied(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"pass job\.id"):
            attempt(job)


def test_a_damaged_job_is_named_and_the_others_are_unaffected(client: Client, names: Names) -> None:
    jobs = client.jobs()
    job, other = jobs.submit("bad", Add(1)), jobs.submit("good", Add(2))
    assert state(job) is JobState.SUBMITTED
    link = shared_portal().run(client._session.link())

    async def damage() -> int:
        payload = encode_record(2, TOPIC, b"\xc1 no commit")
        return (await link.nc.jetstream().publish(names.log_subject(str(job.id)), payload)).seq

    position = shared_portal().run(damage())
    for read in (lambda: job.state, lambda: jobs.find(job.id), lambda: job.history):
        with pytest.raises(DamagedLog, match=f"position {position}, in the history of job {job.id}"):
            read()
    assert repr(job).startswith("<Job 'bad'")
    assert str(job) == repr(job)
    assert other.state is JobState.SUBMITTED
    assert jobs.find(other).tasks


def test_a_history_that_contradicts_itself_is_named(client: Client, names: Names) -> None:
    """Bytes and hashes are right, but no engine could have decided this."""
    from jobledger.adapters.nats.log import encode_message, read_job
    from jobledger.core.codec import Commit
    from jobledger.core.events import JobCompleted

    job = client.jobs().submit("bad", Add(1))
    link = shared_portal().run(client._session.link())

    async def contradict() -> int:
        (first,) = await read_job(link.nc, names, str(job.id))
        commit = Commit(bytes(16), first.digest, 0, "nobody", True, [JobCompleted()])
        sent = await link.nc.jetstream().publish(names.log_subject(str(job.id)), encode_message(2, commit))
        return sent.seq

    position = shared_portal().run(contradict())
    for _ in range(2):  # the second reading begins anew and comes to the same
        with pytest.raises(DamagedLog, match=f"position {position}.*JobCompleted cannot follow"):
            _ = job.state


FORKED = """
import os, sys
from jobledger import Client, Task

class Add(Task):
    left: int

with Client({url!r}, namespace={namespace!r}) as client:
    job = client.jobs().submit("parent", Add(1))
    assert job.state.name == "SUBMITTED"
    child = os.fork()
    mine = client.jobs().submit("child" if child == 0 else "parent again", Add(2))
    assert mine.state.name == "SUBMITTED"
    assert client.jobs().cancel(job if child == 0 else mine)
    assert job.refresh().name == "parent"
    if child == 0:
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert job.canceled
    print("both")
"""


def test_a_forked_process_gets_a_connection_of_its_own(
    nats_server: NatsServer, names: Names, engine: EngineHarness
) -> None:
    sources = Path(jobledger.__file__).parent.parent
    code = f"import sys; sys.path.insert(0, {str(sources)!r})\n"
    code += FORKED.format(url=nats_server.url, namespace=names.namespace)
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("both\n", 0), done.stderr


def test_a_large_job_is_found_quickly(client: Client) -> None:
    """The figure itself is measured in benchmarks; here that nothing is read twice or task by task."""

    class Many(Task):
        def execute(self, context: ExecutionContext) -> None:
            context.submit_subtasks([Add(number) for number in range(20_000)])

    job = client.jobs().submit("many", Many())
    client.runner(tasks=[Many]).run_all()
    found = client.jobs().find(job.id)
    assert len(found.tasks) == 20_001
    assert found.tasks[-1].input_json == {"left": 19_999, "right": 0}

"""What a strict type checker sees of a user's program: exact types of everything, and the mistakes in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import jobledger
from jobledger import (
    AsyncClient,
    AsyncClusterClient,
    AsyncFeedClient,
    AsyncJobClient,
    AsyncTaskRunner,
    Client,
    ClusterClient,
    ExecutionContext,
    FeedClient,
    Job,
    JobClient,
    Runner,
    TaskRunner,
)
from jobledger.audit import AsyncAuditClient, AuditClient
from jobledger.data import AsyncSubscription, Subscription
from jobledger.testing import InlineClient, InlineRunner

TASKS = """
from datetime import datetime, timedelta
from typing import Any, Unpack, assert_type

from jobledger import Concurrency, ExecutionContext, Job, JobClient, Retry, Runner, RunnerContext, Task, TaskCanceled
from jobledger.cache import InMemoryCache, JobCache
from jobledger.data import CurrentTask, FutureTask, Logger, PolicyOptions, Progress, Tracer


class Add(Task, retry=Retry(3, delay=0.5), concurrency=Concurrency("api", 2), timeout=timedelta(minutes=1)):
    left: int
    right: int = 0

    def execute(self, context: ExecutionContext) -> int:
        return self.left + self.right


class Shared(RunnerContext):
    words = ("a", "b")


class Everything(Task):
    async def execute(self, context: ExecutionContext) -> dict[str, int]:
        assert_type(context.submit_subtask(Add(1), timeout=30, priority=5), FutureTask)
        handles = context.submit_subtasks([Add(1), Add(2)], max_retries=2, on_failure="continue")
        assert_type(handles, list[FutureTask])
        context.submit_subtask(Add(3), depends_on=handles, cluster="gpu", optional=True)
        assert_type(context.progress("rows"), Progress)
        context.progress("rows").add(2)
        context.progress("rows").done(1)
        assert_type(context.results(), list[Any])
        assert_type(context.results(as_type=int), list[int | None])
        try:
            context.check_canceled()
        except TaskCanceled:
            raise
        assert_type((context.canceled, context.cancel_reason), tuple[bool, str])
        assert_type(context.current_task, CurrentTask)
        context.current_task.display = f"{context.current_task.job.name}, {context.current_task.attempt}"
        assert_type(context.job_cache, JobCache)
        context.job_cache["a"] = b"1"
        assert_type(dict(context.job_cache.group("b").items()), dict[str, bytes])
        assert_type(context.logger, Logger)
        context.logger.bind(table="orders").info("loaded %s", 3, rows=3)
        assert_type(context.tracer, Tracer)
        with context.tracer.span("download", url="https://example.org") as span:
            span.set_attribute("bytes", 512)
        assert isinstance(context.runner_context, Shared)
        return {word: len(word) for word in context.runner_context.words}


#: what is defined once, and connected where it runs
RUNNER = Runner(tasks=[Add, Everything], cache=InMemoryCache(), context=Shared)


def careful(jobs: JobClient, task: Task, **policy: Unpack[PolicyOptions]) -> Job:
    return jobs.submit("careful", task, max_retries=5, **policy)
"""

BLOCKING = """
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from jobledger import Client, ClusterClient, Concurrency, Job, JobClient, JobState, NewJob, TaskRunner, TaskState
from jobledger.data import Cluster, ClusterEntry, History, JobChange, JobError, JobRow, LogRecord, LogRecords, Outcomes
from jobledger.audit import AuditReport, Checkpoint, Exported
from jobledger.data import ExecutionStats, FeedStatus, HealthFinding, HealthReport, JobStatus, ProgressIndicator, Reasons, Selection, Spans, SubmissionStatus
from jobledger.data import Attempt, Cause, Error, Source, Status, StopRequest, Subscription, TaskIdentifier, Tasks
from jobledger.data import JobReplay, Origin, PastJob, ReplayStep, StateChange, TaskDiff, TaskView, Value, ViewStatus, WhatIf
from jobledger.errors import JobCanceled, JobFailed, JobLedgerError, ResultError
from tasks import RUNNER, Add, careful


def told(change: JobChange) -> None:
    print(change.job_id, change.old, change.new)


with Client(patience=5) as client:
    jobs = client.jobs()
    assert_type(jobs, JobClient)
    job = jobs.submit(
        "adding", [Add(1), Add(2)], labels={"a": "b"}, deadline=timedelta(hours=1), concurrency=Concurrency("api")
    )
    assert_type(job, Job)
    assert_type(careful(jobs, Add(1), timeout=30, on_failure="continue"), Job)
    many = jobs.submit_many(NewJob("adding", Add(n), idempotency_key=str(n), priority=n) for n in range(3))
    assert_type(many, list[Job])
    assert_type(jobs.wait_all([*many, job.id], timeout=5), list[Job])
    assert_type(jobs.find(job.id), Job)
    assert_type(jobs.find(job.id, at=datetime.now(UTC)), PastJob)
    assert_type(jobs.replay(job.id), JobReplay)
    edits = {3: Add(1)}
    assert_type(jobs.fork(job, tasks=edits), Job)
    fork = jobs.fork(job.at(4711), tasks={3: Add(1), 4: {"left": 2}}, requeue_running=True, name="again")
    assert_type(jobs.fork(job.id, tasks={job.tasks[4]: Add(1)}), Job)
    assert_type(fork.origin, Origin | None)
    assert_type(jobs.diff(job, fork, duration_factor=2).tasks, list[TaskDiff])
    assert_type(jobs.what_if(job, tasks=[Add]), WhatIf)
    red: Selection = {"job_states": JobState.FAILED, "labels": {"team": ["red"]}, "tasks": Add}
    assert_type(jobs.query(("2026-01-01", None), limit=10, **red), list[Job])
    assert_type(jobs.query(at=4711, **red), list[PastJob])
    assert_type((jobs.rows(at=4711), jobs.count(at=4711)), tuple[list[JobRow], int])
    assert_type(jobs.rows(task_states=[TaskState.FAILED], clusters="gpu"), list[JobRow])
    assert_type(jobs.count(name="nightly"), int)
    assert_type(jobs.latest(Add), Job | None)
    assert_type(jobs.cancel(job.tasks[0], grace=5), int)
    assert_type(jobs.retry(f"{job.id}/0"), int)
    assert_type(jobs.deletable(job), Reasons)
    jobs.delete(job, force=True, reason="a mistake")
    assert_type(jobs.cancel_all(name="nightly", dry_run=True), Outcomes)
    assert_type(jobs.retry_all(**red), Outcomes)
    assert_type(jobs.delete_all(everything=True, force=True), Outcomes)
    assert_type([outcome.error for outcome in jobs.retry_all(**red).failed], list[JobLedgerError | None])
    assert_type(jobs.views(), list[ViewStatus])
    assert_type(jobs.rebuild_views(timeout=60), list[ViewStatus])
    with jobs.subscribe(told, states=[JobState.FAILED], since="start", name="mailer") as subscription:
        assert_type(subscription, Subscription)
        assert_type((subscription.position, subscription.active), tuple[int, bool])
    subscription.close()
    assert_type(jobs.unsubscribe("mailer"), bool)
    assert_type(jobs.visualize(job, direction="right", theme="dark"), str)
    jobs.display(job)
    assert_type(jobs.query_logs(job, level="INFO", since=timedelta(hours=1)), LogRecords)
    assert_type(jobs.query_logs(job)[0], LogRecord)
    assert_type(jobs.query_spans(job, task=job.tasks[0]), Spans)
    assert_type(jobs.follow_logs(job), Iterator[LogRecord])
    jobs.limit_telemetry(max_age=timedelta(days=7))

    try:
        assert_type(job.wait(timeout=5, raise_on_cancel=False), Job)
    except JobFailed as error:
        print(error.task_id, error.reason, error.message)
    except (JobCanceled, TimeoutError, ResultError):
        pass
    assert_type(job.refresh().state, JobState)
    assert_type(job.watch(interval=1), Iterator[Job])
    assert_type((job.id, job.name, job.labels), tuple[UUID, str, dict[str, str]])
    assert_type((job.info, job.result), tuple[dict[str, Any], Any])
    assert_type((job.deadline, job.started_at), tuple[datetime | None, datetime | None])
    assert_type((job.finished_at, job.settled_at), tuple[datetime | None, datetime | None])
    assert_type((job.submitted_at, job.percent), tuple[datetime, float])
    assert_type((job.settled, job.canceled, job.force), tuple[bool, bool, bool])
    assert_type((job.submission_status, job.job_status), tuple[SubmissionStatus, JobStatus])
    assert_type((job.error, job.deletable), tuple[JobError | None, Reasons])
    assert_type((job.tasks, job.tasks_by_state), tuple[Tasks, dict[TaskState, int]])
    assert_type((job.progress, job.execution_stats), tuple[list[ProgressIndicator], ExecutionStats])
    assert_type(job.history, History)
    past = job.at(4711)
    assert_type(past, PastJob)
    assert_type((past.state, past.tasks, past.history, past.as_of), tuple[JobState, Tasks, History, datetime])
    replay = job.replay()
    assert_type((replay.step(), replay.back()), tuple[ReplayStep | None, ReplayStep | None])
    assert_type(replay.seek(past.position).changes, list[StateChange])
    assert_type((replay.search(state=JobState.FAILED), replay.job), tuple[ReplayStep | None, PastJob])
    print(job.on_failure == "continue", [entry.text for entry in job.history])

    task = job.tasks.filter(state=TaskState.FAILED, name="Add")[0]
    assert_type(task, TaskView)
    assert_type((task.state, task.status, task.job_status), tuple[TaskState, Status, JobStatus])
    assert_type((task.identifier, task.attempts), tuple[TaskIdentifier, list[Attempt]])
    assert_type((task.error, task.cause), tuple[Error | None, Cause | None])
    assert_type((task.value, task.source), tuple[Value | None, Source | None])
    assert_type((task.cancel_requested, task.parent), tuple[StopRequest | None, TaskView | None])
    assert_type((task.children, task.depends_on), tuple[Tasks, Tasks])
    assert_type((task.waiting, task.execution_duration), tuple[str | None, float])

    clusters = client.clusters()
    assert_type(clusters, ClusterClient)
    gpu = clusters.create("GPU pool", "two cards each", slug="gpu")
    assert_type(gpu, Cluster)
    assert_type(clusters.find("gpu"), Cluster)
    assert_type(clusters.all(), list[Cluster])
    assert_type(clusters.update(gpu, name="GPUs"), Cluster)
    assert_type(clusters.history(gpu), list[ClusterEntry])
    clusters.delete(gpu, force=True)

    feed = client.feed()
    assert_type((feed.status(), feed.turn_on(max_age=timedelta(days=7))), tuple[FeedStatus, FeedStatus])
    assert_type((feed.limit(max_bytes=2**30), feed.rebuild(timeout=5)), tuple[FeedStatus, FeedStatus])
    assert_type(feed.turn_off(), FeedStatus)

    assert_type(client.doctor(system_user="sys", system_password="…"), HealthReport)
    assert_type(client.doctor().findings, tuple[HealthFinding, ...])

    audit = client.audit()
    assert_type(audit.export("of.bundle", jobs=job, start=1, key="own.pem"), Exported)
    assert_type(audit.checkpoint("head.checkpoint"), Checkpoint)
    assert_type(audit.verify(checkpoint="head.checkpoint"), AuditReport)
    assert_type(job.sealed, bool)

    runner = client.runner(cluster=gpu, tasks=[Add], concurrency=4)
    assert_type(runner, TaskRunner)
    assert_type(RUNNER.connect_to(client), TaskRunner)
    RUNNER.register(Add)
    runner.register(Add)
    assert_type((runner.tasks_to_run, RUNNER.task_identifiers), tuple[list[TaskIdentifier], list[TaskIdentifier]])
    runner.run_all(grace=5)
    runner.run_forever()
    runner.stop()
client.close()
"""

AWAITED = """
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, assert_type

from jobledger import AsyncClient, AsyncClusterClient, AsyncJob, AsyncJobClient, AsyncTaskRunner, JobState, NewJob
from jobledger.audit import AuditReport, Checkpoint, Exported
from jobledger.data import AsyncSubscription, FeedStatus, HealthReport, Cluster, ClusterEntry, History, JobChange, JobRow, LogRecord, LogRecords
from jobledger.data import Divergence, JobDiff, JobReplay, Origin, Outcomes, PastJob, Reasons, ReplayStep, Spans, TaskIdentifier, Tasks, ViewStatus
from tasks import Add


async def program() -> AsyncJob:
    async with AsyncClient() as client:
        jobs = client.jobs()
        assert_type(jobs, AsyncJobClient)
        job = await jobs.submit("adding", Add(1), on_failure="continue")
        assert_type(job, AsyncJob)
        assert_type(await jobs.submit_many([NewJob("adding", Add(1))]), list[AsyncJob])
        assert_type(await jobs.wait_all([job]), list[AsyncJob])
        assert_type(await jobs.find(job.id), AsyncJob)
        assert_type(await jobs.find(job.id, at=4711), PastJob)
        assert_type((await jobs.replay(job)).current, ReplayStep | None)
        fork = await jobs.fork(job.id, at=4711, tasks={3: Add(1)})
        assert_type((fork, fork.origin), tuple[AsyncJob, Origin | None])
        assert_type(await jobs.diff(job, fork), JobDiff)
        assert_type((await jobs.what_if(job)).divergences, list[Divergence])
        assert_type(await jobs.query(name="nightly"), list[AsyncJob])
        assert_type(await jobs.query(name="nightly", at=4711), list[PastJob])
        assert_type(await jobs.rows(limit=5), list[JobRow])
        assert_type(await jobs.count(), int)
        assert_type(await jobs.latest("Add"), AsyncJob | None)
        assert_type(await jobs.cancel(job), int)
        assert_type(await jobs.retry(job, deadline=60), int)
        assert_type(await jobs.deletable(job), Reasons)
        await jobs.delete(job)
        assert_type(await jobs.cancel_all(name="nightly"), Outcomes)
        assert_type(await jobs.retry_all(name="nightly"), Outcomes)
        assert_type(await jobs.delete_all(name="nightly"), Outcomes)
        assert_type(await jobs.views(), list[ViewStatus])
        assert_type(await jobs.rebuild_views(), list[ViewStatus])
        async with await jobs.subscribe(job=job) as changes:
            assert_type(changes, AsyncSubscription)
            assert_type(await anext(changes), JobChange)
            assert_type((changes.position, changes.named), tuple[int, bool])
            changes.stop()
        await changes.close()
        assert_type(await jobs.unsubscribe("mailer"), bool)
        assert_type(await jobs.visualize(job), str)
        await jobs.display(job)
        assert_type(await jobs.query_logs(job), LogRecords)
        assert_type(await jobs.query_spans(job), Spans)
        assert_type(jobs.follow_logs(job), AsyncGenerator[LogRecord, None])
        await jobs.limit_telemetry(max_bytes=2**30)

        assert_type(await job.wait(), AsyncJob)
        assert_type(await job.refresh(), AsyncJob)
        assert_type(job.watch(), AsyncIterator[AsyncJob])
        assert_type((await job.at(4711), await job.replay()), tuple[PastJob, JobReplay])
        assert_type(await job.history(), History)
        assert_type(await job.result(), Any)
        assert_type((job.state, job.tasks), tuple[JobState, Tasks])

        clusters = client.clusters()
        assert_type(clusters, AsyncClusterClient)
        pool = await clusters.create("pool")
        assert_type(await clusters.find(pool), Cluster)
        assert_type(await clusters.all(), list[Cluster])
        assert_type(await clusters.update(pool, description="spare"), Cluster)
        assert_type(await clusters.history(pool), list[ClusterEntry])
        await clusters.delete(pool)

        feed = client.feed()
        assert_type((await feed.status(), await feed.turn_on()), tuple[FeedStatus, FeedStatus])
        assert_type((await feed.limit(max_age=5), await feed.rebuild()), tuple[FeedStatus, FeedStatus])
        assert_type(await feed.turn_off(), FeedStatus)

        assert_type(await client.doctor(), HealthReport)

        audit = client.audit()
        assert_type(await audit.export("of.bundle"), Exported)
        assert_type(await audit.checkpoint("head.checkpoint", key="own.pem"), Checkpoint)
        assert_type(await audit.verify(), AuditReport)

        runner = client.runner(tasks=[Add])
        assert_type(runner, AsyncTaskRunner)
        runner.register(Add)
        assert_type(runner.tasks_to_run, list[TaskIdentifier])
        await runner.run_all()
        await runner.run_forever(grace=5)
        runner.stop()
        return job


asyncio.run(program())
"""

TESTING = """
from datetime import datetime
from typing import assert_type

from jobledger import Job, JobClient, JobState
from jobledger.data import TaskIdentifier
from jobledger.testing import InlineClient, InlineRunner, VirtualClock
from tasks import Add


def test_adding(inline_client: InlineClient) -> None:
    clock = VirtualClock()
    clock.advance(seconds=90)
    assert_type((clock.now, clock.micros), tuple[datetime, int])
    with InlineClient(clock=clock) as client:
        assert_type(client.jobs(), JobClient)
        assert_type(client.run(Add(1), name="adding", labels={"a": "b"}), Job)
        assert_type(client.submitted, list[Job])
        assert [type(event).__name__ for event in client.events(client.submitted[0])]
        runner = client.runner(tasks=[Add])
        assert_type(runner, InlineRunner)
        runner.register(Add)
        assert_type((runner.tasks_to_run, runner.run_one()), tuple[list[TaskIdentifier], bool])
        assert_type(runner.run_all(skip_time=False), int)
"""

MISTAKES = """
from jobledger import AsyncClient, Client, Job, Task


class Add(Task):
    left: int


jobs = Client().jobs()
jobs.submit("adding", Add("1"))  # E: Argument 1 to "Add" has incompatible type "str"
jobs.submit("adding", Add(1), prio=3)  # E: Unexpected keyword argument "prio"
jobs.submit("adding", Add(1), on_failure="stop")  # E: Argument "on_failure" has incompatible type
jobs.submit(5, Add(1))  # E: Argument 1 has incompatible type "int"
jobs.find(5)  # E: No overload variant of "find" of "Finds" matches argument type "int"
jobs.find("an id", at=7).wait()  # E: "PastJob" has no attribute "wait"
jobs.subscribe(5)  # E: Argument 1 has incompatible type "int"
jobs.submit("adding", Add(1)).wait("5")  # E: Argument 1 has incompatible type "str"


async def program() -> Job:
    return await AsyncClient().jobs().submit("adding", Add(1))  # E: Incompatible return value type (got "AsyncJob"
"""


def checked(folder: Path, **modules: str) -> list[str]:
    """Return what mypy says about a program, a line for each error."""
    paths = [folder / f"{name}.py" for name in modules]
    for path, text in zip(paths, modules.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--cache-dir", str(folder / "cache"), "--config-file", "", *map(str, paths)]
    environment = {"MYPYPATH": str(Path(jobledger.__file__).parent.parent), "PATH": ""}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=100, env=environment, cwd=folder
    )
    assert not done.stderr
    return [line for line in done.stdout.splitlines() if ": note:" not in line]


def test_a_program_sees_exact_types_and_its_mistakes(tmp_path: Path) -> None:
    errors = checked(
        tmp_path, tasks=TASKS, blocking=BLOCKING, awaited=AWAITED, test_tasks=TESTING, mistakes=MISTAKES
    )
    expected = [
        (number, line.partition("# E: ")[2])
        for number, line in enumerate(MISTAKES.splitlines(), 1)
        if "# E: " in line
    ]
    assert len(errors) == len(expected), errors
    for error, (number, said) in zip(errors, expected, strict=True):
        assert error.startswith(f"mistakes.py:{number}: error: {said}")


@pytest.mark.parametrize(
    ("program", "used"),
    [
        (TASKS, [ExecutionContext]),
        (
            BLOCKING,
            [
                Client,
                JobClient,
                Job,
                ClusterClient,
                AuditClient,
                FeedClient,
                TaskRunner,
                Runner,
                Subscription,
            ],
        ),
        (
            AWAITED,
            [
                AsyncClient,
                AsyncJobClient,
                AsyncClusterClient,
                AsyncAuditClient,
                AsyncFeedClient,
                AsyncTaskRunner,
                AsyncSubscription,
            ],
        ),
        (TESTING, [InlineClient, InlineRunner]),
    ],
    ids=["tasks", "blocking", "awaited", "testing"],
)
def test_the_program_uses_every_operation(program: str, used: list[type]) -> None:
    operations = {name for cls in used for name in dir(cls) if not name.startswith("_")}
    assert {name for name in operations if f".{name}" not in program} <= {"close"}  # `with` closes

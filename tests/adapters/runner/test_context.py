"""What a task may ask of its context, and what happens when it asks for something else."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from opentelemetry.trace import get_current_span

from jobledger.adapters.runner.assignment import Assignment
from jobledger.adapters.runner.attempt.context import Equipment, RunningContext
from jobledger.adapters.runner.caches.cache import CacheNotConfigured, InMemoryCache, NoCache
from jobledger.adapters.runner.registry import TaskRegistry
from jobledger.core import ranges
from jobledger.core.context import ExecutionContext, FutureTask
from jobledger.core.errors import ArgumentError
from jobledger.core.options import Concurrency, Retry
from jobledger.core.policy import Policy
from jobledger.core.submission import TaskSpec
from jobledger.core.task import InputError, Task


class Step(Task):
    number: int
    text: str = ""

    def execute(self, context: ExecutionContext) -> None: ...


JOB = str(uuid4())


def make_context(**options: Any) -> RunningContext:
    policy = options.pop("policy", None)
    equipment = Equipment(
        **{
            "tasks": TaskRegistry([Step]),
            "cache": InMemoryCache(),
            "cluster": "here",
            "runner_context": None,
            "log_level": 20,
            "max_report": 1000,
            **options,
        }
    )
    spec = TaskSpec("Step", 0, 0, "here", policy=policy)
    return RunningContext(Assignment(JOB, "a job", 3, 2, spec, b"1"), Step, equipment)


@pytest.fixture
def context() -> RunningContext:
    return make_context()


# -- subtasks -----------------------------------------------------------------------------------------------------


def test_subtasks_become_columns_with_their_options(context: RunningContext) -> None:
    first = context.submit_subtask(Step(1))
    second, third = context.submit_subtasks([Step(2), Step(3)], depends_on=first, max_retries=2)
    context.submit_subtask(Step(4), depends_on=[second, third], cluster="gpu", optional=True)
    (submission,) = context.subtasks.chunks()
    submission.check()
    assert [spec.cluster for spec in submission.specs] == ["here", "here", "gpu"]
    assert [spec.max_retries for spec in submission.specs] == [0, 2, 0]
    assert [spec.optional for spec in submission.specs] == [False, False, True]
    assert submission.dependency_sets == [[0, 1], [1, 3]]
    assert [first.index, second.index, third.index] == [0, 1, 2]


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_no_dependencies_can_be_said_in_several_ways(context: RunningContext, nothing: Any) -> None:
    context.submit_subtask(Step(1), depends_on=nothing)
    (submission,) = context.subtasks.chunks()
    assert submission.dependency_sets == []


def test_the_cluster_of_a_subtask_is_that_of_the_runner_unless_one_is_named(context: RunningContext) -> None:
    for cluster in (None, ""):
        context.submit_subtask(Step(1), cluster=cluster)
    (submission,) = context.subtasks.chunks()
    assert [spec.cluster for spec in submission.specs] == ["here"]


BAD = {
    "a class": ({"task": Step}, TypeError, r"write Step\(…\)"),
    "no task": ({"task": "Step"}, TypeError, "'Step' is not a task"),
    "a wrong type": ({"task": Step("one")}, InputError, "Step.number does not take"),  # type: ignore[arg-type]
    "a task as dependency": ({"depends_on": Step(1)}, TypeError, "not the task Step itself"),
    "tasks as dependencies": ({"depends_on": [Step(1)]}, TypeError, "not the task Step itself"),
    "an index as dependency": ({"depends_on": 0}, TypeError, "FutureTask or a list of them"),
    "text as dependency": ({"depends_on": "first"}, TypeError, "FutureTask or a list of them"),
    "None among dependencies": ({"depends_on": [None]}, TypeError, "FutureTask or a list of them"),
    "a made-up dependency": ({"depends_on": FutureTask(0)}, ValueError, "a task of another parent"),
    "a later dependency": ({"depends_on": FutureTask(7)}, ValueError, "a task of another parent"),
    "a negative dependency": ({"depends_on": FutureTask(-1)}, ValueError, "a task of another parent"),
    "negative retries": ({"max_retries": -1}, ArgumentError, "max_retries=-1 cannot be used"),
    "endless retries": ({"max_retries": 2**31}, ArgumentError, "max_retries=2147483648 cannot be used"),
    "half a retry": ({"max_retries": 1.5}, ArgumentError, "max_retries=1.5"),
    "retries in words": ({"max_retries": "3"}, ArgumentError, "max_retries='3'"),
    "true retries": ({"max_retries": True}, ArgumentError, "max_retries=True"),
    "an unknown option": ({"prio": 1}, ArgumentError, "'prio' is no option of a task: there are .*priority"),
    "a priority in words": ({"priority": "high"}, ArgumentError, "priority='high'"),
    "no time at all": ({"timeout": 0}, ArgumentError, "timeout=0 cannot be used"),
    "a start without a zone": ({"start": datetime(2030, 1, 1)}, ArgumentError, "start=.* no time zone"),
    "an unknown reaction": (
        {"on_failure": "stop"},
        ArgumentError,
        "on_failure='stop' .* 'halt' or 'continue'",
    ),
    "a number as policy": ({"retry": 3}, ArgumentError, r"retry=3 .* Retry\(3"),
    "a numbered cluster": ({"cluster": 7}, TypeError, "slug"),
    "an unprintable cluster": ({"cluster": "a\ud800"}, ArgumentError, "slug"),
    "a blank cluster": ({"cluster": "  "}, ArgumentError, "slug"),
    "an endless cluster": ({"cluster": "x" * 101}, ArgumentError, "slug"),
    "too large an input": ({"task": Step(1, "x" * 1000)}, ArgumentError, "limit is 1,000.*job_cache"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), BAD.values(), ids=BAD)
def test_bad_submissions_are_refused_and_leave_nothing_behind(
    context: RunningContext, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    context.submit_subtask(Step(0))
    with pytest.raises(error, match=message):
        context.submit_subtask(**{"task": Step(1), **arguments})
    assert len(context.subtasks) == 1


def test_of_a_list_with_one_bad_task_none_is_submitted(context: RunningContext) -> None:
    with pytest.raises(InputError):
        context.submit_subtasks([Step(1), Step("two")])  # type: ignore[arg-type]
    assert len(context.subtasks) == 0


def test_a_dependency_on_a_task_of_another_parent_is_refused(context: RunningContext) -> None:
    context.submit_subtask(Step(1))
    theirs = make_context().submit_subtask(Step(1))
    with pytest.raises(ValueError, match="a dependency on a task of another parent"):
        context.submit_subtask(Step(2), depends_on=[theirs])


def test_subtasks_can_be_submitted_from_several_threads(context: RunningContext) -> None:
    handles: list[FutureTask] = []
    ready = threading.Barrier(4)

    def submit() -> None:
        ready.wait()
        for number in range(500):
            handles.append(context.submit_subtask(Step(number)))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(handle.index for handle in handles) == list(range(2000))
    assert len(context.subtasks) == 2000


@pytest.mark.parametrize("used_before", [True, False])
def test_a_thread_left_behind_submits_nothing_any_more(context: RunningContext, used_before: bool) -> None:
    if used_before:
        context.submit_subtask(Step(1))
    context.close()
    with pytest.raises(RuntimeError, match="this execution is over"):
        context.submit_subtask(Step(2))


# -- policies -----------------------------------------------------------------------------------------------------


class Fetch(Task, timeout=30, retry=Retry(4, delay=1.0), priority=2):
    url: str = ""

    def execute(self, context: ExecutionContext) -> None: ...


def policies(context: RunningContext) -> list[TaskSpec]:
    (submission,) = context.subtasks.chunks()
    return [
        submission.specs[index] for index, count in ranges.pairs(submission.spec_runs) for _ in range(count)
    ]


def test_the_policy_of_the_class_holds_and_can_be_overridden(context: RunningContext) -> None:
    context.submit_subtask(Fetch())
    context.submit_subtask(Fetch(), timeout=timedelta(minutes=1), priority=0, retry=None)
    context.submit_subtasks([Fetch(), Step(1)], max_retries=7, concurrency=Concurrency("api", 3))
    plain, asked, many, step = policies(context)
    assert (plain.asked.timeout, plain.asked.delay, plain.asked.priority) == (30_000_000, 1_000_000, 2)
    assert plain.max_retries == 4
    assert (asked.asked.timeout, asked.asked.delay, asked.asked.priority) == (60_000_000, 0, 0)
    assert asked.max_retries == 0
    assert (many.max_retries, many.asked.delay) == (7, 1_000_000)
    assert (step.max_retries, step.asked) == (7, Policy(key="api", limit=3))


def test_subtasks_have_the_priority_of_their_parent_unless_they_have_one() -> None:
    context = make_context(policy=Policy(priority=9, timeout=5))
    context.submit_subtask(Step(1))
    context.submit_subtask(Step(2), priority=0)
    context.submit_subtask(Fetch())
    assert [spec.asked.priority for spec in policies(context)] == [9, 0, 2]
    assert policies(context)[0].asked == Policy(priority=9)


def test_a_start_in_seconds_counts_from_the_call(context: RunningContext) -> None:
    before = time.time_ns() // 1000
    context.submit_subtask(Step(1), start=60)
    after = time.time_ns() // 1000
    context.submit_subtask(Step(2), start=datetime(2030, 1, 1, tzinfo=UTC))
    relative, absolute = (spec.asked.not_before for spec in policies(context))
    assert before <= relative - 60_000_000 <= after + 10_000
    assert absolute == datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1e6


def test_thousands_of_tasks_with_one_policy_are_few_kinds(context: RunningContext) -> None:
    for number in range(2000):
        context.submit_subtask(Step(number), start=60, retry=Retry(3, on=(OSError,)))
    (submission,) = context.subtasks.chunks()
    assert len(submission.specs) < 200


# -- the running task ---------------------------------------------------------------------------------------------


def test_the_current_task_knows_its_job_and_attempt(context: RunningContext) -> None:
    task = context.current_task
    assert (task.job.id, task.job.name, task.attempt) == (UUID(JOB), "a job", 2)
    assert task.id == f"{JOB}/3"


def test_display_is_the_class_name_until_it_is_set(context: RunningContext) -> None:
    assert context.current_task.display == "Step"
    assert context.display is None
    context.current_task.display = "two\nlines"
    assert context.current_task.display == context.display == "two\nlines"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("x" * 2000, "x" * 1024), ("half \udcff", "half ?"), (None, "None"), (7, "7"), ("", "")],
)
def test_display_takes_anything_and_keeps_what_can_be_shown(
    context: RunningContext, text: Any, shown: str
) -> None:
    context.current_task.display = text
    assert context.display == shown


def test_progress_counts_by_label(context: RunningContext) -> None:
    context.progress().add(3)
    assert context.progress(None) is context.progress("")
    assert context.progress("a") is not context.progress("b")
    for count in (-1, 1.5, True, "1"):
        with pytest.raises(ArgumentError, match="whole units"):
            context.progress().done(count)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="at most 100 characters"):
        context.progress("x" * 101)


def test_a_task_has_at_most_a_thousand_progress_labels(context: RunningContext) -> None:
    for number in range(1000):
        context.progress(str(number))
    with pytest.raises(ArgumentError, match="at most 1000 progress labels"):
        context.progress("one more")
    context.progress("7").add(1)


# -- what the runner brings along -----------------------------------------------------------------------------------


def test_the_job_cache_is_the_group_of_the_job() -> None:
    cache = InMemoryCache()
    make_context(cache=cache).job_cache["key"] = b"value"
    assert cache.group(JOB)["key"] == b"value"


def test_without_a_cache_its_use_says_so() -> None:
    with pytest.raises(CacheNotConfigured):
        make_context(cache=NoCache()).job_cache["key"]


def test_the_runner_context_is_what_the_runner_was_given() -> None:
    shared = object()
    assert make_context(runner_context=shared).runner_context is shared


def test_the_tracer_works_without_a_provider(context: RunningContext) -> None:
    with context.tracer.span("fetch") as span:
        span.set_attribute("key", "value")
        assert context.tracer.current_span() is get_current_span()
    with pytest.raises(KeyError), context.tracer.span("fails"):
        raise KeyError

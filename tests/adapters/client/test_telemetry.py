"""What users get to see of what their tasks logged and traced."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags

from jobledger import AsyncClient, Client, ExecutionContext, Job, Task
from jobledger.adapters.client.logs.telemetry import traceparent
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.telemetry import store
from jobledger.adapters.telemetry.records import Batch, encode_batch
from jobledger.adapters.telemetry.trace_context import attempt_span, own_root
from jobledger.core.errors import ArgumentError, NotFoundError
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually


class Say(Task):
    """Logs what it is given, each at its level."""

    lines: list[tuple[str, str]]

    def execute(self, context: ExecutionContext) -> None:
        for level, text in self.lines:
            getattr(context.logger, level)(text)


class Family(Task):
    count: int

    def execute(self, context: ExecutionContext) -> None:
        context.logger.info("submitting %d", self.count)
        for number in range(self.count):
            context.submit_subtask(Say([("info", f"child {number}")]))


class Chatter(Task):
    count: int

    def execute(self, context: ExecutionContext) -> None:
        for number in range(self.count):
            context.logger.info("line", number=number)


class Silent(Task):
    def execute(self, context: ExecutionContext) -> None:
        pass


class Flaky(Task):
    """Fails at its first attempt."""

    def execute(self, context: ExecutionContext) -> None:
        with context.tracer.span("risky", size=3) as span:
            span.add_event("about to", {"really": True})
            context.logger.warning("attempt %d", context.current_task.attempt)
            if context.current_task.attempt == 1:
                raise ValueError("not yet")
            with context.tracer.span("inner") as inner:
                inner.set_attribute("depth", 2)
                inner.set_status(StatusCode.OK)


CLASSES = [Say, Family, Chatter, Silent, Flaky]


@pytest.fixture
def run(client: Client, capsys: pytest.CaptureFixture[str]) -> Callable[..., Job]:
    def submit_and_run(task: Task, **options: Any) -> Job:
        job = client.jobs().submit("a job", task, **options)
        client.runner(tasks=CLASSES).run_all()
        return job

    return submit_and_run


# -- lines ----------------------------------------------------------------------------------------------------------


def test_lines_are_found_once_the_job_has_run(client: Client, run: Callable[..., Job]) -> None:
    before = datetime.now(UTC)
    job = run(Say([("info", "hello"), ("warning", "careful")]))
    first, second = client.jobs().query_logs(job)
    assert (first.body, first.severity, first.level) == ("hello", "INFO", 20)
    assert (second.body, second.severity, second.level) == ("careful", "WARNING", 30)
    assert (first.task, first.attempt, first.runner) == (0, 1, job.tasks[0].runner)
    assert before <= first.time <= second.time <= datetime.now(UTC)
    assert str(second).endswith("Z  WARNING   task 0: careful")


def test_whoever_waited_for_the_job_finds_its_last_lines(client: Client) -> None:
    runner = client.runner(tasks=CLASSES)
    running = threading.Thread(target=runner.run_forever)
    running.start()
    for _ in range(3):
        job = client.jobs().submit("a job", Say([("info", "the last line")])).wait(timeout=20)
        assert [line.body for line in client.jobs().query_logs(job)] == ["the last line"]
        job = client.jobs().submit("a job", Flaky(), max_retries=1).wait(timeout=20)
        assert len(client.jobs().query_spans(job)) == 6
    runner.stop()
    running.join()


def test_lines_carry_the_ids_of_the_jobs_trace_and_of_their_attempts_span(
    client: Client, run: Callable[..., Job]
) -> None:
    job = run(Say([("info", "hello")]))
    (line,) = client.jobs().query_logs(job)
    assert line.trace_id == job.id.hex
    assert line.span_id == attempt_span(str(job.id), 0, 1).hex()


def test_lines_of_several_tasks_are_one_history(client: Client, run: Callable[..., Job]) -> None:
    job = run(Family(3))
    lines = client.jobs().query_logs(str(job.id))
    assert [line.body for line in lines] == ["submitting 3", "child 0", "child 1", "child 2"]
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert str(lines).count("\n") == 3


LEVELS = ["debug", "info", "warning", "error", "critical"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"level": "WARNING"}, ["a warning", "an error", "a critical"]),
        ({"level": "error"}, ["an error", "a critical"]),
        ({"level": 45}, ["a critical"]),
        ({"text": "AN "}, ["an info", "an error"]),
        ({"text": "nothing of that"}, []),
        ({"limit": 2}, ["an error", "a critical"]),
        ({"task": 0, "level": "critical"}, ["a critical"]),
        ({"since": timedelta(hours=1), "level": "error"}, ["an error", "a critical"]),
        ({"until": 3600.0}, []),
        ({"since": datetime(2020, 1, 1, tzinfo=UTC), "limit": 1}, ["a critical"]),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, []),
    ],
)
def test_lines_can_be_picked(
    client: Client, run: Callable[..., Job], options: dict[str, Any], expected: list[str]
) -> None:
    said = [(level, f"{'an' if level[0] in 'ei' else 'a'} {level}") for level in LEVELS]
    job = run(Say(said))
    assert [line.body for line in client.jobs().query_logs(job, **options)] == expected


def test_lines_can_be_picked_by_task(client: Client, run: Callable[..., Job]) -> None:
    job = run(Family(3))
    task = job.tasks[2]
    for given in (task, task.id, 2):
        (line,) = client.jobs().query_logs(job, task=given)
        assert line.body == "child 1"
    assert len(client.jobs().query_logs(job, task_id=task.id)) == 1


def test_moments_pick_exactly(client: Client, run: Callable[..., Job]) -> None:
    job = run(Chatter(50))
    lines = client.jobs().query_logs(job)
    first, last = lines[10].time, lines[40].time
    found = client.jobs().query_logs(job, since=first, until=last)
    assert {line.time for line in found} == {line.time for line in lines if first <= line.time < last}


def test_tens_of_thousands_of_lines_come_page_by_page(client: Client, run: Callable[..., Job]) -> None:
    job = run(Chatter(25_000), max_retries=0)
    lines = client.jobs().query_logs(job)
    assert lines.dropped == 0
    assert [line.attributes["number"] for line in lines] == list(range(25_000))
    assert repr(lines) == "<LogRecords: 25,000>"
    assert repr(lines[:10]) == "<LogRecords: 10>"


def test_levels_below_that_of_the_environment_are_neither_printed_nor_kept(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOBLEDGER_LOG_LEVEL", "debug")
    job = client.jobs().submit("a job", Say([("debug", "detail")]))
    client.runner(tasks=CLASSES).run_all()
    assert [line.severity for line in client.jobs().query_logs(job)] == ["DEBUG"]
    monkeypatch.setenv("JOBLEDGER_LOG_LEVEL", "error")
    job = client.jobs().submit("a job", Say([("warning", "careful"), ("error", "broke")]))
    client.runner(tasks=CLASSES).run_all()
    assert [line.body for line in client.jobs().query_logs(job)] == ["broke"]
    assert "careful" not in capsys.readouterr().out


class Attached(Task):
    def execute(self, context: ExecutionContext) -> None:
        logger = context.logger.bind(bound=[1, {"a": datetime(2026, 1, 2, tzinfo=UTC)}])
        logger.info(
            "%s of %d", "half", 2, raw=b"\xff", far=2**70, odd={1, 2}, trace_id="mine", event="e", attempt=7
        )
        logger.info("100%")
        try:
            raise KeyError("Title")
        except KeyError as error:
            logger.exception("broke")
            logger.error("again", exc_info=error)


def test_what_is_attached_to_a_line_is_kept_as_plain_data(client: Client) -> None:
    job = client.jobs().submit("a job", Attached())
    client.runner(tasks=[Attached]).run_all()
    first, second, *broken = client.jobs().query_logs(job)
    bound = [1, {"a": "2026-01-02T00:00:00+00:00"}]
    assert (first.body, second.body) == ("half of 2", "100%")
    assert first.attributes == {
        "bound": bound,
        "raw": "\\xff",
        "far": str(2**70),
        "odd": [1, 2],
        "trace_id": "mine",
        "event_": "e",
        "attempt": 7,
    }
    for line in broken:
        assert line.severity == "ERROR"
        assert line.attributes["exception.type"] == "KeyError"
        assert line.attributes["exception.message"] == "'Title'"
        assert re.search(r'raise KeyError\("Title"\)', line.attributes["exception.stacktrace"])
        assert str(line).endswith("KeyError: 'Title'")


class Nasty(Task):
    def execute(self, context: ExecutionContext) -> None:
        class Hostile:
            def __repr__(self) -> str:
                raise RuntimeError

            __str__ = __repr__

        context.logger.info("m", hostile=Hostile(), items={Hostile(): Hostile()})
        context.logger.info("x" * 100_000, big="y" * 100_000)
        context.logger.info("half \udc80")
        with context.tracer.span("span", hostile=Hostile()) as span:
            span.set_attribute("x", Hostile())
            span.record_exception(ValueError(Hostile()))


def test_no_line_and_no_span_fails_a_task(client: Client) -> None:
    job = client.jobs().submit("a job", Nasty())
    client.runner(tasks=[Nasty]).run_all()
    assert job.wait(timeout=20).state.name == "COMPLETED"
    first, second, third = client.jobs().query_logs(job)
    assert first.attributes["hostile"] == "<Hostile>"
    assert second.body.startswith("xxx")
    assert len(second.body) < 20_000
    assert third.body.startswith("half ")
    assert [span.name for span in client.jobs().query_spans(job)][-1] == "span"


@pytest.fixture
def structured() -> Iterator[list[Any]]:
    """A program that configured structlog itself, with a level of its own."""
    seen: list[Any] = []

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        seen.append(dict(event))
        return ""

    structlog.configure(
        processors=[structlog.processors.add_log_level, render],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    yield seen
    structlog.reset_defaults()


def test_a_program_with_its_own_structlog_sees_the_ids_and_its_lines_are_kept(
    client: Client, structured: list[Any]
) -> None:
    job = client.jobs().submit("a job", Say([("info", "filtered by it"), ("error", "broke %d")]))
    client.runner(tasks=CLASSES).run_all()
    (line,) = client.jobs().query_logs(job)
    assert (line.body, line.severity, line.attributes) == ("broke %d", "ERROR", {})
    (seen,) = structured
    assert (seen["event"], seen["level"], seen["job_id"]) == ("broke %d", "error", str(job.id))
    assert (seen["trace_id"], seen["span_id"]) == (line.trace_id, line.span_id)


class Chatty(Task):
    def execute(self, context: ExecutionContext) -> None:
        context.logger.info("after a gap")


def test_lines_that_were_dropped_are_counted_where_they_are_missing(client: Client) -> None:
    job = client.jobs().submit("a job", Chatty())
    client.runner(tasks=[Chatty]).run_all()
    session = client._session
    batch = Batch(uuid4().bytes, "another runner", job.id.bytes, 7, [])

    async def store_batch() -> None:
        nc = (await session.link()).nc
        await store.publish(nc, session.names, str(job.id), encode_batch(batch), uuid4().hex)

    shared_portal().run(store_batch())
    lines = client.jobs().query_logs(job)
    assert (len(lines), lines.dropped, repr(lines)) == (1, 7, "<LogRecords: 1, 7 dropped>")
    assert client.jobs().query_spans(job).dropped == 7


# -- following ------------------------------------------------------------------------------------------------------


class Gate(Task):
    """Goes on when it is told to."""

    opened = threading.Event()

    def execute(self, context: ExecutionContext) -> None:
        context.logger.info("before")
        assert self.opened.wait(20)
        context.logger.info("after")


def test_lines_are_followed_while_a_task_runs_and_end_with_the_job(client: Client) -> None:
    Gate.opened.clear()
    job = client.jobs().submit("a job", Gate())
    lines = client.jobs().follow_logs(job)
    running = threading.Thread(target=client.runner(tasks=[Gate]).run_all)
    running.start()
    assert next(lines).body == "before"
    assert not job.settled
    Gate.opened.set()
    assert [line.body for line in lines] == ["after"]
    assert job.settled
    running.join()


def test_following_begins_with_what_was_logged_before(client: Client, run: Callable[..., Job]) -> None:
    job = run(Family(2))
    followed = client.jobs().follow_logs(job, level="info", text="child")
    assert [line.body for line in followed] == ["child 0", "child 1"]


def test_following_survives_a_server_that_restarts(tmp_path: Any) -> None:
    server = NatsServer(tmp_path).start()
    engine = EngineHarness(server.url, Names()).wait_ready()
    try:
        with Client(server.url) as client:
            Gate.opened.clear()
            job = client.jobs().submit("a job", Gate())
            lines = client.jobs().follow_logs(job)
            running = threading.Thread(target=client.runner(tasks=[Gate]).run_all)
            running.start()
            assert next(lines).body == "before"
            server.kill()
            Gate.opened.set()
            server.start()
            assert [line.body for line in lines] == ["after"]
            running.join()
    finally:
        engine.stop()
        server.stop()


def test_following_is_asynchronous_too(
    nats_server: NatsServer, names: Names, client: Client, run: Callable[..., Job]
) -> None:
    job = run(Family(2))

    async def follow() -> list[str]:
        async with AsyncClient(nats_server.url, namespace=names.namespace) as asynchronous:
            jobs = asynchronous.jobs()
            assert len(await jobs.query_logs(job.id)) == 3
            assert len(await jobs.query_spans(job.id)) == 4
            return [line.body async for line in jobs.follow_logs(job.id)]

    assert asyncio.run(follow()) == ["submitting 2", "child 0", "child 1"]


# -- spans ----------------------------------------------------------------------------------------------------------


def test_the_job_and_its_attempts_are_spans_without_any_setting(
    client: Client, run: Callable[..., Job]
) -> None:
    job = run(Family(2))
    spans = client.jobs().query_spans(job)
    assert [span.name for span in spans] == ["job/a job", "task/Family", "task/Say", "task/Say"]
    root, *attempts = spans
    assert {span.trace_id for span in spans} == {job.id.hex}
    assert (root.parent_id, root.span_id) == (None, own_root(str(job.id)).span.hex())
    assert {span.parent_id for span in attempts} == {root.span_id}
    assert {span.status for span in spans} == {"OK"}
    assert (root.start, root.end) == (job.submitted_at, job.settled_at)
    assert root.end is not None
    assert root.duration == root.end - root.start
    first = attempts[0]
    task = job.tasks[0]
    assert (first.start, first.end, first.runner) == (task.started_at, task.stopped_at, task.runner)
    assert first.attributes == {
        "jobledger.job.id": str(job.id),
        "jobledger.job.name": "a job",
        "jobledger.task.number": 0,
        "jobledger.task.name": "Family",
        "jobledger.task.attempt": 1,
        "jobledger.runner": task.runner,
        "jobledger.outcome": "computed",
    }
    assert [(event.name, event.attributes) for event in first.events] == [
        ("submitting 2", {"log.severity": "INFO"})
    ]


def test_every_attempt_is_a_span_and_what_it_opened_is_below_it(
    client: Client, run: Callable[..., Job]
) -> None:
    job = run(Flaky(), max_retries=1)
    spans = client.jobs().query_spans(job)
    assert [(span.name, span.attempt, span.status) for span in spans] == [
        ("job/a job", None, "OK"),
        ("task/Flaky", 1, "ERROR"),
        ("risky", 1, "ERROR"),
        ("task/Flaky", 2, "OK"),
        ("risky", 2, "UNSET"),
        ("inner", 2, "OK"),
    ]
    _, failed, risky, computed, again, inner = spans
    assert (risky.parent_id, again.parent_id) == (failed.span_id, computed.span_id)
    assert inner.parent_id == again.span_id
    assert failed.status_message == "ValueError: not yet"
    assert risky.attributes == {"size": 3}
    assert inner.attributes == {"depth": 2}
    assert [event.name for event in risky.events] == ["about to", "attempt 1", "exception"]
    assert risky.events[0].attributes == {"really": True}
    assert risky.events[2].attributes["exception.type"] == "ValueError"
    # the line that the runner logs of a failure, and the failure
    assert [event.name for event in failed.events][-1] == "exception"
    assert "raise ValueError" in failed.events[-1].attributes["exception.stacktrace"]
    (line,) = client.jobs().query_logs(job, text="attempt 2")
    assert line.span_id == again.span_id


def test_spans_can_be_picked(client: Client, run: Callable[..., Job]) -> None:
    job = run(Family(3))
    jobs = client.jobs()
    assert [span.task for span in jobs.query_spans(job, task=job.tasks[1])] == [1]
    assert [span.name for span in jobs.query_spans(job, name="FAM")] == ["task/Family"]
    assert len(jobs.query_spans(job, limit=2)) == 2
    assert len(jobs.query_spans(job, since=timedelta(hours=1))) == 5
    assert len(jobs.query_spans(job, until=timedelta(hours=1))) == 0
    assert "task/Say OK" in str(jobs.query_spans(job))


def test_what_runs_has_a_span_without_an_end(client: Client) -> None:
    Gate.opened.clear()
    job = client.jobs().submit("a job", Gate())
    running = threading.Thread(target=client.runner(tasks=[Gate]).run_all)
    running.start()
    spans = eventually(lambda: [s for s in client.jobs().query_spans(job) if s.name == "task/Gate"])
    assert (spans[0].end, spans[0].duration, spans[0].status) == (None, None, "UNSET")
    assert "…" in str(spans[0])
    Gate.opened.set()
    running.join()


def test_a_job_that_waits_is_a_span_of_its_own(client: Client) -> None:
    job = client.jobs().submit("a job", Silent())
    (span,) = client.jobs().query_spans(job)
    assert (span.name, span.end, span.status) == ("job/a job", None, "UNSET")


# -- the trace of a submission --------------------------------------------------------------------------------------


def test_a_job_submitted_within_a_span_belongs_to_its_trace(client: Client) -> None:
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        job = client.jobs().submit("a job", Say([("info", "hello")]))
    client.runner(tasks=CLASSES).run_all()
    root, attempt = client.jobs().query_spans(job)
    (line,) = client.jobs().query_logs(job)
    assert {root.trace_id, attempt.trace_id, line.trace_id} == {f"{0xABC:032x}"}
    assert {root.parent_id, attempt.parent_id} == {f"{0xDEF:016x}"}
    assert line.span_id == attempt.span_id


def test_the_traceparent_is_that_of_the_callers_span_or_made_of_the_job() -> None:
    job_id = str(uuid4())
    assert traceparent(job_id).split("-")[1] == UUID(job_id).hex
    assert traceparent(job_id) == traceparent(job_id)
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0))
    with trace.use_span(NonRecordingSpan(context)):
        assert traceparent(job_id) == f"00-{1:032x}-{2:016x}-00"


# -- tables ---------------------------------------------------------------------------------------------------------


def test_lines_and_spans_become_tables(client: Client, run: Callable[..., Job]) -> None:
    pytest.importorskip("pandas")
    job = run(Family(2))
    lines = client.jobs().query_logs(job).to_pandas()
    assert list(lines["body"]) == ["submitting 2", "child 0", "child 1"]
    assert str(lines["time"].dt.tz) == "UTC"
    assert list(lines["task"]) == [0, 1, 2]
    spans = client.jobs().query_spans(job).to_pandas()
    assert list(spans["name"]) == ["job/a job", "task/Family", "task/Say", "task/Say"]
    assert (spans["end"] - spans["start"] == spans["duration"]).all()
    assert list(spans["task"][1:]) == [0, 1, 2]
    nothing = client.jobs().query_logs(job, text="nobody said this").to_pandas()
    assert list(nothing.columns) == list(lines.columns)
    assert dict(nothing.dtypes) == dict(lines.dtypes) or len(nothing) == 0


def test_without_pandas_a_table_says_what_to_install(
    client: Client, run: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run(Silent())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        client.jobs().query_logs(job).to_pandas()


# -- what is not there, and what is no argument ---------------------------------------------------------------------


def test_a_job_without_lines_has_none(client: Client, run: Callable[..., Job]) -> None:
    job = run(Silent())
    assert list(client.jobs().query_logs(job)) == []
    assert list(client.jobs().follow_logs(job)) == []


def test_an_unknown_job_is_told(client: Client) -> None:
    for ask in (client.jobs().query_logs, client.jobs().query_spans):
        with pytest.raises(NotFoundError, match="there is no job"):
            ask(uuid4())
    with pytest.raises(NotFoundError, match="there is no job"):
        next(client.jobs().follow_logs(uuid4()))


def test_what_was_purged_is_gone_and_the_job_is_not(client: Client, run: Callable[..., Job]) -> None:
    job = run(Say([("info", "hello")]))
    session = client._session

    async def purge() -> None:
        await store.purge((await session.link()).nc, session.names, str(job.id))

    shared_portal().run(purge())
    assert list(client.jobs().query_logs(job)) == []
    assert len(client.jobs().query_spans(job)) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"level": "loud"}, "level='loud' is no level: pass 'DEBUG'"),
        ({"level": True}, "level=True is no level"),
        ({"task": -1}, "task=-1 is no task"),
        ({"task": True}, "task=True is no task"),
        ({"task": "nonsense"}, "task='nonsense' is no task: pass one of job.tasks, its number"),
        ({"task": f"{UUID(int=1)}/3"}, "is no task of job"),
        ({"since": datetime(2026, 1, 1)}, "since=.* has no time zone"),
        ({"until": "yesterday"}, "until='yesterday'"),
        ({"text": 7}, "text=7 is a int, not text"),
        ({"text": ""}, "text='' is empty"),
        ({"limit": 0}, "limit=0 is no number from 1 up"),
        ({"limit": 1.5}, "limit=1.5 is no number"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(client: Client, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        client.jobs().query_logs(uuid4(), **options)
    if options.keys() <= {"level", "task", "since", "text"}:
        with pytest.raises(ArgumentError, match=told):
            client.jobs().follow_logs(uuid4(), **options)
    if options.keys() <= {"task", "since", "until", "limit"}:
        with pytest.raises(ArgumentError, match=told):
            client.jobs().query_spans(uuid4(), **options)


@pytest.mark.parametrize("of", [lambda job: 1, lambda job: f"{job.id}/1"], ids=["number", "id"])
def test_a_task_that_the_job_does_not_have_is_not_found(client: Client, of: Callable[[Job], Any]) -> None:
    job = client.jobs().submit("chatty", Chatty())
    for query in (client.jobs().query_logs, client.jobs().query_spans):
        assert len(query(job, task=0)) == 0
        with pytest.raises(NotFoundError, match="has no task 1, only 1 so far"):
            query(job, task=of(job))


def test_limits_of_what_is_kept_are_checked_and_set(client: Client) -> None:
    jobs = client.jobs()
    with pytest.raises(ArgumentError, match="max_age=0 keeps nothing"):
        jobs.limit_telemetry(max_age=0)
    with pytest.raises(ArgumentError, match="max_age='long'"):
        jobs.limit_telemetry(max_age="long")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="max_bytes=1000 is too little"):
        jobs.limit_telemetry(max_bytes=1000)
    with pytest.raises(ArgumentError, match="the server refused"):
        jobs.limit_telemetry(max_bytes=2**60)
    jobs.limit_telemetry(max_age=timedelta(days=90), max_bytes=2 * 1024 * 1024)

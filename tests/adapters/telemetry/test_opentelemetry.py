"""Export to a collector, from one process and from several: a real exporter, a real collector."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

import jobledger
from jobledger import Client
from jobledger.adapters.nats.names import Names
from support.collector import Collector
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually

from .traced_programs import Report

PROGRAM = Path(__file__).with_name("traced_programs.py")
SOURCES = Path(jobledger.__path__[0]).parent


@pytest.fixture
def collector() -> Iterator[Collector]:
    collecting = Collector().start()
    yield collecting
    collecting.stop()


@pytest.fixture
def client(nats_server: NatsServer, names: Names) -> Iterator[Client]:
    engine = EngineHarness(nats_server.url, names).wait_ready()
    with Client(nats_server.url, namespace=names.namespace) as connected:
        yield connected
    engine.stop()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(nats_server: NatsServer, names: Names) -> Iterator[Start]:
    """Start one of the programs, with these variables in its environment."""
    started: list[subprocess.Popen[str]] = []

    def starting(*arguments: str, own: str = "", **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments, nats_server.url, names.namespace, own],
            env={**os.environ, "PYTHONPATH": str(SOURCES), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield starting
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


#: exporters that are left alone try for minutes
PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600"}


def said(process: subprocess.Popen[str], within: float = 60) -> str:
    """Return what a program printed, once it has ended."""
    out, err = process.communicate(timeout=within)
    assert process.returncode == 0, err
    return out.strip()


def test_one_trace_goes_through_the_process_that_submits_and_the_one_that_runs(
    collector: Collector, client: Client, start: Start
) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    job_id = said(start("submit", own="own", **endpoint))
    said(start("run", OTEL_SERVICE_NAME="reporting", **endpoint))
    names = sorted(span.name for span in collector.spans)
    assert names == ["load", "load", "order", "query", "query", "task/Report", "task/Report"]
    order = collector.named("order")
    assert {span.trace_id for span in collector.spans} == {order.trace_id}
    attempts = [span for span in collector.spans if span.name == "task/Report"]
    assert {span.parent_id for span in attempts} == {order.span_id}
    assert order.resource["service.name"] == "my program"
    assert {span.resource["service.name"] for span in attempts} == {"reporting"}
    failed, computed = attempts
    assert (failed.status, computed.status) == (2, 1)
    assert failed.attributes["jobledger.job.id"] == job_id
    assert failed.attributes["jobledger.job.name"] == "monthly"
    assert failed.attributes["jobledger.task.number"] == 0
    assert failed.attributes["jobledger.task.name"] == "Report"
    assert [span.attributes["jobledger.task.attempt"] for span in attempts] == [1, 2]
    events = dict(failed.events)
    assert events["working"] == {"step": 1}
    assert events["exception"]["exception.type"] == "ValueError"
    below = {span.name: span.parent_id for span in collector.spans if span.name in ("load", "query")}
    loads = {span.span_id for span in collector.spans if span.name == "load"}
    assert below["load"] in {span.span_id for span in attempts}
    assert below["query"] in loads


def test_what_is_exported_and_what_is_asked_for_are_the_same_spans(
    collector: Collector, client: Client, start: Start
) -> None:
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    said(start("run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint))
    asked = {span.span_id: span for span in client.jobs().query_spans(job)}
    exported = {span.span_id: span for span in collector.spans if span.name != "query"}
    assert exported.keys() == asked.keys()
    for span_id, span in exported.items():
        assert (span.name, span.parent_id) == (asked[span_id].name, asked[span_id].parent_id or "")
        assert span.trace_id == asked[span_id].trace_id == job.id.hex


def test_lines_are_exported_too(collector: Collector, client: Client, start: Start) -> None:
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    said(start("run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint))
    kept = client.jobs().query_logs(job)
    assert [line.body for line in collector.lines] == [line.body for line in kept]
    assert [line.span_id for line in collector.lines] == [line.span_id for line in kept]
    first = collector.lines[0]
    assert (first.body, first.severity, first.trace_id) == ("working", "INFO", job.id.hex)
    assert (first.attributes["step"], first.attributes["jobledger.job.id"]) == (1, str(job.id))
    assert first.resource["service.name"] == "jobledger-runner"


def test_a_provider_that_the_program_set_up_itself_is_used_and_kept(
    collector: Collector, client: Client, start: Start
) -> None:
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    said(start("run", own="own", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.endpoint}/v1/traces"))
    assert {span.resource["service.name"] for span in collector.spans} == {"my program"}
    # its ids are its own, and are found all the same
    asked = {span.span_id: span for span in client.jobs().query_spans(job)}
    exported = {span.span_id: span for span in collector.spans if span.name != "query"}
    assert exported.keys() == asked.keys() - {span.span_id for span in asked.values() if span.task is None}
    assert all(span.parent_id == asked[one].parent_id for one, span in exported.items())
    lines = client.jobs().query_logs(job)
    assert {line.span_id for line in lines} <= exported.keys()
    (failed, _) = [span for span in asked.values() if span.name == "task/Report"]
    assert "working" in [event.name for event in failed.events]


@pytest.mark.parametrize(
    "switch",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
    ],
)
def test_it_can_be_switched_off(
    collector: Collector, client: Client, start: Start, switch: dict[str, str]
) -> None:
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    said(start("run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **switch))
    assert not collector.asked.is_set()
    assert len(client.jobs().query_spans(job)) == 5


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "pigeon"}, "'pigeon' is not used: no package that has it is installed"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "'otlp_proto_grpc' is not used",
        ),
        ({"OTEL_LOGS_EXPORTER": "otlp", "own": "without"}, "pip install 'jobledger[otlp]'"),
    ],
)
def test_an_exporter_that_is_not_installed_is_told_and_costs_nothing_else(
    client: Client, start: Start, variables: dict[str, str], told: str
) -> None:
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    process = start("run", **variables)
    assert told in process.communicate(timeout=60)[1]
    assert job.wait(timeout=20).state.name == "COMPLETED"


def test_a_process_ends_although_its_collector_does_not_answer(
    collector: Collector, client: Client, start: Start
) -> None:
    collector.stalled = True
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    process = start("run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **PATIENT)
    eventually(collector.asked.is_set, within=30)
    # the collector holds its requests until the end of the test: who waited for them would not end
    said(process, within=30)
    assert job.settled


def test_a_process_ends_although_its_collector_is_away(client: Client, start: Start) -> None:
    job = client.jobs().submit("monthly", Report(), max_retries=1)
    said(start("run", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **PATIENT), within=30)
    assert job.settled
    assert UUID(client.jobs().query_spans(job)[0].trace_id) == job.id

"""A collector of OpenTelemetry: a real HTTP server on loopback that takes what exporters send, as protobuf."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class CollectedSpan:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    status: int  #: 0 unset, 1 ok, 2 error
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    resource: dict[str, Any]


@dataclass
class CollectedLine:
    body: str
    severity: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """Collects on a port of its own between `start` and `stop`. While `stalled` it answers nobody."""

    spans: list[CollectedSpan] = field(default_factory=list)
    lines: list[CollectedLine] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)  #: a request has arrived
    stalled: bool = False

    def start(self) -> Self:
        collector = self
        self._go_on = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                if collector.stalled:
                    collector._go_on.wait(30)
                    return
                collector._take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._go_on.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def named(self, name: str) -> CollectedSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def _take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in group.scope_spans:
                    self.spans += [_span(span, _plain(group.resource.attributes)) for span in scope.spans]
        elif path == "/v1/logs":
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                for within in logs.scope_logs:
                    self.lines += [_line(one, _plain(logs.resource.attributes)) for one in within.log_records]


def _span(span: Any, resource: dict[str, Any]) -> CollectedSpan:
    return CollectedSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code,
        _plain(span.attributes),
        [(event.name, _plain(event.attributes)) for event in span.events],
        resource,
    )


def _line(line: Any, resource: dict[str, Any]) -> CollectedLine:
    return CollectedLine(
        line.body.string_value,
        line.severity_text,
        line.trace_id.hex(),
        line.span_id.hex(),
        _plain(line.attributes),
        resource,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}

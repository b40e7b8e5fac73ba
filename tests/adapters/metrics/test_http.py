"""`/metrics` and `/healthz`: what Prometheus and whoever looks after processes get to see."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from jobledger.adapters.metrics.figures import Report, Sample
from jobledger.adapters.metrics.http import Endpoint
from jobledger.adapters.portal import shared_portal
from jobledger.core.errors import ArgumentError, ServerAway
from support.figures import Figures

SERVED = Report("engine", "host:1:abc", {"jobledger_exchanges_total": [Sample((), 7.0)]})


class Process:
    """What is behind an endpoint."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.problem = ""
        self.endpoint = Endpoint("127.0.0.1", 0)

    async def gather(self) -> list[Report]:
        if self.error is not None:
            raise self.error
        return [SERVED]

    async def serve(self) -> None:
        self.endpoint.serve("space", self.gather, lambda: self.problem)

    @property
    def port(self) -> int:
        return int(self.endpoint.url.rpartition(":")[2].partition("/")[0])

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()


@pytest.fixture(scope="module")
def served() -> Iterator[Process]:
    process = Process()
    shared_portal().run(process.serve())
    yield process
    process.endpoint.close()


@pytest.fixture
def process(served: Process) -> Process:
    served.error, served.problem = None, ""
    return served


def test_metrics_are_prometheus_text(process: Process) -> None:
    status, headers, text = process.ask("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert Figures(text)("jobledger_exchanges_total", namespace="space", engine="host:1:abc") == 7
    assert process.ask("GET", "/metrics?name=x")[0] == 200


def test_metrics_are_openmetrics_for_whoever_takes_that(process: Process) -> None:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"}
    status, headers, text = process.ask("GET", "/metrics", accept)
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    (family,) = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    assert (family.name, family.type) == ("jobledger_exchanges", "counter")


def test_head_has_no_body(process: Process) -> None:
    status, headers, text = process.ask("HEAD", "/metrics")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 0


def test_a_healthy_process_says_so_and_another_one_says_what_is_wrong(process: Process) -> None:
    assert process.ask("GET", "/healthz")[::2] == (200, "ok\n")
    process.problem = "the NATS server is away"
    assert process.ask("GET", "/healthz")[::2] == (503, "the NATS server is away\n")


def test_a_path_there_is_not_is_404_and_names_those_there_are(process: Process) -> None:
    for path in ("/", "/metric", "/metrics/", "/../metrics"):
        status, _, text = process.ask("GET", path)
        assert status == 404
        assert "/metrics" in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_405(process: Process, method: str) -> None:
    status, headers, _ = process.ask(method, "/metrics")
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_what_is_not_http_ends_with_an_error_and_harms_nobody(process: Process) -> None:
    with socket.create_connection(("127.0.0.1", process.port), timeout=20) as raw:
        raw.sendall(b"\x16\x03\x01 what is this\r\n\r\n")
        assert b"400" in raw.recv(4096)
    assert process.ask("GET", "/healthz")[0] == 200


def test_metrics_that_cannot_be_had_are_503(process: Process) -> None:
    process.error = ServerAway("the server is away")
    assert process.ask("GET", "/metrics")[::2] == (503, "the server is away\n")


def test_a_process_that_has_not_reached_the_server_yet_answers_that() -> None:
    process = Process()
    try:
        for path in ("/metrics", "/healthz"):
            assert process.ask("GET", path)[::2] == (503, "the NATS server was not reached yet\n")
    finally:
        process.endpoint.close()


def test_a_port_in_use_is_named_with_what_to_do(process: Process) -> None:
    with pytest.raises(ArgumentError, match=rf"127\.0\.0\.1 port {process.port}.*another program.*or 0"):
        Endpoint("127.0.0.1", process.port)


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [("127.0.0.1", 70000, "65535"), ("192.0.2.1", 0, r"192\.0\.2\.1"), ("no such host", 0, "no such host")],
)
def test_an_address_that_is_none_is_refused(host: str, port: int, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        Endpoint(host, port)


def test_a_port_is_free_again_once_it_is_closed() -> None:
    first = Endpoint("127.0.0.1", 0)
    first.close()
    port = int(first.url.rpartition(":")[2].partition("/")[0])
    Endpoint("127.0.0.1", port).close()

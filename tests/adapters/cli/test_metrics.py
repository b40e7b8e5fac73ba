"""`jobledger metrics`, and the metrics that engines and projectors serve themselves."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from typing import Self

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from jobledger import Job
from support.command_line import CommandLine
from support.figures import Figures
from support.processes import PythonProcess
from support.waiting import eventually

from .conftest import Served

_MAIN = "from jobledger.adapters.cli import main; main()"


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


class Process:
    """A command that serves metrics at any free port, from `launch` on."""

    def __init__(self, *arguments: str) -> None:
        self._process = PythonProcess("-c", _MAIN, *arguments, ready="/metrics").launch()

    @property
    def url(self) -> str:
        found = re.search(r"http://\S+/metrics", self._process.wait_ready().log)
        assert found, self._process.log
        return found[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stop()


def test_it_prints_the_figures_of_all_processes(
    cli: CommandLine, served: Served, run: Callable[..., Job]
) -> None:
    run("measured", "you", "me")
    figures = Figures(cli.ok("metrics").out)
    namespace = served.names.namespace
    assert figures("jobledger_tasks_total", namespace=namespace, task="Greet", outcome="computed") >= 2
    assert figures("jobledger_processes", kind="engine") == 1
    assert figures("jobledger_processes", kind="projector") == 1
    assert figures("jobledger_view_lag_seconds") >= 0


def test_it_prints_openmetrics(cli: CommandLine, served: Served) -> None:
    text = cli.ok("metrics", "--openmetrics").out
    assert text.endswith("# EOF\n")
    families = {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert "jobledger_tasks" in families


def test_where_nobody_serves_it_says_so(cli: CommandLine) -> None:
    said = cli.ok("metrics", "--namespace", "nobody-serves-this")
    assert Figures(said.out).all("jobledger_processes", kind="engine") == [0]
    assert "no engine answers in namespace 'nobody-serves-this'" in said.err


def test_its_help_names_what_else_there_is(cli: CommandLine) -> None:
    assert "serve" in cli.ok("metrics", "--help").out
    assert "9464" in cli.ok("metrics", "serve", "--help").out


def test_one_address_has_everything_of_a_namespace_and_each_process_its_own(
    cli: CommandLine, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    options = ("--url", served.url, "--namespace", "measured")
    store = f"sqlite:///{tmp_path_factory.mktemp('measured')}/jobs.sqlite3"
    with (
        Process("engine", *options, "--metrics-port", "0") as one,
        Process("projector", *options, "--store", store, "--metrics-port", "0") as another,
        Process("feed", "run", *options, "--metrics-port", "0") as publisher,
        Process("metrics", "serve", *options, "--port", "0") as third,
    ):
        engine, projector, everything = one.url, another.url, third.url
        eventually(lambda: Figures(read(engine))("jobledger_engine_serving"))
        eventually(lambda: Figures(read(projector))("jobledger_view_open"))
        assert Figures(read(engine)).all("jobledger_jobs_submitted_total", namespace="measured") == [0]
        assert Figures(read(engine)).all("jobledger_view_open") == []
        assert Figures(read(projector)).all("jobledger_engine_serving") == []
        eventually(lambda: Figures(read(publisher.url))("jobledger_feed_publishing"))
        figures = Figures(read(everything))
        assert figures.all("jobledger_engine_serving", namespace="measured") == [1]
        assert figures.all("jobledger_view_open") == [1]
        assert figures.all("jobledger_feed_publishing") == [1]
        for url in (engine, projector, everything):
            assert read(url.replace("/metrics", "/healthz")) == "ok\n"
        # Named ports are refused while others listen there, before anything is begun.
        port = everything.rpartition(":")[2].partition("/")[0]
        for command in (
            ["metrics", "serve", "--port", port],
            ["engine", "--metrics-port", port],
            ["projector", "--store", store, "--metrics-port", port],
            ["feed", "run", "--metrics-port", port],
        ):
            said = cli(*command, *options)
            assert (said.code, said.out) == (2, "")
            assert f"127.0.0.1 port {port}: another program listens there" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["metrics", "serve", "--port", "70000"], ["--port", "65535"]),
        (["metrics", "serve", "--port", "-1"], ["--port"]),
        (["metrics", "serve", "--port", "http"], ["--port", "http"]),
        (["metrics", "serve", "--host", "192.0.2.1", "--port", "0"], ["192.0.2.1"]),
        (["engine", "--metrics-port", "65536"], ["--metrics-port", "65535"]),
        (["metrics", "server"], ["server"]),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    cli: CommandLine, arguments: list[str], told: list[str]
) -> None:
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    for text in told:
        assert text in said.err


def test_the_port_may_be_in_the_environment(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLEDGER_METRICS_PORT", "70000")
    said = cli("engine")
    assert said.code == 2
    assert "65535" in said.err

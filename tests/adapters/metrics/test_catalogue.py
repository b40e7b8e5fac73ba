"""The list of metrics, and those who name them: processes, the page, the dashboard, the alert rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobledger.adapters.link import Link
from jobledger.adapters.metrics.catalogue import METRICS, Metric
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from support.engines import BareRunner, EngineHarness, failed, submit, task
from support.figures import gathered
from support.projectors import ProjectorHarness
from support.servers import NatsServer

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "jobledger.json"
PAGE = ROOT / "docs" / "metrics.md"

#: labels that Prometheus adds to what is exposed
OF_HISTOGRAMS = {"le"}
#: told by the supervisor of a data folder: see the tests of `jobledger doctor`
OF_FOLDERS = {name for name in METRICS if name.startswith("jobledger_server_")}
OF_FEEDS = {name for name in METRICS if name.startswith("jobledger_feed_")}


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in METRICS.values():
        assert re.fullmatch(r"jobledger(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.labels[0] == "namespace"
        assert metric.help.endswith(".")


def test_real_processes_tell_all_of_them(
    start_engine: Callable[[], EngineHarness],
    nats_server: NatsServer,
    names: Names,
    link: Link,
    tmp_path: Path,
) -> None:
    start_engine().wait_ready()
    projector = ProjectorHarness(nats_server.url, names, f"sqlite:///{tmp_path}/jobs.sqlite3").start()
    submit(link, task(retries=0))
    runner = BareRunner(link)
    runner.report(*map(failed, runner.claim()))

    async def limit_the_log() -> None:
        js = link.nc.jetstream()
        config = (await js.stream_info(names.log_stream)).config
        await js.update_stream(config.evolve(max_bytes=1_000_000))

    shared_portal().run(limit_the_log())
    figures = gathered(link, projectors=1)
    projector.stop()
    told = {re.sub(r"$", "_total" if f.type == "counter" else "", f.name) for f in figures.families.values()}
    assert told == METRICS.keys() - OF_FEEDS - OF_FOLDERS
    assert figures("jobledger_log_limit_bytes") == 1_000_000
    for family in figures.families.values():
        metric = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        assert family.type == metric.kind
        for sample in family.samples:
            assert sample.labels.keys() - OF_HISTOGRAMS == set(metric.labels)


def test_the_page_has_a_row_for_each() -> None:
    def row(metric: Metric) -> str:
        labels = ", ".join(metric.labels[1:])
        return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"

    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `jobledger_")]
    assert rows == [row(metric) for metric in METRICS.values()]


def test_what_the_page_says_of_limits_is_so() -> None:
    from jobledger.adapters.metrics.catalogue import LONGEST_LABEL, MOST_TASKS

    page = PAGE.read_text()
    assert f"The first {MOST_TASKS} pairs" in page
    assert f"cut after {LONGEST_LABEL} characters" in page


# -- what is looked at ------------------------------------------------------------------------------------------------


def dashboard_queries() -> list[str]:
    board = json.loads(DASHBOARD.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    return queries + [v["definition"] for v in board["templating"]["list"] if v["type"] == "query"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


QUERIES = [*dashboard_queries(), *(rule["expr"] for rule in rules())]


def named(query: str) -> list[Metric]:
    """Return the metrics that a query names. Errors: AssertionError for one there is not."""
    found = []
    for name in re.findall(r"\bjobledger_\w+", query):
        histogram = METRICS.get(re.sub(r"_(bucket|sum|count)$", "", name))
        metric = METRICS.get(name) or (histogram if histogram and histogram.kind == "histogram" else None)
        assert metric is not None, f"there is no {name}"
        assert metric.kind != "histogram" or metric.name != name, f"{name} is a histogram: name a part of it"
        found.append(metric)
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_and_labels_there_are(query: str) -> None:
    metrics = named(query)
    assert metrics
    for selected in re.findall(r"\{([^}]*)\}", query):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))
        assert any(labels <= set(metric.labels) for metric in metrics), selected
    for grouped in re.findall(r"\bby \(([^)]*)\)", query):
        labels = {label.strip() for label in grouped.split(",")} - OF_HISTOGRAMS
        assert all(labels <= set(metric.labels) for metric in metrics), grouped
    for label in re.findall(r"label_values\(.*, (\w+)\)", query):
        assert label in metrics[0].labels
    for counter in re.findall(
        r"(?<!rate\()(?<!increase\()\b(jobledger_\w+_(?:total|bucket|sum|count))\b", query
    ):
        raise AssertionError(f"{counter} only means something as a rate")


def test_every_rule_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
        assert told <= {label.strip() for group in kept for label in group.split(",")}, rule["alert"]


def test_there_are_rules_for_what_stops_everything() -> None:
    watched = {metric.name for rule in rules() for metric in named(rule["expr"])}
    assert watched >= {
        "jobledger_engine_serving",
        "jobledger_queue_oldest_seconds",
        "jobledger_lease_expiries_total",
        "jobledger_view_lag_seconds",
        "jobledger_log_limit_bytes",
    }


def test_panels_of_the_dashboard_have_names_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(panel["title"] for panel in panels)

"""Metrics as Prometheus would have them: gathered from the processes of a namespace, and parsed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from jobledger.adapters.link import Link
from jobledger.adapters.metrics.exposition import exposition
from jobledger.adapters.metrics.gathering import Gatherer
from jobledger.adapters.portal import shared_portal
from support.waiting import eventually


class Figures:
    """What one scrape has."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Metric] = {
            family.name: family for family in text_string_to_metric_families(text)
        }

    def all(self, name: str, **labels: str) -> list[float]:
        """Return the samples of this name that have these labels."""
        return [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of these samples, as a query would have it; 0 if there are none."""
        return sum(self.all(name, **labels))

    def values(self, name: str, label: str) -> set[str]:
        """Return what this label says in the samples of this name."""
        samples: Iterable[Any] = [
            s for family in self.families.values() for s in family.samples if s.name == name
        ]
        return {sample.labels[label] for sample in samples}


def gathered(link: Link, *, engines: int = 1, projectors: int = 0) -> Figures:
    """Return the figures of the link's namespace, once so many processes answer."""
    gatherer = Gatherer(link.names, newcomers=0.03)

    def all_of_them() -> Figures | None:
        reports = shared_portal().run(gatherer.gather(link.nc))
        text, _ = exposition(link.names.namespace, reports)
        figures = Figures(text.decode())
        found = [figures("jobledger_processes", kind=kind) for kind in ("engine", "projector")]
        return figures if found == [engines, projectors] else None

    figures = eventually(all_of_them)
    assert figures is not None
    return figures

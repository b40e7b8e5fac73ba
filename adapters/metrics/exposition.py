"""Reports as the text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from .catalogue import METRICS, Metric
from .figures import Report, Sample

#: asks for OpenMetrics
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def exposition(namespace: str, reports: Iterable[Report], accept: str = "") -> tuple[bytes, str]:
    """Return the text of these reports, and its content type: what the header `Accept` asks for, or plain text.

    What two processes say of the same thing, such as the log, is told once: the last of them is right.
    """
    found: dict[str, dict[tuple[str, ...], Sample]] = {}
    for report in reports:
        said = {"namespace": namespace, "kind": report.kind, "process": report.process}
        said[report.kind] = report.process
        for name, samples in report.samples.items():
            metric = METRICS.get(name)
            for sample in samples if metric else ():  # of a later version: what it means is not known here
                assert metric is not None
                found.setdefault(name, {})[_labels(metric, said, sample)] = sample
    encode, content_type = choose_encoder(accept)
    return encode(_Families(found)), content_type


def _labels(metric: Metric, said: dict[str, str], sample: Sample) -> tuple[str, ...]:
    """Return the values of all labels: those that say who speaks are not among the sample's own."""
    own = iter(sample.labels)
    given = len(metric.labels) - len(sample.labels)
    return tuple(said[name] if place < given else next(own) for place, name in enumerate(metric.labels))


class _Families(Collector):
    """What the encoders of prometheus_client take."""

    def __init__(self, found: dict[str, dict[tuple[str, ...], Sample]]) -> None:
        self._found = found

    def collect(self) -> Iterator[Family]:
        for metric in METRICS.values():
            samples = self._found.get(metric.name)
            if samples:
                yield _family(metric, samples)


def _family(metric: Metric, samples: dict[tuple[str, ...], Sample]) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, sample in samples.items():
            buckets = [(_bound(bound), float(count)) for bound, count in sample.buckets]
            histogram.add_metric(labels, buckets, sample.value)
        return histogram
    of_kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = of_kind(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    for labels, sample in samples.items():
        family.add_metric(labels, sample.value)
    return family


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(float(bound))

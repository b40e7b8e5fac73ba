"""OpenTelemetry's SDK, set up for this process as its standard environment variables say. See `exports`."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from . import chosen_ids

log = logging.getLogger(__name__)

#: seconds a process that ends gives its exporters; a collector that is away must not hold it up
_LAST = 0.7


def export_spans(names: Sequence[str]) -> bool:
    """Have spans exported by the exporters of these names. Return whether there is any."""
    exporters = _exporters("opentelemetry_traces_exporter", names)
    if not exporters:
        return False
    provider = TracerProvider(resource=_resource(), id_generator=_Ids(), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    chosen_ids.honoured = True
    _ending.add(provider.shutdown, exporters)
    return True


def export_logs(names: Sequence[str]) -> bool:
    """Have log lines exported by the exporters of these names. Return whether there is any."""
    exporters = _exporters("opentelemetry_logs_exporter", names)
    if not exporters:
        return False
    provider = LoggerProvider(resource=_resource(), shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    set_logger_provider(provider)
    _ending.add(provider.shutdown, exporters)
    return True


class _Ids(RandomIdGenerator):
    """Random ids, unless some were chosen."""

    def generate_span_id(self) -> int:
        ref = chosen_ids.current()
        return super().generate_span_id() if ref is None else int.from_bytes(ref.span)

    def generate_trace_id(self) -> int:
        ref = chosen_ids.current()
        return super().generate_trace_id() if ref is None else int.from_bytes(ref.trace)


def _exporters(group: str, names: Sequence[str]) -> list[Any]:
    exporters = []
    for name in names:
        found = next(iter(entry_points(group=group, name=name)), None)
        try:
            if found is None:
                raise LookupError("no package that has it is installed: pip install 'jobledger[otlp]'")
            exporters.append(found.load()())
        except Exception as error:  # noqa: BLE001  of somebody else's code: jobs run without it
            log.warning("the OpenTelemetry exporter %r is not used: %s", name, error)
    return exporters


def _resource() -> Resource:
    """Return what describes this process: as the environment says, under a name of ours if it gives none."""
    given = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if given else {SERVICE_NAME: "jobledger-runner"})


class _Ending:
    """Exports what is left as the process ends, for a moment at most.

    The threads for it wait from the beginning: a process that ends starts no more of them.
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._exporters: list[Any] = []
        self._now = threading.Event()

    def add(self, shutdown: Callable[[], None], exporters: Sequence[Any]) -> None:
        def leave() -> None:
            self._now.wait()
            shutdown()

        if not self._threads:
            atexit.register(self._end)
        self._exporters += exporters
        self._threads.append(threading.Thread(target=leave, name="jobledger-telemetry-exit", daemon=True))
        self._threads[-1].start()

    def _end(self) -> None:
        until = time.monotonic() + _LAST
        self._now.set()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            for exporter in self._exporters:
                exporter.shutdown()  # it gives up between two tries


_ending = _Ending()

"""Whether OpenTelemetry gets what tasks log and trace: found out without loading it where it is not used.

Where the program has set up OpenTelemetry itself, what it set up is used. Otherwise its standard environment variables
decide: OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT, ..._LOGS_ENDPOINT) names a collector, OTEL_TRACES_EXPORTER
and OTEL_LOGS_EXPORTER name exporters, OTEL_SDK_DISABLED switches all of it off. What is needed for that is an extra of
this package: jobledger[otlp].
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

_configuring = threading.Lock()


class Exports(NamedTuple):
    """What OpenTelemetry is handed."""

    spans: bool = False
    logs: bool = False


NOTHING = Exports()


def configured() -> Exports:
    """Return what is exported from this process, setting it up if the environment asks for it."""
    if _flag("OTEL_SDK_DISABLED"):
        return NOTHING
    with _configuring:
        spans, logs = _has_tracer_provider(), _has_logger_provider()
        wanted = {
            "traces": () if spans else _exporters("TRACES"),
            "logs": () if logs else _exporters("LOGS"),
        }
        if any(wanted.values()):
            try:
                from . import sdk
            except ImportError as error:
                log.warning(
                    "the environment asks for OpenTelemetry exporters (%s), but it is not installed (%s): "
                    "pip install 'jobledger[otlp]'",
                    ", ".join(sorted({name for names in wanted.values() for name in names})),
                    error,
                )
            else:
                spans = spans or sdk.export_spans(wanted["traces"])
                logs = logs or sdk.export_logs(wanted["logs"])
        return Exports(spans, logs)


def _exporters(signal: str) -> tuple[str, ...]:
    """Return the names of the exporters the environment asks for."""
    named = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip()
    if not named:
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        named = "otlp" if any(os.environ.get(one, "").strip() for one in endpoints) else "none"
    names = tuple(name.strip() for name in named.split(",") if name.strip())
    return () if "none" in names else tuple(_entry_point(name, signal) for name in names)


def _entry_point(name: str, signal: str) -> str:
    """Return under which name packages offer this exporter: that of OTLP depends on the protocol."""
    if name != "otlp":
        return name
    variables = (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((os.environ[one].strip() for one in variables if os.environ.get(one)), "")
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


def _has_tracer_provider() -> bool:
    """Whether the program, or a launcher such as `opentelemetry-instrument`, has set up tracing."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None and not os.environ.get("OTEL_PYTHON_TRACER_PROVIDER"):
        return False
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    return not isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def _has_logger_provider() -> bool:
    sdk: Any = sys.modules.get("opentelemetry.sdk._logs")
    if sdk is None:
        return False
    from opentelemetry._logs import get_logger_provider

    return isinstance(get_logger_provider(), sdk.LoggerProvider)


def _flag(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() == "true"

"""Programs that tests run in processes of their own: OpenTelemetry can be set up only once in each.

    python traced_programs.py submit|run URL NAMESPACE [own|without]

`submit` submits a job within a span of its own, and prints the job's id; `run` runs what is there. With `own` the
program has set up OpenTelemetry itself; it runs `without` OpenTelemetry's SDK as if that were not installed.
"""

from __future__ import annotations

import sys

from jobledger import Client, ExecutionContext, Task


class Report(Task):
    """Traces, logs, and fails at its first attempt."""

    def execute(self, context: ExecutionContext) -> None:
        context.logger.info("working", step=1)
        with context.tracer.span("load", rows=3):
            context.logger.warning("inside")
            from opentelemetry import trace

            with trace.get_tracer("a library").start_as_current_span("query"):
                pass
        if context.current_task.attempt == 1:
            raise ValueError("not yet")


def set_up() -> None:
    """Set up OpenTelemetry as programs do that use it for themselves."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "my program"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def main(what: str, url: str, namespace: str, own: str = "") -> None:
    if own == "own":
        set_up()
    if own == "without":
        sys.modules["opentelemetry.sdk"] = None  # type: ignore[assignment]
    with Client(url, namespace=namespace) as client:
        if what == "run":
            client.runner(tasks=[Report]).run_all()
            return
        from opentelemetry import trace

        with trace.get_tracer("my program").start_as_current_span("order"):
            print(client.jobs().submit("monthly", Report(), max_retries=1).id)


if __name__ == "__main__":
    main(*sys.argv[1:])

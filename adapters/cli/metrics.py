"""`jobledger metrics`: figures of a namespace, as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from . import output as out
from .connection import HERE, Connection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ..client.session import Session
    from ..metrics.figures import Report
    from ..metrics.gathering import Gatherer
    from ..metrics.http import Endpoint

app = App(
    name="metrics",
    help="Print figures of queues, tasks, commits, the log and views, as Prometheus reads them.\n\n"
    "Each process counts from its own start and is named in a label: sum over `engine`. docs/metrics.md describes all.",
)

_PATIENCE = 5.0  # seconds for one gathering; Prometheus waits 10 for its answer

_Port = Number(gte=0, lte=65535)
_HOST = "Address of this machine to listen at; 0.0.0.0 for all."
#: of engines and projectors, which listen only if told to
MetricsPort = Annotated[
    int | None,
    Parameter(
        env_var="JOBLEDGER_METRICS_PORT",
        validator=_Port,
        help="Serve what this process counts over HTTP, at /metrics; 0: at any free port. Default: not at all.",
    ),
]
MetricsHost = Annotated[
    str, Parameter(env_var="JOBLEDGER_METRICS_HOST", metavar="HOST", help=_HOST, show_default=True)
]


@app.default
def show(
    *,
    openmetrics: Annotated[bool, Parameter(help="As OpenMetrics.")] = False,
    server: Connection = HERE,
) -> int:
    """Print the figures of all processes of the namespace, and of its log."""
    from ..metrics.exposition import OPENMETRICS, exposition
    from ..metrics.gathering import Gatherer
    from ..nats.names import Names
    from ..portal import shared_portal

    namespace = server.chosen_namespace
    with server.client() as client:
        gathering = _gathered(client._session, Gatherer(Names(namespace)), server.patience)
        reports = shared_portal().run(gathering)
    text, _ = exposition(namespace, reports, OPENMETRICS if openmetrics else "")
    out.text(text.decode().rstrip("\n"))
    if not any(report.kind == "engine" for report in reports):
        out.say(f"jobledger: no engine answers in namespace {namespace!r}")
    return 0


@app.command
def serve(
    *,
    port: Annotated[int, Parameter(validator=_Port, help="0: any free one.", show_default=True)] = 9464,
    host: Annotated[str, Parameter(help=_HOST, show_default=True)] = "127.0.0.1",
    server: Connection = HERE,
) -> int:
    """Serve the figures of the whole namespace over HTTP until SIGTERM or Ctrl-C.

    One target for Prometheus, /metrics, however many engines and projectors there are. There is /healthz, too.
    """
    from ..metrics.gathering import Gatherer
    from ..nats.names import Names
    from .service import serve as run

    namespace = server.chosen_namespace
    client = server.client()
    session, gatherer = client._session, Gatherer(Names(namespace))
    endpoint = listening(port, host)
    assert endpoint is not None

    async def serving(stop: asyncio.Event, ready: Callable[[], None]) -> None:
        link = await session.link()
        endpoint.serve(
            namespace,
            lambda: _gathered(session, gatherer, _PATIENCE),
            lambda: "" if link.nc.is_connected else "the NATS server is away",
        )
        ready()
        try:
            await stop.wait()
        finally:
            endpoint.close()
            await session.close()

    return run("metrics", f"namespace {namespace} at {endpoint.url}", serving)


def listening(port: int | None, host: str) -> Endpoint | None:
    """Return where to serve metrics, None if that is not wanted. Errors: ArgumentError for an address not to be had."""
    if port is None:
        return None
    from ..metrics.http import Endpoint

    return Endpoint(host, port)


def told(endpoint: Endpoint | None) -> str:
    """Return what the line says of it by which a process tells that it serves."""
    return f", metrics at {endpoint.url}" if endpoint else ""


async def _gathered(session: Session, gatherer: Gatherer, patience: float) -> list[Report]:
    link = await session.link()
    return await link.work(gatherer.gather, patience=patience)

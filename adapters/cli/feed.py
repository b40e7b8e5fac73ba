"""`jobledger feed`: the log as CloudEvents, for other services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from . import exits
from . import output as out
from .connection import HERE, Connection
from .metrics import MetricsHost, MetricsPort, listening, told
from .output import Output
from .service import serve
from .times import Seconds

if TYPE_CHECKING:
    from ..client.feed import FeedStatus

app = App(name="feed", help="The log as CloudEvents, for other services to subscribe to.")

MaxBytes = Annotated[
    int | None,
    Parameter(help="How much is kept, in bytes, the oldest going first; -1: without limit."),
]
MaxAge = Annotated[
    Seconds | None, Parameter(help="For how long messages are kept; 0: without limit, the default.")
]


@app.command
def on(
    *,
    max_bytes: MaxBytes = None,
    max_age: MaxAge = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Publish the feed of the embedded server from the beginning of the log: now, and after every restart.

    256 MiB are kept unless said otherwise, or less on a disk without that room.
    """
    with server.client() as client:
        out.facts(_facts(client.feed().turn_on(max_bytes=max_bytes, max_age=max_age)), output)
    return 0


@app.command
def off(*, output: Output = "table", server: Connection = HERE) -> int:
    """Publish the feed of the embedded server no more. What is published stays, and is gone on from later."""
    with server.client() as client:
        out.facts(_facts(client.feed().turn_off()), output)
    return 0


@app.command
def status(*, output: Output = "table", server: Connection = HERE) -> int:
    """Show what the feed holds, who publishes it, and how far behind the log it is."""
    with server.client() as client:
        out.facts(_facts(client.feed().status()), output)
    return 0


@app.command
def limit(
    *,
    max_bytes: MaxBytes = None,
    max_age: MaxAge = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Set how much of the feed is kept. What exceeds it is discarded at once."""
    with server.client() as client:
        out.facts(_facts(client.feed().limit(max_bytes=max_bytes, max_age=max_age)), output)
    return 0


@app.command
def rebuild(
    *,
    timeout: Annotated[Seconds | None, Parameter(help="How long at most; default: without limit.")] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Discard the feed and publish it anew from the log; wait until that is done.

    The messages are the same, with the same numbers. Exit code 7 if the time was over before; it goes on then.
    """
    with server.client() as client:
        try:
            out.facts(_facts(client.feed().rebuild(timeout)), output)
        except TimeoutError as error:
            out.say(f"jobledger: {error}")
            return exits.TIMED_OUT
    return 0


@app.command
def run(
    *,
    max_bytes: MaxBytes = None,
    max_age: MaxAge = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    server: Connection = HERE,
) -> int:
    """Publish the feed of a NATS server until SIGTERM or Ctrl-C.

    Several may run: one publishes, the others stand by. A server that is away is waited for. The limits are how the stream
    is made; one that exists keeps its own.
    """
    endpoint, namespace = server.endpoint(), server.chosen_namespace
    from ..client.feed import checked_limits
    from ..feed.run import run_feed

    limits = checked_limits(max_bytes, max_age)
    metrics = listening(metrics_port, metrics_host)
    return serve(
        "feed",
        f"namespace {namespace} at {endpoint.shown}{told(metrics)}",
        lambda stop, ready: run_feed(
            endpoint, namespace, stop=stop, on_ready=ready, limits=limits, metrics=metrics
        ),
    )


def _facts(feed: FeedStatus) -> dict[str, Any]:
    return {
        "stream": feed.stream,
        "subjects": feed.subjects,
        "on": feed.on,
        "publishers": [
            f"{one.publisher}: {'publishes' if one.publishes else one.problem or 'stands by'}"
            for one in feed.publishers
        ],
        "messages": feed.messages,
        "bytes": feed.bytes,
        "first": feed.first,
        "last": feed.last,
        "position": feed.position,
        "behind": feed.behind,
        "max_bytes": feed.max_bytes,
        "max_age": None if feed.max_age is None else feed.max_age.total_seconds(),
    }

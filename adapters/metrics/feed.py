"""What a publisher of the feed tells: how far the feed is behind the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..nats.names import Names
from ..nats.wire import Wire
from .figures import Sample, Samples
from .log import lag_samples

if TYPE_CHECKING:
    from ..feed.publisher import Publisher


async def feed_samples(client: Wire, names: Names, publisher: Callable[[], Publisher | None]) -> Samples:
    """Return all figures as of now, of the process that has this publisher: None while it stands by."""
    publishing = publisher()
    figures = {"publishing": 0.0}
    if publishing is not None:
        figures = {"publishing": 1.0, **await lag_samples(client, names, publishing.position)}
    return {f"jobledger_feed_{name}": [Sample((), figure)] for name, figure in figures.items()}

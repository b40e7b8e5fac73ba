"""What publishers of the feed tell: how far it is behind."""

from __future__ import annotations

from collections.abc import Callable

from jobledger.adapters.link import Link
from jobledger.adapters.nats.names import Names
from support.engines import BareRunner, EngineHarness, computed, submit
from support.feeds import FeedHarness
from support.figures import Figures, gathered
from support.servers import NatsServer
from support.waiting import eventually


def once(link: Link, is_so: Callable[[Figures], bool]) -> Figures:
    """Return the first figures of which this is so."""

    def found() -> Figures | None:
        figures = gathered(link)
        return figures if is_so(figures) else None

    figures = eventually(found)
    assert figures is not None
    return figures


def test_a_feed_that_keeps_up_has_no_lag_and_one_publisher(
    engine: EngineHarness, nats_server: NatsServer, names: Names, link: Link
) -> None:
    submit(link)
    first, second = FeedHarness(nats_server.url, names), FeedHarness(nats_server.url, names)
    try:
        first.start()
        runner = BareRunner(link)
        runner.report(*map(computed, runner.claim()))
        figures = once(link, lambda figures: figures("jobledger_feed_position") == 3)
        assert figures.all("jobledger_feed_lag_positions") == [0]
        assert figures.all("jobledger_feed_lag_seconds") == [0]
        assert figures.all("jobledger_feed_publishing") == [1]
        assert figures("jobledger_processes", kind="feed") == 1

        second.start()
        submit(link)
        once(link, lambda figures: figures("jobledger_processes", kind="feed") == 2)
        figures = once(link, lambda figures: max(figures.all("jobledger_feed_position"), default=0) == 4)
        assert 1 in figures.all("jobledger_feed_publishing")
    finally:
        first.stop()
        second.stop()
    figures = once(link, lambda figures: not figures("jobledger_processes", kind="feed"))
    assert figures.all("jobledger_feed_publishing") == []

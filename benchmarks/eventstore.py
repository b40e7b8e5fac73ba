"""JetStream as the persistence of `eventsourcing` applications, beside the library's own SQLite. Prints a table.

    .venv/bin/python benchmarks/eventstore.py

JetStream is the embedded server: one replica, every event on disk (fsync) before it is acknowledged. SQLite is a file, in
the library's settings. Aggregates, mapper and transcoder are the library's, as they come: most of what an event costs
is theirs. One thread writes and reads; each figure is the best of three.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from jobledger.adapters.embedded.start import ensure_server, stop_server


class Counter(Aggregate):
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    @event("Counted")
    def add(self) -> None:
        self.count += 1


class Counters(Application[UUID]):
    """Keeps them."""


def rate(work: Callable[[], int]) -> float:
    """Return how many a second, where `work` returns how many it did."""
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        best = max(best, work() / (time.perf_counter() - began))
    return best


def measure(app: Counters) -> dict[str, float]:
    def saved(times: int, events: int) -> int:
        counter = Counter()
        app.save(counter)
        for _ in range(times):
            for _ in range(events):
                counter.add()
            app.save(counter)
        return times * events

    long = Counter()
    for _ in range(10):
        for _ in range(1_000 - len(long.pending_events)):  # no more are stored at once
            long.add()
        app.save(long)
    version = long.version

    def loaded() -> int:
        assert app.repository.get(long.id).version == version
        return version

    def followed() -> int:
        last = app.recorder.max_notification_id() or 0
        count = 0
        try:
            subscribed = app.recorder.subscribe()
        except NotImplementedError:
            return 0
        with subscribed as subscription:
            for notification in subscription:
                count += 1
                if notification.id == last:
                    break
        return count

    found = {
        "events/s, saved one at a time": rate(lambda: saved(1_000, 1)),
        "events/s, saved 100 at a time": rate(lambda: saved(50, 100)),
        f"events/s, loading an aggregate of {version:,}": rate(loaded),
        "events/s, by a subscription that catches up": rate(followed),
    }
    app.take_snapshot(long.id)
    found["loads/s of that aggregate from its snapshot"] = rate(
        lambda: sum(1 for _ in range(200) if app.repository.get(long.id).version == version)
    )
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="jobledger-bench-") as folder:
        endpoint = ensure_server(folder)
        jetstream = {
            "PERSISTENCE_MODULE": "jobledger.eventstore",
            "NATS_URL": ",".join(endpoint.urls),
            "NATS_USER": endpoint.user or "",
            "NATS_PASSWORD": endpoint.password or "",
        }
        sqlite = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(Path(folder) / "events.sqlite3"),
        }
        try:
            columns = []
            for env in (jetstream, sqlite):
                with Counters({**env, "IS_SNAPSHOTTING_ENABLED": "y"}) as app:
                    columns.append(measure(app))
        finally:
            stop_server(folder)
    print(f"{'':<50}{'JetStream':>12}{'SQLite':>12}")
    for name, figure in columns[0].items():
        other = columns[1][name]
        print(f"{name:<50}{figure:>12,.0f}{f'{other:,.0f}' if other else 'has none':>12}")


if __name__ == "__main__":
    main()

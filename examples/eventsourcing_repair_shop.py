"""An application of the `eventsourcing` library whose events are on NATS JetStream: a shop that repairs bicycles.

    python examples/eventsourcing_repair_shop.py nats://127.0.0.1:4222

It needs nothing of jobledger but its persistence module. Four things that the library offers, each on the server:
an application with snapshots, optimistic concurrency, a projection that follows the application and keeps a table of its
own, and a process that answers each of its events with events of its own, exactly once. Run it again: it goes on where
it was.
"""

from __future__ import annotations

import sys
import tempfile
from functools import singledispatchmethod
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid5

from eventsourcing.application import Application, ProcessingEvent
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError, Tracking
from eventsourcing.projection import (
    EventSourcedProjection,
    EventSourcedProjectionRunner,
    Projection,
    ProjectionRunner,
)
from eventsourcing.sqlite import SQLiteTrackingRecorder
from eventsourcing.utils import get_topic

# -- the shop ---------------------------------------------------------------------------------------------------------


class Repair(Aggregate):
    """A bicycle in the shop, from being brought to being fetched."""

    class PartFitted(Aggregate.Event):
        part: str
        price: int

    class Fetched(Aggregate.Event):
        paid: int

    def __init__(self, bicycle: str) -> None:
        self.bicycle = bicycle
        self.parts: list[str] = []
        self.bill = 0
        self.is_fetched = False

    @event(PartFitted)
    def fit(self, part: str, price: int) -> None:
        self.parts.append(part)
        self.bill += price

    def fetch(self) -> None:
        if self.is_fetched:
            raise ValueError(f"the {self.bicycle} has been fetched")
        self._fetch(paid=self.bill)

    @event(Fetched)
    def _fetch(self, paid: int) -> None:
        self.is_fetched = True


class Shop(Application[UUID]):
    """What people in the shop do."""

    snapshotting_intervals: ClassVar[dict[type, int]] = {Repair: 5}

    def bring(self, bicycle: str) -> UUID:
        repair = Repair(bicycle)
        self.save(repair)
        return repair.id

    def fit(self, repair_id: UUID, part: str, price: int) -> None:
        repair = self.repair(repair_id)
        repair.fit(part, price)
        self.save(repair)

    def fetch(self, repair_id: UUID) -> int:
        """Return the position of the event among all of the shop: others can wait for it."""
        repair = self.repair(repair_id)
        repair.fetch()
        (recording,) = self.save(repair)
        return recording.notification.id

    def repair(self, repair_id: UUID, version: int | None = None) -> Repair:
        found: Repair = self.repository.get(repair_id, version=version)
        return found


# -- a projection: how many of each part were fitted, in a table of SQLite --------------------------------------------


class PartsTable(SQLiteTrackingRecorder):
    """The table, and how far in the events of the shop it has come: both change in one transaction."""

    def construct_create_table_statements(self) -> list[str]:
        parts = "CREATE TABLE IF NOT EXISTS parts (name text PRIMARY KEY, number int)"
        return [*super().construct_create_table_statements(), parts]

    def count(self, part: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as c:
            self._insert_tracking(c, tracking)
            c.execute(
                "INSERT INTO parts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET number = number + 1",
                (part,),
            )

    def counted(self) -> dict[str, int]:
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT name, number FROM parts ORDER BY name")
            return {row["name"]: row["number"] for row in c.fetchall()}


class Parts(Projection[PartsTable]):
    topics = (get_topic(Repair.PartFitted),)  # of no interest are all others

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        raise NotImplementedError

    @process_event.register
    def _(self, domain_event: Repair.PartFitted, tracking: Tracking) -> None:
        self.view.count(domain_event.part, tracking)


# -- a process: a receipt for each bicycle that was fetched -----------------------------------------------------------


class Receipt(Aggregate):
    def __init__(self, repair_id: UUID, paid: int) -> None:
        self.repair_id = repair_id
        self.paid = paid

    @staticmethod
    def create_id(repair_id: UUID, paid: int) -> UUID:
        return uuid5(repair_id, "receipt")


class Office(EventSourcedProjection[UUID]):
    """Writes receipts. A receipt and the position of the event it answers are stored together or not at all."""

    topics = (get_topic(Repair.Fetched),)

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:
        raise NotImplementedError

    @policy.register
    def _(self, domain_event: Repair.Fetched, processing_event: ProcessingEvent[UUID]) -> None:
        processing_event.collect_events(Receipt(domain_event.originator_id, domain_event.paid))

    def receipt(self, repair_id: UUID) -> Receipt:
        found: Receipt = self.repository.get(Receipt.create_id(repair_id, 0))
        return found


# -- a day in the shop ------------------------------------------------------------------------------------------------


def main(url: str, folder: Path) -> None:
    env = {
        "PERSISTENCE_MODULE": "jobledger.eventstore",
        "NATS_URL": url,
        # The table of the projection is elsewhere: settings can be made for one application or projection alone.
        "PARTS_PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "PARTS_SQLITE_DBNAME": str(folder / "parts.sqlite3"),
    }
    with Shop(env) as shop:
        racer = shop.bring("racer")
        for price in range(1, 8):
            shop.fit(racer, "spoke", price)
        shop.fit(racer, "saddle", 40)
        fetched = shop.fetch(racer)
        repair = shop.repair(racer)
        print(f"The {repair.bicycle} has {len(repair.parts)} new parts and cost {repair.bill}.")
        print(f"After three parts the bill was {shop.repair(racer, version=4).bill}.")
        snapshots = shop.snapshots.get(racer) if shop.snapshots else ()
        print(f"Snapshots at versions {[snapshot.originator_version for snapshot in snapshots]}.")

        one, another = shop.repair(racer), shop.repair(racer)
        one.fit("bell", 5)
        another.fit("lamp", 20)
        shop.save(one)
        try:
            shop.save(another)
        except IntegrityError:
            print("Two people changed the racer at once: the second one is told to look again.")

        with ProjectionRunner(
            application_class=Shop, projection_class=Parts, view_class=PartsTable, env=env
        ) as parts:
            parts.view.wait(shop.name, shop.recorder.max_notification_id(), timeout=10)
            print(f"Parts fitted: {parts.view.counted()}.")

        with EventSourcedProjectionRunner(application_class=Shop, projection_class=Office, env=env) as office:
            office.projection.recorder.wait(shop.name, fetched, timeout=10)
            print(f"The receipt is for {office.projection.receipt(racer).paid}.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} NATS_URL [FOLDER]")
    main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()))

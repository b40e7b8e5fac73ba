"""The recorder of snapshots: one subject per snapshot, so that any version can be added at any time, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import AggregateRecorder, StoredEvent

from ..records import encode_record
from .appending import Entry, Order
from .messages import record_in
from .stream import EventStream
from .tokens import token_of


class JetStreamSnapshotRecorder(AggregateRecorder):
    """Stores each snapshot at `<prefix>.<token of the originator>.<version>`.

    Which versions exist is known from the subjects; only the snapshots asked for are read.
    """

    def __init__(self, stream: EventStream, prefix: str) -> None:
        self._stream = stream
        self._prefix = prefix

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        if stored_events:
            self._stream.append(
                [
                    Entry(
                        f"{self._subject(event.originator_id)}.{event.originator_version}",
                        event.originator_version,
                        encode_record(event.originator_version, event.topic, event.state),
                        Order.ONCE,
                    )
                    for event in stored_events
                ]
            )
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        subject = self._subject(originator_id)
        versions = sorted(
            (int(found.rpartition(".")[2]) for found in self._stream.subjects(f"{subject}.*")), reverse=desc
        )
        wanted = [v for v in versions if (gt is None or v > gt) and (lte is None or v <= lte)]
        events = []
        for version in wanted[:limit]:
            message = self._stream.last(f"{subject}.{version}")
            if message is not None:
                record = record_in(self._stream.name, message)
                events.append(StoredEvent(originator_id, record.version, record.topic, record.state))
        return events

    def _subject(self, originator_id: UUID | str) -> str:
        return f"{self._prefix}.{token_of(originator_id)}"

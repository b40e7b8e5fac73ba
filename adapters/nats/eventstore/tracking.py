"""Recorders of how far a projection has come: alone, or together with the events it led to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import ProcessRecorder, StoredEvent, Tracking, TrackingRecorder

from ..records import encode_record
from .appending import Entry, Order
from .messages import record_in
from .recorders import JetStreamApplicationRecorder
from .stream import EventStream
from .tokens import token_of

_TOPIC = "tracking"


class JetStreamTrackingRecorder(TrackingRecorder):
    """Stores the processed positions of each application at `<prefix>.<token of its name>`, as record versions.

    >>> import os
    >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "labels-2"})
    >>> recorder: JetStreamTrackingRecorder = factory.tracking_recorder()
    >>> factory.close()
    """

    def __init__(self, stream: EventStream, prefix: str) -> None:
        self._tracking_stream = stream
        self._tracking_prefix = prefix

    def insert_tracking(self, tracking: Tracking) -> None:
        """Note that an event was processed. Errors: IntegrityError if it, or a later one, was noted before.

        >>> import os
        >>> from eventsourcing.persistence import Tracking
        >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "labels-3"})
        >>> factory.tracking_recorder().insert_tracking(Tracking("Depot", 7))
        >>> factory.tracking_recorder().insert_tracking(Tracking("Depot", 7))
        Traceback (most recent call last):
        eventsourcing.persistence.IntegrityError: ...
        >>> factory.close()
        """
        self._tracking_stream.append([self._tracking_entry(tracking)])

    def max_tracking_id(self, application_name: str) -> int | None:
        """Return the position of the last event of an application that was processed; None for none.

        >>> import os
        >>> from eventsourcing.persistence import Tracking
        >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "labels-4"})
        >>> factory.tracking_recorder().insert_tracking(Tracking("Depot", 7))
        >>> factory.tracking_recorder().max_tracking_id("Depot")
        7
        >>> factory.close()
        """
        message = self._tracking_stream.last(self._tracking_subject(application_name))
        return None if message is None else record_in(self._tracking_stream.name, message).version

    def _tracking_subject(self, application_name: str) -> str:
        return f"{self._tracking_prefix}.{token_of(application_name)}"

    def _tracking_entry(self, tracking: Tracking) -> Entry:
        position = tracking.notification_id
        subject = self._tracking_subject(tracking.application_name)
        return Entry(subject, position, encode_record(position, _TOPIC, b""), Order.RISING)


class JetStreamProcessRecorder(JetStreamTrackingRecorder, JetStreamApplicationRecorder, ProcessRecorder):
    """Stores events together with the position they follow from, in one stream: only so can both be atomic.

    Tracking messages take positions too, so notification ids rise but are not gapless here.
    """

    def __init__(self, stream: EventStream, prefix: str, tracking_prefix: str) -> None:
        JetStreamTrackingRecorder.__init__(self, stream, tracking_prefix)
        JetStreamApplicationRecorder.__init__(self, stream, prefix)

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is None:
            return super().insert_events(stored_events)
        first = self._stream.append([*self._entries(stored_events), self._tracking_entry(tracking)])
        return list(range(first, first + len(stored_events)))

    def max_notification_id(self) -> int | None:
        message = self._stream.last(f"{self._prefix}.*")
        return None if message is None else message.position

    @property
    def _all_events(self) -> str | None:
        return f"{self._prefix}.*"

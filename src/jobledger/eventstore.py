"""NATS JetStream as the persistence module of the `eventsourcing` library, for applications of any kind.

>>> import os
>>> from uuid import uuid4
>>> from eventsourcing.application import Application
>>> from eventsourcing.domain import Aggregate, event
>>> class Parcel(Aggregate):
...     @event("Posted")
...     def __init__(self, to: str) -> None:
...         self.to = to
>>> class Depot(Application):
...     pass
>>> env = {
...     "PERSISTENCE_MODULE": "jobledger.eventstore",
...     "NATS_URL": os.environ["JOBLEDGER_URL"],
...     "NATS_STREAM": f"depot-{uuid4()}",
... }
>>> with Depot(env) as depot:
...     parcel = Parcel("Oslo")
...     _ = depot.save(parcel)
...     depot.repository.get(parcel.id).to
'Oslo'

`JetStreamFactory` is what the library makes of these settings, `MsgspecMapper` is for events that are msgspec Structs, and
views that are to be kept on the server derive from `JetStreamTrackingRecorder`. All about it: docs/eventsourcing.md.
Importing this module imports the library, which changes `dataclasses` for the whole process.
"""

from __future__ import annotations

from jobledger.adapters.nats.eventstore import JetStreamFactory, MsgspecMapper
from jobledger.adapters.nats.eventstore.tracking import JetStreamTrackingRecorder

__all__ = ["JetStreamFactory", "JetStreamTrackingRecorder", "MsgspecMapper"]


def __dir__() -> list[str]:
    return __all__

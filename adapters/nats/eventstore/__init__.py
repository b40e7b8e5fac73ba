"""JetStream as a persistence module of the eventsourcing library: `PERSISTENCE_MODULE=jobledger.eventstore`.

Synchronous throughout, as the library is; it reads and writes the same bytes as the engine's own append. Beside this
package, nothing in jobledger imports eventsourcing: importing its domain module changes `dataclasses` process-wide.

From environment to bytes: `factory` makes a `bridge` to the server and, per stream, a `stream`; `recorders`,
`snapshots` and `tracking` turn stored events into entries, which `appending` writes where nobody else has written;
`reading` and `following` get them back. `mapper` is for events that are msgspec Structs.
"""

from .factory import JetStreamFactory
from .mapper import MsgspecMapper

__all__ = ["JetStreamFactory", "MsgspecMapper"]

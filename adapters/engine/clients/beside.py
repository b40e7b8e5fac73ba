"""The streams beside the log that are otherwise made when they are first used, by whoever does: where users have few
rights, the engine makes them."""

from __future__ import annotations

from ...nats import clusters, values
from ...nats.buckets import make_key_value, make_object_store
from ...nats.names import Names
from ...nats.wire import Wire
from ...sealing import nats_keys
from ...telemetry import store as telemetry


async def make_streams(client: Wire, names: Names) -> None:
    """Make those that are not there. Errors: as `ensure_beside_log`."""
    await clusters.make_stream(client, names)
    await values.make_stream(client, names)
    await make_object_store(client, names, names.objects_bucket)
    await make_key_value(client, names, names.reuse_bucket)
    await make_key_value(client, names, names.subscriptions_bucket)
    await nats_keys.make_bucket(client, names)
    await telemetry.ensure(client, names)

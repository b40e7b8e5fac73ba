"""The object store and the key-value buckets that stand beside the log: made on first use, as durable as it is."""

from __future__ import annotations

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from .names import Names
from .streams import ensure_beside_log
from .wire import Wire


def object_store(bucket: str) -> str:
    """Return the stream of an object store."""
    return f"OBJ_{bucket}"


def key_value(bucket: str) -> str:
    """Return the stream of a key-value bucket."""
    return f"KV_{bucket}"


async def make_object_store(client: Wire, names: Names, bucket: str) -> None:
    """Make an object store, or check the one that exists. Errors: as `ensure_beside_log`."""
    await ensure_beside_log(
        client, names, kept(object_store(bucket), [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"])
    )


async def make_key_value(client: Wire, names: Names, bucket: str) -> None:
    """Make a bucket that keeps the last value of each key, or check the one there is. Errors: as `ensure_beside_log`."""
    settings = kept(key_value(bucket), [f"$KV.{bucket}.>"])
    settings.max_msgs_per_subject, settings.deny_delete = 1, True
    await ensure_beside_log(client, names, settings)


def kept(stream: str, subjects: list[str]) -> StreamConfig:
    """Return the settings of a stream that forgets nothing by itself."""
    return StreamConfig(
        name=stream,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_age=0,
        max_msgs=-1,
        max_bytes=-1,
        max_msgs_per_subject=-1,
        allow_direct=True,
        allow_rollup_hdrs=True,
    )

"""All streams of a namespace are held by as many servers as its log: what was made before the log was is raised to that.

A projector, or whoever made a cluster, may have come before the first engine, and an engine may be started with more
`--replicas` than there were: the server copies what is stored while it goes on serving.
"""

from __future__ import annotations

import asyncio
import logging

import nats.errors

from jobledger.core.errors import JobLedgerError

from .asking import STREAM_NOT_FOUND, JetStreamError, jetstream
from .buckets import key_value, object_store
from .names import Names
from .wire import Wire

log = logging.getLogger(__name__)

_PAUSE = 2.0  # seconds before a stream without a leader is looked at again


def streams_of(names: Names) -> list[str]:
    """Return every stream that a namespace may have: the log, and what is made beside it on first use.

    >>> streams_of(Names("default"))[:2]
    ['jobledger-default-log', 'jobledger-default-clusters']
    """
    buckets = (
        names.engines_bucket,
        names.checkpoints_bucket,
        names.reuse_bucket,
        names.subscriptions_bucket,
        names.keys_bucket,
    )
    return [
        names.log_stream,
        names.clusters_stream,
        names.cache_stream,
        names.telemetry_stream,
        names.feed_stream,
        object_store(names.objects_bucket),
        *map(key_value, buckets),
    ]


async def hold_alike(client: Wire, names: Names, replicas: int) -> None:
    """Have each stream of the namespace that exists held by `replicas` servers at least; do not give up.

    What a server cannot do now is told in the log: the namespace can be served all the same.
    """
    for stream in streams_of(names):
        while not await _held(client, stream, replicas):
            await asyncio.sleep(_PAUSE)


async def _held(client: Wire, stream: str, replicas: int) -> bool:
    """Return whether nothing is left to be done about this one."""
    try:
        config = (await jetstream(client, f"STREAM.INFO.{stream}", {}))["config"]
        held, config["num_replicas"] = config["num_replicas"], replicas
        if held < replicas:
            await jetstream(client, f"STREAM.UPDATE.{stream}", config)
            log.info("the stream %s is held by %d servers now, not by %d", stream, replicas, held)
    except JetStreamError as error:
        if error.code != STREAM_NOT_FOUND:
            log.warning("the stream %s is not held by %d servers: %s", stream, replicas, error)
    except (JobLedgerError, nats.errors.Error, OSError) as error:
        log.info("the stream %s cannot be looked at yet: %s", stream, error)
        return False
    return True

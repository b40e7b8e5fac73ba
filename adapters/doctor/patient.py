"""What checks look at: asked once, before the first of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats.errors

from jobledger.core.errors import JobLedgerError, ServerAway, ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from ..embedded.folder import DataFolder
from ..feed.protocol import PublisherStatus
from ..nats.asking import STREAM_NOT_FOUND, JetStreamError, ask, jetstream
from ..nats.buckets import key_value, object_store
from ..nats.names import Names
from ..nats.wire import Wire
from ..views.protocol import ViewStatus
from .servers import Clock, Servers


@dataclass(frozen=True)
class Following:
    """Those who follow the log, as they answered."""

    views: list[ViewStatus] = field(default_factory=list)
    feed_position: int = 0  #: of the log, up to which the feed was published
    publishers: list[PublisherStatus] = field(default_factory=list)


@dataclass(frozen=True)
class Patient:
    """One namespace, and the servers that hold it."""

    client: Wire
    names: Names
    servers: Servers
    streams: dict[str, dict[str, Any]]  #: what JetStream tells of each stream of the namespace that there is
    silent: dict[str, str]  #: streams of which it does not tell, with the reason
    denied: tuple[str, ...]  #: streams of which this user may not be told
    clock: (
        Clock | None
    )  #: of the server that the client is connected to; None where all servers told theirs, or none
    following: Following
    folder: DataFolder | None  #: of the embedded server

    @property
    def log(self) -> dict[str, Any] | None:
        """What JetStream tells of the log."""
        return self.streams.get(self.names.log_stream)

    @property
    def last(self) -> int:
        """The position of the newest commit."""
        return self.log["state"]["last_seq"] if self.log else 0


def streams_of(names: Names) -> tuple[str, ...]:
    """Return all streams that a namespace can have, the log first."""
    buckets = (
        names.checkpoints_bucket,
        names.engines_bucket,
        names.reuse_bucket,
        names.subscriptions_bucket,
        names.keys_bucket,
    )
    return (
        names.log_stream,
        names.clusters_stream,
        object_store(names.objects_bucket),
        *map(key_value, buckets),
        names.cache_stream,
        names.feed_stream,
        names.telemetry_stream,
    )


async def meet(
    client: Wire, names: Names, servers: Servers, following: Following, folder: DataFolder | None
) -> Patient:
    """Return what there is to look at."""
    streams, silent, denied = {}, {}, []
    for stream in streams_of(names):  # one by one: a refusal does not say what it is the answer to
        try:
            streams[stream] = await jetstream(client, f"STREAM.INFO.{stream}", {})
        except JetStreamError as error:
            if error.code != STREAM_NOT_FOUND:
                silent[stream] = str(error)
        except ServerAway as error:
            silent[stream] = str(error)
        except ServerUnavailable:
            denied.append(stream)
            if stream == names.log_stream:
                break  # there is no more to be learned
    clock = None if servers.facts else await _clock(client)
    return Patient(client, names, servers, streams, silent, tuple(denied), clock, following, folder)


class _Told(msgspec.Struct):
    time: datetime


class _UserInfo(msgspec.Struct):
    server: _Told


async def _clock(client: Wire) -> Clock | None:
    """Return what the clock of the connected server shows: any user may ask who it is, and is told when."""
    asked = time.time()
    try:
        answer = await ask(client, "$SYS.REQ.USER.INFO", b"", timeout=1.0)
        told = msgspec.json.decode(answer.data, type=_UserInfo).server.time
    except (JobLedgerError, nats.errors.Error, *UNDECODABLE):
        return None
    return Clock(asked, told.astimezone(UTC).timestamp(), time.time())

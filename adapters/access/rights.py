"""The one table of rights: what each role may do. Everything else is made from it: the server's configuration, what the
engine passes on, `jobledger access show`, and the tables in docs/security.md.

A role has rights on subjects, which the server checks, and rights on streams. Those that are trusted use these by asking
JetStream; the others by way of the engine, which checks them (`gatekeeping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from ..nats.buckets import key_value, object_store
from ..nats.names import Names
from .identity import Identity, Role


class Op(StrEnum):
    """What can be done with a stream."""

    INFO = "info"  #: how it is set, and how much it holds
    LIST = "list"  #: which subjects it holds
    READ = "read"
    FOLLOW = "follow"  #: read on as it grows
    WRITE = "write"
    PURGE = "purge"


class Kept(StrEnum):
    """What is kept in streams of a namespace."""

    LOG = "log"
    CLUSTERS = "clusters"
    OBJECTS = "objects"
    CACHE = "cache"
    REUSE = "reuse"
    KEYS = "keys"
    TELEMETRY = "telemetry"
    FEED = "feed"
    BOOKMARKS = "bookmarks"


class Stream(NamedTuple):
    """A stream, and what its subjects begin with."""

    name: str
    prefix: str


def streams(names: Names) -> Mapping[Kept, Stream]:
    """Return the streams of a namespace that others than engines may have rights on."""
    return _streams(names.namespace)


@lru_cache
def _streams(namespace: str) -> Mapping[Kept, Stream]:
    names = Names(namespace)
    return {
        Kept.LOG: Stream(names.log_stream, f"{names.log_prefix}."),
        Kept.CLUSTERS: Stream(names.clusters_stream, names.cluster_subject("")),
        Kept.OBJECTS: Stream(object_store(names.objects_bucket), f"$O.{names.objects_bucket}."),
        Kept.CACHE: Stream(names.cache_stream, f"{names.cache}."),
        Kept.REUSE: Stream(key_value(names.reuse_bucket), f"$KV.{names.reuse_bucket}."),
        Kept.KEYS: Stream(key_value(names.keys_bucket), f"$KV.{names.keys_bucket}."),
        Kept.TELEMETRY: Stream(names.telemetry_stream, names.telemetry_subject("")),
        Kept.FEED: Stream(names.feed_stream, f"{names.feed_prefix}."),
        Kept.BOOKMARKS: Stream(key_value(names.subscriptions_bucket), f"$KV.{names.subscriptions_bucket}."),
    }


_INFO = frozenset({Op.INFO})
_READ = frozenset({Op.INFO, Op.LIST, Op.READ})
_FOLLOW = _READ | {Op.FOLLOW}
_CHANGE = _READ | {Op.WRITE, Op.PURGE}
_ADD = _INFO | {Op.WRITE}

#: rights on streams. Those of runners are narrower than that: see `gatekeeping.bound_job`
STREAM_RIGHTS: Mapping[Role, Mapping[Kept, frozenset[Op]]] = {
    Role.CLIENT: {
        Kept.LOG: _FOLLOW,
        Kept.CLUSTERS: _READ | {Op.WRITE},
        Kept.OBJECTS: _CHANGE,
        Kept.CACHE: _CHANGE,
        Kept.KEYS: _READ | {Op.WRITE},
        Kept.TELEMETRY: _READ,
        Kept.FEED: _FOLLOW,
        Kept.BOOKMARKS: _READ | {Op.WRITE},
    },
    Role.RUNNER: {
        Kept.LOG: _INFO,
        Kept.CLUSTERS: _INFO | {Op.READ},
        Kept.OBJECTS: _CHANGE - {Op.LIST},
        Kept.CACHE: _CHANGE,
        Kept.REUSE: _INFO | {Op.READ},
        Kept.KEYS: _INFO | {Op.READ},
        Kept.TELEMETRY: _ADD,
    },
    Role.AUDITOR: {
        Kept.LOG: _FOLLOW,
        Kept.CLUSTERS: _READ,
        Kept.OBJECTS: _READ,
        Kept.TELEMETRY: _READ,
        Kept.FEED: _FOLLOW,
    },
    Role.SUBSCRIBER: {Kept.LOG: _INFO, Kept.FEED: _FOLLOW},
    Role.METRICS: {Kept.LOG: _INFO},
    Role.PROJECTOR: {Kept.LOG: _FOLLOW},
    Role.PUBLISHER: {Kept.LOG: _FOLLOW, Kept.OBJECTS: _READ, Kept.FEED: _CHANGE},
}


class Subjects(NamedTuple):
    """What a user may publish, and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def _of_runner(names: Names, who: Identity) -> Subjects:
    speech = [
        f"{names.prefix}.{kind}{part}.{who.cluster}.{who.user}.*"
        for kind in ("exchange", "heartbeat", "results")
        for part in ("", ".*")
    ]
    return Subjects(tuple(speech), (names.halted(who.cluster), names.cluster_subjects))


def _of_client(names: Names, who: Identity) -> Subjects:
    asks = [names.command, f"{names.command}.*", f"{names.api}.>", names.query, names.views]
    asks += [names.metrics, names.feed_publishers, "$SRV.>"]
    return Subjects(tuple(asks), (names.cluster_subjects, names.telemetry_subjects))


def _of_auditor(names: Names, who: Identity) -> Subjects:
    asks = (names.query, names.views, names.metrics, names.feed_publishers)
    return Subjects(asks, (names.cluster_subjects, names.telemetry_subjects))


def _of_engine(names: Names, who: Identity) -> Subjects:
    asked = (
        *("command", "exchange", "heartbeat", "results", "gate", "api"),
        *("hello", "farewell", "engine", "metrics"),
    )
    listens = tuple(f"{names.prefix}.{kind}{rest}" for kind in asked for rest in ("", ".>"))
    return Subjects((f"{names.prefix}.>", "_INBOX.>"), (*listens, names.cluster_subjects, "$SRV.>"))


def _of_operator(names: Names, who: Identity) -> Subjects:
    as_client = _of_client(names, who)
    return Subjects((*as_client.publish, names.feed_switch), as_client.subscribe)


_SUBJECTS = {
    Role.RUNNER: _of_runner,
    Role.CLIENT: _of_client,
    Role.AUDITOR: _of_auditor,
    Role.SUBSCRIBER: lambda names, who: Subjects((names.feed_publishers,), (names.feed_subjects,)),
    Role.METRICS: lambda names, who: Subjects((names.metrics,), ()),
    Role.ENGINE: _of_engine,
    Role.PROJECTOR: lambda names, who: Subjects(("_INBOX.>",), (names.query, names.views, names.metrics)),
    Role.PUBLISHER: lambda names, who: Subjects(("_INBOX.>",), (names.feed_publishers, names.metrics)),
    Role.OPERATOR: _of_operator,
}


def subjects(names: Names, who: Identity) -> Subjects:
    """Return what the server is to let this user publish and subscribe to."""
    publish, subscribe = _SUBJECTS[who.role](names, who)
    if who.role.trusted:
        publish += tuple(_jetstream(names, who.role))
    else:
        publish += (f"{names.gate}.{who.tokens}", f"{names.gate}.*.{who.tokens}")
    return Subjects(publish, (f"{who.inbox}.>", names.hello, names.farewell, *subscribe))


def _jetstream(names: Names, role: Role) -> list[str]:
    """Return what a trusted role asks JetStream on."""
    api = "$JS.API"
    asks = [f"{api}.INFO"]
    if role in (Role.ENGINE, Role.OPERATOR):
        own = {Stream(key_value(bucket), f"$KV.{bucket}.") for bucket in _engines_own(names)}
        for stream in sorted({*streams(names).values(), *own}):
            verbs = ["INFO", "CREATE", "UPDATE"]
            if role is Role.OPERATOR:
                verbs.append("DELETE")
            if stream.name != names.log_stream:
                verbs.append("PURGE")
            if role is Role.ENGINE or stream.name != names.log_stream:
                asks.append(f"{stream.prefix}>")
            asks += [f"{api}.STREAM.{verb}.{stream.name}" for verb in verbs]
            asks += [
                f"{api}.STREAM.MSG.*.{stream.name}",
                f"{api}.DIRECT.GET.{stream.name}",
                f"{api}.DIRECT.GET.{stream.name}.>",
                f"{api}.CONSUMER.*.{stream.name}",
                f"{api}.CONSUMER.*.{stream.name}.>",
                f"{api}.CONSUMER.MSG.NEXT.{stream.name}.*",
            ]
        return asks
    for kept, ops in STREAM_RIGHTS[role].items():
        stream = streams(names)[kept]
        asks += [f"{api}.STREAM.INFO.{stream.name}"]
        if kept is Kept.LOG:  # whoever comes first makes it
            asks.append(f"{api}.STREAM.CREATE.{stream.name}")
        if Op.READ in ops:
            asks += [f"{api}.STREAM.MSG.GET.{stream.name}", f"{api}.DIRECT.GET.{stream.name}"]
            asks += [f"{api}.DIRECT.GET.{stream.name}.>"]
        if Op.FOLLOW in ops:
            asks.append(f"{api}.CONSUMER.CREATE.{stream.name}")
            asks += [f"{api}.CONSUMER.{what}.{stream.name}.>" for what in ("CREATE", "DELETE", "MSG.NEXT")]
        if Op.WRITE in ops:
            asks.append(f"{stream.prefix}>")
            asks += [f"{api}.STREAM.{verb}.{stream.name}" for verb in ("CREATE", "UPDATE", "DELETE")]
    return asks


def _engines_own(names: Names) -> tuple[str, ...]:
    return names.engines_bucket, names.checkpoints_bucket

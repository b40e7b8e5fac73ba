"""What a stream must be set to, so that the log keeps its promises; and making sure that it is.

A stream that loses old messages, lets others delete, or drops on overflow instead of refusing would still look like
a log until the day it is replayed. So settings are checked whenever a stream is opened, not only when it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from jobledger.core.errors import ServerAway, ServerUnsuitable

from .asking import STREAM_NOT_FOUND, JetStreamError, denied, is_denied, jetstream
from .names import Names
from .partitions import MOST_PARTITIONS
from .wire import Wire

_IN_USE_WITH_OTHER_SETTINGS = 10058
#: the status code, as of HTTP, of a server that ends, just starts, or has no leader
_AWAY_FOR_NOW = 503
#: in the metadata of a log's stream: into how many partitions its jobs are divided
_PARTITIONS = "jobledger-partitions"

#: compared with an existing stream. Not among them: `max_bytes` and `max_msg_size` (an operator's choice; a full log
#: refuses, it never forgets), placement, compression, and `num_replicas`, of which there may be more than asked for
_CHECKED = (
    "subjects",
    "storage",
    "retention",
    "discard",
    "discard_new_per_subject",
    "max_age",
    "max_msgs",
    "max_msgs_per_subject",
    "allow_direct",
    "allow_atomic",
    "allow_msg_ttl",
    "allow_rollup_hdrs",
    "deny_delete",
    "deny_purge",
    "no_ack",
    "sealed",
    "subject_transform",
    "mirror",
    "sources",
)


class StreamSettingsError(ServerUnsuitable):
    """A stream cannot be made, or exists with settings under which it could not be trusted."""


def log_settings(stream: str, subjects: list[str], *, replicas: int = 1) -> StreamConfig:
    """Return the settings of a stream that keeps every message it has acknowledged, in order, for good."""
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
        allow_atomic=True,
        allow_msg_ttl=False,
        deny_delete=True,
        deny_purge=True,
        num_replicas=replicas,
    )


async def ensure_log(js: JetStreamContext, names: Names, replicas: int = 1) -> None:
    """Make the namespace's log stream, or check the one that exists.

    Errors: StreamSettingsError, naming the setting that differs.
    """
    await ensure_stream(js, log_settings(names.log_stream, [names.log_subjects], replicas=replicas))


class Division(NamedTuple):
    """How a log is divided, and among how many servers it is held."""

    partitions: int
    replicas: int


async def ensure_divided(
    js: JetStreamContext,
    names: Names,
    *,
    replicas: int = 1,
    partitions: int | None = None,
    max_bytes: int | None = None,
) -> Division:
    """As `ensure_log`, for an engine: it decides into how many partitions a new log divides its jobs. Return how it is.

    Shape:  `partitions` is how many there have to be; None: as many as there are, 1 in a new log. `max_bytes` is as for
            `limit_log`; None: as it is.
    Errors: StreamSettingsError, also where there are not as many.
    """
    if max_bytes is not None and max_bytes < 0:
        raise StreamSettingsError(f"max_bytes = {max_bytes} is not possible: use 0, for no limit, or more")
    if partitions is not None and not 1 <= partitions <= MOST_PARTITIONS:
        raise StreamSettingsError(f"partitions = {partitions} is not possible: use 1 to {MOST_PARTITIONS}")
    wanted = log_settings(names.log_stream, [names.log_subjects], replicas=replicas)
    wanted.metadata = {_PARTITIONS: str(partitions or 1)}
    log = await ensure_stream(js, wanted)
    if _PARTITIONS not in (log.config.metadata or {}) and not log.state.last_seq:
        # Nobody has used it: it was made by a projector or a publisher of the feed, which do not decide that.
        log.config.metadata = {**(log.config.metadata or {}), **wanted.metadata}
        log = await js.update_stream(log.config)
    if max_bytes is not None:
        await limit_log(js, names, max_bytes)
    found = partitions_of(log.config.metadata)
    if partitions not in (None, found):
        raise StreamSettingsError(
            f"the log {names.log_stream!r} divides its jobs into {found} partitions, not into {partitions}: that is fixed "
            f"when the log is made. Start the engine without the option, or with {found}; for another number use another "
            "namespace"
        )
    return Division(found, log.config.num_replicas or 1)


async def limit_log(js: JetStreamContext, names: Names, max_bytes: int) -> None:
    """Let the log take so many bytes, 0: as many as the server has room for. A smaller limit than what it has takes nothing
    away from it: nothing more comes in.

    Errors: StreamSettingsError, where the server does not set that much aside; those of nats-py.
    """
    log = await js.stream_info(names.log_stream)
    wanted = max_bytes or -1
    if log.config.max_bytes == wanted:
        return
    log.config.max_bytes = wanted
    try:
        await js.update_stream(log.config)
    except APIError as error:
        raise StreamSettingsError(
            f"the log {names.log_stream!r} cannot be limited to {max_bytes:,} bytes: {error.description} (JetStream error "
            f"{error.err_code}). The server, or the account, has to have that much: see max_file_store and max_file in its "
            "configuration"
        ) from error


async def read_partitions(client: Wire, names: Names) -> int:
    """Return into how many partitions the log divides its jobs.

    Errors: ServerAway, also while there is no log; ServerUnavailable when this user may not ask; StreamSettingsError.
    """
    try:
        log = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    except JetStreamError as error:
        if error.code == STREAM_NOT_FOUND:
            raise ServerAway("no engine serves this namespace: it has no log yet") from error
        raise ServerAway(f"the stream {names.log_stream} cannot be looked at: {error}") from error
    return partitions_of(log["config"].get("metadata"))


def partitions_of(metadata: dict[str, str] | None) -> int:
    """Return into how many partitions a log with this metadata divides its jobs: without a word about it, into one.

    Errors: StreamSettingsError where the metadata makes no sense.
    """
    stored = (metadata or {}).get(_PARTITIONS, "1")
    if not (stored.isdecimal() and 1 <= int(stored) <= MOST_PARTITIONS):
        raise StreamSettingsError(
            f"the metadata of the log says {_PARTITIONS} = {stored!r}, which is no number from 1 to {MOST_PARTITIONS}: "
            "it was changed, or is of a later version"
        )
    return int(stored)


async def ensure_beside_log(client: Wire, names: Names, wanted: StreamConfig) -> None:
    """Make another stream of the namespace, held by as many servers as its log, or check the one that exists.

    Errors: StreamSettingsError; ServerAway when no answer comes; ServerUnavailable when this user may not make it.
    """
    try:
        log = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
        wanted.num_replicas = log["config"]["num_replicas"]
    except JetStreamError as error:
        if error.code != STREAM_NOT_FOUND:
            raise ServerAway(f"the stream {names.log_stream} cannot be looked at: {error}") from error
        wanted.num_replicas = 1  # there is no log yet: the first engine raises it, see `replication`
    complaint = client.last_error
    try:
        await ensure_stream(client.jetstream(), wanted)
    except (nats.errors.Error, OSError) as error:
        if client.last_error is not complaint and is_denied(client.last_error):
            raise denied(client.last_error) from error
        raise ServerAway(f"stream {wanted.name!r} was not made: {error or type(error).__name__}") from error


async def ensure_stream(js: JetStreamContext, wanted: StreamConfig) -> StreamInfo:
    """Make the stream, or check that the existing one has the wanted settings. Return it.

    It is never changed, but for being held by more servers where fewer hold it than are wanted.
    Errors: StreamSettingsError, naming the setting that differs.
    """
    assert wanted.name is not None
    try:
        existing = await js.stream_info(wanted.name)
    except NotFoundError:
        try:
            existing = await js.add_stream(wanted)
        except APIError as error:
            if error.err_code != _IN_USE_WITH_OTHER_SETTINGS:
                if error.code == _AWAY_FOR_NOW:
                    raise ServerAway(
                        f"stream {wanted.name!r} cannot be made just now: {error.description}"
                    ) from error
                raise StreamSettingsError(
                    f"stream {wanted.name!r} on subjects {wanted.subjects} cannot be made: {error.description} "
                    f"(JetStream error {error.err_code})"
                ) from error
            # somebody else made it in this very moment
            existing = await js.stream_info(wanted.name)
    _check(existing.config, wanted)
    held = existing.config.num_replicas or 1
    if held < (wanted.num_replicas or 1):
        existing.config.num_replicas = wanted.num_replicas
        try:
            return await js.update_stream(existing.config)
        except APIError as error:
            if error.code == _AWAY_FOR_NOW:
                raise ServerAway(
                    f"stream {wanted.name!r} cannot be changed just now: {error.description}"
                ) from error
            raise StreamSettingsError(
                f"stream {wanted.name!r} has num_replicas = {held}, but must have at least {wanted.num_replicas}, and the server "
                f"does not raise it: {error.description} (JetStream error {error.err_code}). Ask for fewer, or use a cluster "
                "of as many servers"
            ) from error
    return existing


def log_differences(names: Names, settings: StreamConfig) -> list[str]:
    """Return in what these settings of a log differ from those that keep it safe."""
    wanted = log_settings(names.log_stream, [names.log_subjects])
    return [f"{name} = {have!r}, but must be {want!r}" for name, have, want in _differences(settings, wanted)]


def stored_differences(names: Names, settings: dict[str, Any]) -> list[str]:
    """As `log_differences`, for settings as a server stores them."""
    try:
        return log_differences(names, StreamConfig.from_response(settings))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return [f"they cannot be read: {error}"]


def _differences(existing: StreamConfig, wanted: StreamConfig) -> Iterator[tuple[str, object, object]]:
    for setting in _CHECKED:
        want, have = _plain(getattr(wanted, setting)), _plain(getattr(existing, setting))
        if have != want:
            yield setting, have, want


def _check(existing: StreamConfig, wanted: StreamConfig) -> None:
    for setting, have, want in _differences(existing, wanted):
        raise StreamSettingsError(
            f"stream {wanted.name!r} has {setting} = {have!r}, but must have {want!r}: "
            "use another stream, or change the setting where the server allows it (`nats stream edit`); "
            "settings named allow_atomic need nats-server 2.12 or newer"
        )


def _plain(value: object) -> object:
    """Return the value with the several spellings of "not set" made one, and members of an enumeration as they are set."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, list):
        value = sorted(map(str, value))
    return value or None

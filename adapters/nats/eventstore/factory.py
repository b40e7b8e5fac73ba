"""What eventsourcing constructs from the environment when its persistence module is this package.

| variable | meaning | default |
|---|---|---|
| NATS_URL | servers, separated by commas | required |
| NATS_USER, NATS_PASSWORD | login, both or neither | none |
| NATS_TOKEN, NATS_CREDENTIALS, NATS_NKEY | other ways to log in: a token, a .creds file, the seed of an nkey | none |
| NATS_IDENTITY | as in `Endpoint` | none |
| NATS_TLS_CA, NATS_TLS_CERT, NATS_TLS_KEY, NATS_TLS_HOSTNAME | as in `Endpoint` | the system's trust |
| NATS_STREAM | name of the stream that holds the application's events | `es-<application>` |
| NATS_PREFIX | events are at `<prefix>.<originator>` | the stream's name |
| NATS_REPLICAS | copies of each stream | 1 |
| NATS_TIMEOUT | seconds to wait for an answer | 5 |

As everywhere in eventsourcing, `<APPLICATION>_NATS_STREAM` is preferred to `NATS_STREAM`, and so on. Snapshots and
positions of projections are kept beside the events, in streams `<stream>-snapshots` and `<stream>-tracking`; a
process recorder has its positions among its events. Streams are made when first used and never changed.

jobledger's own log is `NATS_STREAM=jobledger-<namespace>-log`, `NATS_PREFIX=jobledger.<namespace>.log`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TypeVar

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic
from nats.js.api import StreamConfig

from jobledger.core.errors import ArgumentError

from ..connection import Endpoint
from ..streams import ensure_stream, log_settings
from .bridge import Bridge
from .recorders import JetStreamAggregateRecorder, JetStreamApplicationRecorder
from .snapshots import JetStreamSnapshotRecorder
from .stream import EventStream
from .tokens import token_of
from .tracking import JetStreamProcessRecorder, JetStreamTrackingRecorder

T = TypeVar("T")
_ENDPOINT_OPTIONS = (
    "user",
    "password",
    "token",
    "credentials",
    "nkey",
    "identity",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_hostname",
)
_STREAM_NAME = re.compile(r"[^\s.*>/\\]{1,200}")
_PREFIX = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")


class JetStreamFactory(InfrastructureFactory[JetStreamTrackingRecorder]):
    """Constructs recorders that share one connection, made with the first of them and closed with the factory.

    Applications make it themselves. Settings: `NATS_URL`, `NATS_STREAM`, `NATS_PREFIX`, … as in docs/eventsourcing.md.
    Errors: OSError for settings that are missing or wrong, OperationalError when the server cannot be reached,
    ProgrammingError when a stream exists with settings under which it could not be trusted.

    >>> import os
    >>> settings = {"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "depot", "NATS_PREFIX": "depot.events"}
    >>> settings |= {"NATS_REPLICAS": "1", "NATS_TIMEOUT": "10"}
    >>> factory = JetStreamFactory(settings)
    >>> factory.application_recorder().max_notification_id()
    >>> factory.close()
    """

    NATS_URL = "NATS_URL"
    NATS_STREAM = "NATS_STREAM"
    NATS_PREFIX = "NATS_PREFIX"
    NATS_REPLICAS = "NATS_REPLICAS"
    NATS_TIMEOUT = "NATS_TIMEOUT"

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self._endpoint = self._read_endpoint()
        self._timeout = float(
            self._read(self.NATS_TIMEOUT, _positive, "5", "a number of seconds greater than 0")
        )
        self._stream_name = self._read_stream_name()
        self._prefix = self._read(
            self.NATS_PREFIX, _PREFIX.fullmatch, self._stream_name, "a subject without wildcards"
        )
        self._replicas = int(
            self._read(self.NATS_REPLICAS, re.compile("[1-5]").fullmatch, "1", "a number from 1 to 5")
        )
        self._bridge: Bridge | None = None
        self._streams: dict[str, EventStream] = {}
        self._lock = threading.RLock()

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Return what stores and finds events, or snapshots.

        >>> import os
        >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "depot-2"})
        >>> factory.aggregate_recorder().select_events("parcel-1"), factory.aggregate_recorder("snapshots")
        ([], <...JetStreamSnapshotRecorder object at ...>)
        >>> factory.close()
        """
        if purpose == "events":
            return JetStreamAggregateRecorder(self._events(), self._prefix)
        prefix = f"{self._prefix}.{token_of(purpose)}"
        settings = log_settings(
            f"{self._stream_name}-{token_of(purpose)}", [f"{prefix}.*.*"], replicas=self._replicas
        )
        return JetStreamSnapshotRecorder(self._stream(settings), prefix)

    def application_recorder(self) -> ApplicationRecorder:
        """Return what stores and finds events, tells all of them in order, and follows those to come.

        >>> import os
        >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "depot-3"})
        >>> factory.application_recorder().select_notifications(start=1, limit=10)
        []
        >>> factory.close()
        """
        recorder_class = self._class(self.APPLICATION_RECORDER_TOPIC, JetStreamApplicationRecorder)
        return recorder_class(self._events(), self._prefix)

    def tracking_recorder(
        self, tracking_recorder_class: type[JetStreamTrackingRecorder] | None = None
    ) -> JetStreamTrackingRecorder:
        """Return what notes how far a projection is.

        >>> import os
        >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "labels"})
        >>> factory.tracking_recorder().max_tracking_id("Depot")
        >>> factory.close()
        """
        recorder_class = tracking_recorder_class or self._class(
            self.TRACKING_RECORDER_TOPIC, JetStreamTrackingRecorder
        )
        settings = log_settings(
            f"{self._stream_name}-tracking", [f"{self._tracking_prefix}.*"], replicas=self._replicas
        ).evolve(max_msgs_per_subject=1)  # only the latest position means anything
        return recorder_class(self._stream(settings), self._tracking_prefix)

    def process_recorder(self) -> ProcessRecorder:
        """Return what stores events together with the position of the event that they follow from.

        >>> import os
        >>> factory = JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "receipts"})
        >>> factory.process_recorder().max_tracking_id("Depot")
        >>> factory.close()
        """
        recorder_class = self._class(self.PROCESS_RECORDER_TOPIC, JetStreamProcessRecorder)
        return recorder_class(self._events(f"{self._tracking_prefix}.*"), self._prefix, self._tracking_prefix)

    def close(self) -> None:
        """Close the connection. Recorders of this factory are of no use then.

        >>> import os
        >>> JetStreamFactory({"NATS_URL": os.environ["JOBLEDGER_URL"], "NATS_STREAM": "depot"}).close()
        """
        with self._lock:
            bridge, self._bridge = self._bridge, None
            self._streams.clear()
        if bridge is not None:
            bridge.close()

    @property
    def _tracking_prefix(self) -> str:
        return f"{self._prefix}.tracking"

    def _events(self, *further_subjects: str) -> EventStream:
        subjects = [f"{self._prefix}.*", *further_subjects]
        return self._stream(log_settings(self._stream_name, subjects, replicas=self._replicas))

    def _stream(self, settings: StreamConfig) -> EventStream:
        assert settings.name is not None
        with self._lock:
            if self._bridge is None:
                self._bridge = Bridge(
                    self._endpoint, name=f"eventsourcing {self.env.name}".strip(), timeout=self._timeout
                )
            self._bridge.run(ensure_stream(self._bridge.link.js, settings))
            if settings.name not in self._streams:
                self._streams[settings.name] = EventStream(
                    self._bridge, settings.name, replicas=self._replicas
                )
            return self._streams[settings.name]

    def _class(self, key: str, default: type[T]) -> type[T]:
        topic = self.env.get(key)
        cls: type[T] = resolve_topic(topic) if topic else default
        if not issubclass(cls, default):
            raise OSError(
                f"{key} names {cls.__qualname__}, which does not derive from {default.__qualname__}"
            )
        return cls

    def _read_endpoint(self) -> Endpoint:
        url = self.env.get(self.NATS_URL)
        if not url:
            raise OSError(
                f"no NATS server is named: set {' or '.join(self.env.create_keys(self.NATS_URL))}, "
                "for example to nats://127.0.0.1:4222"
            )
        options = {option: self.env.get(f"NATS_{option.upper()}") or None for option in _ENDPOINT_OPTIONS}
        try:
            return Endpoint(url, **options)
        except ArgumentError as error:
            raise OSError(f"{self.NATS_URL} or what goes with it is wrong: {error}") from error

    def _read_stream_name(self) -> str:
        default = f"es-{token_of(self.env.name)}" if self.env.name else ""
        return self._read(
            self.NATS_STREAM,
            _STREAM_NAME.fullmatch,
            default,
            "a stream name: no spaces, dots, wildcards or slashes",
        )

    def _read(self, key: str, is_valid: Callable[[str], object], default: str, expected: str) -> str:
        value = self.env.get(key) or default
        if not is_valid(value):
            raise OSError(f"{' or '.join(self.env.create_keys(key))} is {value!r}, but must be {expected}")
        return value


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False

"""What an engine is told besides where it serves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..metrics import http
    from ..sealing.keys import KeyStore

DEFAULT_LEASE = 15.0  # seconds; long enough for a runner's machine to swap or to stop for a collection


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How an engine is to serve. Every one of these has a default that suits a server of one's own."""

    lease: float = DEFAULT_LEASE  #: seconds a runner may be silent before its claims expire
    takeover: bool = False  #: own the namespace at once: for who knows that the engine before is dead
    partitions: int | None = None  #: into how many a new log is divided: as for `ensure_divided`
    replicas: int = 1  #: how many servers are to hold the log, at least
    max_bytes: int | None = None  #: the most that a log may hold: as for `ensure_divided`
    folder: str | os.PathLike[str] | None = None
    """Where the server keeps the log, for who knows: new jobs are then refused before the disk is full."""
    metrics: http.Endpoint | None = None  #: where this process tells over HTTP what it has counted
    keys: KeyStore | None = None  #: keys of sealed jobs, besides those on the NATS server


DEFAULTS = EngineOptions()

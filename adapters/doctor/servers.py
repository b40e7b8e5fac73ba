"""What servers tell of themselves, to those who may ask: over their system account, or over HTTP.

How a server syncs its files is part of its configuration, and no client of an ordinary account is told of that. A user of
the system account asks all servers of a cluster at once; the monitoring address of a server tells of that one alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import nats.errors
from nats.aio.msg import Msg

from jobledger.core.errors import ArgumentError, ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from ..nats.connection import open_connection
from ..nats.endpoint import Endpoint
from ..nats.wire import Wire

_ANSWER = 2.0  # seconds in which all servers must have answered
_STATUS, _VARIABLES = "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.VARZ"


class _Config(msgspec.Struct):
    max_storage: int = -1
    store_dir: str = ""
    sync_interval: int = 0  # ns
    sync_always: bool = False


class _Stats(msgspec.Struct):
    storage: int = 0


class _JetStream(msgspec.Struct):
    config: _Config | None = None
    stats: _Stats | None = None


class _Variables(msgspec.Struct):
    server_name: str
    version: str
    now: datetime
    jetstream: _JetStream


class _Answer(msgspec.Struct):
    data: _Variables


class _Counted(msgspec.Struct):
    active_servers: int = 1


class _Status(msgspec.Struct):
    statsz: _Counted


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_variables = msgspec.json.Decoder(_Variables).decode
_decode_status = msgspec.json.Decoder(_Status).decode


class Clock(NamedTuple):
    """What a clock showed at some moment between two of this one. Units: seconds since 1970."""

    asked: float
    shown: float
    answered: float

    @property
    def ahead(self) -> float:
        """By how many seconds it is ahead of this one at least; negative where it is behind, 0 where nothing is certain."""
        return max(0.0, self.shown - self.answered) + min(0.0, self.shown - self.asked)


class ServerFacts(NamedTuple):
    """One server, by its own account."""

    name: str
    version: str
    synced: bool  #: it syncs what it stores before it acknowledges it
    interval: float  #: seconds after which it does otherwise
    store: str  #: the folder
    limit: int  #: bytes its streams may take in all; -1 for no limit
    used: int  #: bytes they take
    clock: Clock


class Servers(NamedTuple):
    """What is known of servers."""

    facts: tuple[ServerFacts, ...]
    why_not: str = ""  #: why there is nothing, or not all


class Inspection(NamedTuple):
    """How servers can be asked."""

    system: Endpoint | None = None  #: with the login of a user of their system account
    monitoring: tuple[str, ...] = ()  #: addresses such as http://host:8222


async def ask_servers(inspection: Inspection) -> Servers:
    """Return what servers tell of themselves. Errors: ArgumentError for a monitoring address that cannot be one."""
    found = Servers((), "clients of this account are not told how servers are configured")
    if inspection.system is not None:
        found = await _over_system_account(inspection.system)
    if inspection.monitoring and not found.facts:
        found = await _over_http(inspection.monitoring)
    return found


async def _over_system_account(endpoint: Endpoint) -> Servers:
    try:
        client = await open_connection(endpoint, name="jobledger doctor", timeout=3.0)
    except ServerUnavailable as error:
        return Servers((), f"the system account cannot be used: {error}")
    try:
        counted = await _gather(client, _STATUS, 1)
        if not counted:
            return Servers((), f"this login is not of the system account: nobody answers on {_STATUS}")
        number = max(_decode_status(data).statsz.active_servers for _, data, _ in counted)
        facts = []
        for asked, data, answered in await _gather(client, _VARIABLES, number):
            with contextlib.suppress(*UNDECODABLE):  # a server without JetStream holds nothing
                facts.append(_facts(_decode_answer(data).data, asked, answered))
    finally:
        await client.close()
    return Servers(tuple(sorted(facts)), "" if facts else "no server answered what its settings are")


async def _gather(client: Wire, subject: str, number: int) -> list[tuple[float, bytes, float]]:
    """Return so many answers, or those that come in time: when they were asked for, what they are, when they came."""
    found: list[tuple[float, bytes, float]] = []
    enough = asyncio.Event()
    asked = time.time()

    async def answered(message: Msg) -> None:
        if message.data:  # not the server's word that nobody listens
            found.append((asked, message.data, time.time()))
        if not message.data or len(found) >= number:
            enough.set()

    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=answered)
    try:
        await client.publish(subject, b"", reply=inbox)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                await enough.wait()
    finally:
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()
    return found


async def _over_http(addresses: Sequence[str]) -> Servers:
    answers = await asyncio.gather(*(asyncio.to_thread(_fetched, address) for address in addresses))
    facts = tuple(sorted(one for one in answers if isinstance(one, ServerFacts)))
    return Servers(facts, "; ".join(one for one in answers if isinstance(one, str)))


def _fetched(address: str) -> ServerFacts | str:
    if not address.startswith(("http://", "https://")):
        raise ArgumentError(
            f"{address!r:.100} is no monitoring address: write http://host:8222, as `http_port` of the server has it"
        )
    asked = time.time()
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/varz", timeout=_ANSWER) as answer:
            return _facts(_decode_variables(answer.read()), asked, time.time())
    except (OSError, *UNDECODABLE) as error:
        return f"{address} does not tell: {error}"


def _facts(told: _Variables, asked: float, answered: float) -> ServerFacts:
    config, stats = told.jetstream.config or _Config(), told.jetstream.stats or _Stats()
    return ServerFacts(
        told.server_name,
        told.version,
        config.sync_always,
        config.sync_interval / 1e9,
        config.store_dir,
        config.max_storage,
        stats.storage,
        Clock(asked, told.now.astimezone(UTC).timestamp(), answered),
    )

"""Why a cluster of NATS servers takes nothing: found out once nobody has answered, and told in words.

JetStream takes a message once most of the servers that hold its stream have it. While fewer run, nothing is lost and
nothing goes on, and it says little: requests are not answered, or by nobody being there.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import nats.errors

from jobledger.core.errors import JobLedgerError, NoQuorum

from .asking import STREAM_NOT_FOUND, JetStreamError, jetstream
from .endpoint import DEFAULT_PORT
from .names import Names
from .wire import Wire

_ANSWER = 1.0  # seconds for an answer of JetStream
_SILENT = 3_000_000_000  # nanoseconds: those that hold a stream together hear of each other every second
_KNOCK = 0.5  # seconds for a server to take a connection


async def missing_quorum(client: Wire, names: Names) -> NoQuorum | None:
    """Return what is wrong where the log has no leader for want of servers; None where something else is wrong.

    Takes up to a second. For those whom nobody has answered: it connects to each of the servers.
    """
    known = len(_addresses(client))
    if known == 1 or not client.is_connected:
        return None  # a server alone needs no others; and that it is away, whoever asked knows
    holders, found = await asyncio.gather(_holders(client, names), without_leader(client, names.log_stream))
    if holders == 0:
        return found
    # Of those that hold the log, as far as can be told: one that has just lost the others leads on for some seconds.
    return found if holders in (None, known) and 2 * len(found.missing) > known else None


async def without_leader(client: Wire, what: str) -> NoQuorum:
    """Return the error that says that `what` has no leader, and which servers do not answer."""
    known = _addresses(client)
    there = await asyncio.gather(*(_takes_connections(host, port) for host, port in known))
    absent = [f"{host}:{port}" for (host, port), found in zip(known, there, strict=True) if not found]
    if absent:
        told = f"of {len(known)} NATS servers, {', '.join(absent)} {'does' if len(absent) == 1 else 'do'} not answer"
    else:
        told = "its servers are electing one, or cannot reach each other"
    return NoQuorum(
        f"{what} has no leader: {told}. Most of the servers that hold it have to run. Nothing that was acknowledged is lost, and "
        "work goes on by itself once they do",
        missing=absent,
    )


def _addresses(client: Wire) -> list[tuple[str, int]]:
    """Return the servers that were named, and those that the cluster told of."""
    return sorted({(one.hostname or "", one.port or DEFAULT_PORT) for one in client.servers})


async def _takes_connections(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_KNOCK):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _holders(client: Wire, names: Names) -> int | None:
    """Return how many servers hold the log; 0 where most of them cannot be reached by its leader, or there is none; None where
    nobody can say."""
    try:
        async with asyncio.timeout(_ANSWER):
            info = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    except JetStreamError as error:
        return 1 if error.code == STREAM_NOT_FOUND else None
    except TimeoutError:
        return 0
    except (JobLedgerError, nats.errors.Error, OSError):
        return None
    cluster: dict[str, Any] | None = info.get("cluster")
    if cluster is None:
        return 1
    replicas = cluster.get("replicas") or []
    reached = [one for one in replicas if not one.get("offline") and 0 < one.get("active", 0) < _SILENT]
    held = len(replicas) + 1
    return held if cluster.get("leader") and 2 * (len(reached) + 1) > held else 0

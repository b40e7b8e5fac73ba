"""Whether a server can hold the log: found out at the first connection, told in words."""

from __future__ import annotations

import asyncio
import re
import time

import nats.errors
import nats.js.errors

from jobledger.core.errors import ServerAway, ServerUnavailable, ServerUnsuitable

from .endpoint import Endpoint
from .quorum import without_leader
from .wire import Wire

#: atomic batches, on which commits across jobs rest, came with this one
MINIMUM_VERSION = (2, 12, 0)

# JetStream API error codes: not enabled on the server, not enabled for the account; no leader at the moment
_NOT_ENABLED = (10076, 10039)
_NO_LEADER = 10008
_SURE = 1.0  # seconds for which a server has to say that it has no JetStream
_ANSWER = 1.0  # seconds for one answer: what is asked while a cluster has no leader may never be answered


def check_version(client: Wire, endpoint: Endpoint) -> None:
    """Errors: ServerUnsuitable for a server that is too old."""
    shown = repr(client.connected_server_version)  # <nats server v2.15.1>
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", shown)
    if found is None or tuple(map(int, found.groups())) < MINIMUM_VERSION:
        version = ".".join(found.groups()) if found else "unknown"
        needed = ".".join(map(str, MINIMUM_VERSION))
        raise ServerUnsuitable(
            f"the NATS server at {endpoint.shown} has version {version}, {needed} or newer is needed: "
            "upgrade it, or leave the address out to use the embedded server"
        )


async def check_jetstream(client: Wire, endpoint: Endpoint, timeout: float) -> None:
    """Return once JetStream answers.

    Units:  `timeout` is seconds, which a cluster without a leader is given to elect one.
    Errors: ServerUnsuitable without JetStream for this account, ServerUnavailable when it does not answer.
    """
    until = time.monotonic() + timeout
    missing_since = 0.0
    while True:
        left = until - time.monotonic()
        try:
            await client.jetstream(timeout=max(0.1, min(left, _ANSWER))).account_info()
            return
        except nats.js.errors.APIError as error:
            if error.err_code == _NO_LEADER and left > 0:  # a cluster that is just electing one
                await asyncio.sleep(0.1)
                continue
            if error.err_code == _NO_LEADER:
                raise await without_leader(client, f"JetStream at {endpoint.shown}") from error
            if error.err_code is None or error.err_code in _NOT_ENABLED:
                # A server that is ending, or just starting, has none for a moment: it is to say so for a while.
                missing_since = missing_since or time.monotonic()
                if left > 0 and time.monotonic() < missing_since + _SURE:
                    await asyncio.sleep(0.1)
                    continue
                raise ServerUnsuitable(
                    f"the NATS server at {endpoint.shown} has no JetStream for this account: "
                    "start it with a jetstream block in its configuration (or -js), and enable it for the account"
                ) from error
            raise ServerUnsuitable(
                f"JetStream on the NATS server at {endpoint.shown} is not usable: {error.description}"
            ) from error
        except (nats.errors.Error, OSError) as error:
            # A denied subject is told in an error of its own; the request itself just stays unanswered.
            why = client.last_error or error
            denied = "permissions" in str(why).lower()
            if isinstance(error, TimeoutError) and not denied and left > _ANSWER:
                continue
            if isinstance(error, TimeoutError) and not denied:
                found = await without_leader(client, f"JetStream at {endpoint.shown}")
                if found.missing:
                    raise found from error
            raise (ServerUnavailable if denied else ServerAway)(
                f"JetStream on the NATS server at {endpoint.shown} did not answer: {why}. "
                "Check that this user may publish to $JS.API.> and subscribe to _INBOX.>"
            ) from error

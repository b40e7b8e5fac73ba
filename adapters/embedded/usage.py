"""Whether anybody still uses the server: asked from the server itself, through its system account."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import nats.errors
from nats.aio.msg import Msg

from ..nats.wire import Wire
from .nats_config import ACCOUNT
from .probe import CLIENT

log = logging.getLogger(__name__)


class Usage:
    """The clients of one server, seen over a connection of its system user."""

    def __init__(self, connection: Wire) -> None:
        self._connection = connection
        self._last_used = time.monotonic()

    async def watch(self, idle: float) -> None:
        """Return once nobody has used the server for `idle` seconds."""
        # A client that came and went between two looks is known by its departure.
        await self._connection.subscribe(f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT", cb=self._left)
        self._last_used = time.monotonic()
        while True:
            await asyncio.sleep(min(idle / 4, 15.0))
            if not await self.unused_for(idle):
                continue
            return

    async def unused_for(self, idle: float) -> bool:
        """Return whether no client is connected and none was in the last `idle` seconds."""
        try:
            reply = await self._connection.request(
                "$SYS.REQ.SERVER.PING.CONNZ",
                json.dumps({"auth": True, "user": CLIENT, "limit": 1}).encode(),
                timeout=2.0,
            )
            connected = json.loads(reply.data)["data"]["num_connections"] > 0
        except (nats.errors.Error, ValueError, KeyError) as error:
            log.info("cannot tell whether the server is used: %s", error or type(error).__name__)
            connected = True  # in doubt it is
        if connected:
            self._last_used = time.monotonic()
        return time.monotonic() - self._last_used >= idle

    async def _left(self, message: Msg) -> None:
        try:
            user = json.loads(message.data)["client"]["user"]
        except (ValueError, KeyError):
            return
        if user == CLIENT:
            self._last_used = time.monotonic()

"""The feed of one data folder: off until a command turns it on, then published by a process of its own.

The folder remembers: what was turned on is published after every restart, until it is turned off.
"""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.msg import Msg

from jobledger.core.undecodable import UNDECODABLE

from ..feed.protocol import Switch, Switched
from ..nats.endpoint import Endpoint
from ..nats.names import Names, is_answerable
from ..nats.wire import Wire
from .child_process import run_child
from .folder import DataFolder


async def run_feed_process(
    folder: DataFolder, endpoint: Endpoint, namespace: str, *, stop: asyncio.Event
) -> int:
    """Publish the feed in a process until `stop` is set, or until that process ends by itself. Return its exit code."""
    module, marked = "jobledger.adapters.feed", ("--folder", str(folder.path))
    return await run_child(module, *marked, endpoint=endpoint, namespace=namespace, stop=stop)


class FeedSwitch:
    """Whether the feed of a folder is to be published. For the holder of the folder's lock, on one event loop."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self.on, self.off = asyncio.Event(), asyncio.Event()
        (self.on if folder.feed.exists() else self.off).set()

    async def serve(self, client: Wire, names: Names) -> None:
        """Heed commands that come over this connection."""
        await client.subscribe(names.feed_switch, cb=self._asked)

    def turn(self, on: bool) -> None:
        """Turn it on, or off; the folder remembers."""
        if on:
            self._folder.write(self._folder.feed, "on\n")
            self.off.clear()
            self.on.set()
        else:
            self._folder.feed.unlink(missing_ok=True)
            self.on.clear()
            self.off.set()

    def leave(self) -> None:
        """End the publisher; whether it is on stays as it is."""
        self.off.set()

    async def _asked(self, message: Msg) -> None:
        try:
            asked = msgspec.json.decode(message.data, type=Switch)
        except UNDECODABLE:
            return
        if asked.on is not None and asked.on != self.on.is_set():
            self.turn(asked.on)
        if is_answerable(message.reply):
            await message.respond(msgspec.json.encode(Switched(self.on.is_set())))

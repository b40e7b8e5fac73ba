"""What `Wire` is to the product, over a simulated connection.

Everything that does not touch the socket is the real one's: subscriptions, turns, who is called back. Logging in,
reconnecting and sending are done here as nats-py does them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from jobledger.adapters.nats.frames import header_block, parse_headers
from jobledger.adapters.nats.wire import Message, Wire

from .answers import VERSION
from .cable import Cable, Network
from .loop import VirtualLoop
from .process import Process
from .server import MAX_PAYLOAD

Notice = Callable[[], Awaitable[None]]


class _Server:
    """What nats-py knows of the server it is connected to."""

    server_version = VERSION


class SimWire(Wire):
    """A connection of the process whose handle runs."""

    def __init__(self, network: Network, number: int) -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert loop.current is not None, "only processes connect"
        self._loop = loop
        self._network = network
        self.process: Process = loop.current
        self._cable: Cable | None = None
        self._inboxes = (f"_INBOX.{number}-{count}" for count in itertools.count())
        self._replies = ""
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._questions = itertools.count()
        self._commands: list[tuple[Any, ...]] = []
        self._leaving = False

    # -- the connection -------------------------------------------------------------------------------------------

    async def connect(  # type: ignore[override]
        self,
        servers: object,
        *,
        error_cb: Callable[[Exception], Awaitable[None]],
        disconnected_cb: Notice,
        reconnected_cb: Notice,
        reconnect_time_wait: float,
        pending_size: int,
        **_: object,
    ) -> None:
        self._error_cb = error_cb
        self._disconnected_cb = disconnected_cb
        self._reconnected_cb = reconnected_cb
        self._max_pending_size = pending_size
        self._max_payload = MAX_PAYLOAD
        self._pause = reconnect_time_wait
        self._status = Client.CONNECTING
        await self._dial()
        self._status = Client.CONNECTED

    async def _dial(self) -> None:
        """Try until it is connected, as nats-py does when it is told to."""
        while True:
            try:
                self._cable = self._network.connect(self, self.process)
                # its greeting, our login, and the answer to that
                await asyncio.sleep(3 * self._network.delay())
                if self._cable.broken:
                    raise ConnectionResetError("the server closed the connection")
            except OSError as error:
                self._err = error
                await self._error_cb(error)
                await asyncio.sleep(self._pause)
            else:
                self._current_server = _Server()  # type: ignore[assignment]
                return

    def lost(self, cable: Cable) -> None:
        """The connection is broken."""
        if cable is self._cable and self._status == Client.CONNECTED:
            self._status = Client.RECONNECTING
            self._reconnection_task = self._loop.create_task(self._come_back())

    async def _come_back(self) -> None:
        self._cable = None
        self._err = None
        assert self._disconnected_cb is not None
        assert self._reconnected_cb is not None
        await self._disconnected_cb()
        await self._dial()
        assert self._cable is not None
        self._pongs = []  # who waits for one of the connection before waits for nothing, as with nats-py
        self.stats["reconnects"] += 1
        self._cable.send([("SUB", sid, sub._subject, sub._queue) for sid, sub in self._subs.items()])
        self._status = Client.CONNECTED
        await self.flush()
        await self._reconnected_cb()

    async def close(self) -> None:
        if self.is_closed:
            return
        self._send()
        self._status = Client.CLOSED
        if self._reconnection_task is not None:
            self._reconnection_task.cancel()
        await asyncio.sleep(0)
        for subscription in self._subs.values():
            subscription._stop_processing()
        self._subs.clear()
        if self._cable is not None:
            self._cable.abandoned()
        if self._disconnected_cb is not None:
            await self._disconnected_cb()

    def cut(self, unnoticed: float) -> None:
        """Break the connection. Units: as `Cable.cut`."""
        if self._cable is not None:
            self._cable.cut(unnoticed=unnoticed)

    def cut_with_message(self, unnoticed: float) -> None:
        """Break the connection as soon as something is to arrive over it, which is lost. Units: as `Cable.cut`."""
        if self._cable is not None:
            self._cable.breaking = unnoticed

    def spare(self) -> None:
        """Do not break it after all."""
        if self._cable is not None:
            self._cable.breaking = None

    def stall(self, until: float) -> None:
        """Let nothing through until then."""
        if self._cable is not None:
            self._cable.stall(until)

    def killed(self) -> None:
        """The process has ended in the middle of something."""
        self._status = Client.CLOSED
        if self._cable is not None:
            self._cable.abandoned()

    # -- out ------------------------------------------------------------------------------------------------------

    def post(self, subject: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        size = len(payload)
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if not self.is_connected and size + self._pending_data_size > self._max_pending_size:
            raise nats.errors.OutboundBufferLimitError
        if size > self._max_payload:
            raise nats.errors.MaxPayloadError
        self._commands.append(("PUB", subject, reply, headers, payload))
        self.stats["out_msgs"] += 1
        self.wake()

    async def _send_publish(
        self, subject: str, reply: str, payload: bytes, payload_size: int, headers: dict[str, Any] | None
    ) -> None:
        # nats-py's own names of headers are members of an enumeration: strip() makes plain text of them, as it does there
        block = (
            header_block({name.strip(): value.strip() for name, value in headers.items()}) if headers else b""
        )
        self.post(subject, payload, reply, block)

    async def _send_subscribe(self, sub: Subscription) -> None:
        self._command(("SUB", sub._id, sub._subject, sub._queue))

    async def _send_unsubscribe(self, sid: int, limit: int = 0) -> None:
        self._command(("UNSUB", sid, limit))

    def _command(self, command: tuple[Any, ...]) -> None:
        if self.is_connected:  # the others are said anew once it is
            self._commands.append(command)
            self.wake()

    async def flush(self, timeout: float = 10) -> None:
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if not self.is_connected:
            return  # nobody reads just now, and nats-py does not wait then
        pong = self._loop.create_future()
        self._pongs.append(pong)
        self._command(("PING",))
        self._send()
        try:
            async with asyncio.timeout(timeout):
                await pong
        except TimeoutError:
            raise nats.errors.FlushTimeoutError from None

    def _send(self) -> None:
        if self._commands and self.is_connected and self._cable is not None:
            process = self.process
            if process.before_write is not None:
                process.suspended = True
                stopped, process.before_write = process.before_write, None
                stopped()
            if not process.suspended:
                commands, self._commands = self._commands, []
                self._cable.send(commands)

    def resumed(self) -> None:
        """The process goes on: with what it was about to send."""
        process = self.process
        process.suspended = False
        self._send()
        process.suspended = True

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        if not self._replies:
            self._replies = self.new_inbox()
            await self.listen(f"{self._replies}.*", self._replied)
        reply = f"{self._replies}.{next(self._questions)}"
        future: asyncio.Future[Message] = self._loop.create_future()
        self._asked[reply] = future
        try:
            await self.publish(subject, payload, reply=reply, headers=headers)
            message = await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise nats.errors.TimeoutError from None
        finally:
            self._asked.pop(reply, None)
        if message.status == "503":
            raise nats.errors.NoRespondersError
        return Msg(self, message.subject, message.reply, message.data, message.headers)

    def _replied(self, message: Message) -> None:
        future = self._asked.get(message.subject)
        if future is not None and not future.done():
            future.set_result(message)

    def new_inbox(self) -> str:
        return next(self._inboxes)

    # -- in -------------------------------------------------------------------------------------------------------

    def arrived(self, cable: Cable, messages: list[tuple[Any, ...]]) -> None:
        """One read from the socket."""
        if cable is not self._cable or self.is_closed:
            return
        self._begin_turn()
        for message in messages:
            if len(message) == 1:
                if self._pongs and not (pong := self._pongs.pop(0)).done():
                    pong.set_result(None)
                continue
            self._hand_over(*message)
        self._end_turn()

    def _hand_over(self, sid: int, subject: str, reply: str, headers: bytes, payload: bytes) -> None:
        self.stats["in_msgs"] += 1
        callback = self._callbacks.get(sid)
        if callback is not None:
            callback(Message(subject, reply, payload, headers))
            return
        subscription = self._subs.get(sid)
        if subscription is not None:
            told = parse_headers(headers) if headers else None
            subscription._received += 1
            subscription._pending_size += len(payload)
            with contextlib.suppress(asyncio.QueueFull):
                subscription._pending_queue.put_nowait(Msg(self, subject, reply, payload, told))

    def _end_turn(self) -> None:
        # As the real one, but that what fails is told, and not only logged.
        for work in tuple(self._turn_ends):
            work()
        self._awake = False
        self._send()

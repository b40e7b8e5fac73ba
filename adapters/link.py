"""A client's or runner's line to the engine: ask until there is an answer, whatever dies in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from jobledger.core.errors import ArgumentError, NoQuorum, ServerAway, ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from . import protocol as p
from .clusters import ClusterDirectory
from .nats.asking import NotAllowed, denied, forbids
from .nats.connection import Endpoint, connect
from .nats.gated import Gate
from .nats.inbox import Inbox
from .nats.names import NOBODY, Names, names_of
from .nats.quorum import missing_quorum
from .nats.streams import read_partitions
from .nats.wire import Wire
from .outage import Outage
from .question import Question, Request

log = logging.getLogger(__name__)

Callback = Callable[[Msg], Awaitable[None]]
T = TypeVar("T")

_FIRST_PAUSE = 0.02  # seconds before the first repetition; doubled up to _LONGEST_PAUSE
_LONGEST_PAUSE = 0.5
_AWAY = 1.0  # seconds without a connection after which the server is looked for, or started, again


class Link:
    """One connection, made anew where need be.

    `resolve` finds the server, and starts it where it is the embedded one and not running; it may block.
    """

    def __init__(self, resolve: Callable[[], Endpoint], names: Names, name: str) -> None:
        self._resolve = resolve
        self._name = name
        self.names = names
        self.clusters = ClusterDirectory(self)
        self._client: Wire | None = None
        self._endpoint: Endpoint | None = None
        self._inbox: Inbox | None = None
        self._opening = asyncio.Lock()
        self.outage = Outage(name, self.reason)
        self._listeners: list[_Listener] = []
        self._parts: tuple[Names, ...] | None = None  #: as `parts` found them

    @property
    def user(self) -> str:
        """The name under which runners on this connection speak."""
        who = None if self._endpoint is None else self._endpoint.who
        return NOBODY if who is None else who.user

    @property
    def nc(self) -> Wire:
        """The connection. Errors: ServerUnavailable before `open` and after `close`."""
        if self._client is None:
            raise ServerUnavailable("this client is closed, or was not opened yet")
        return self._client

    @property
    def _answers(self) -> Inbox:
        if self._client is None or self._inbox is None:
            raise ServerUnavailable("this client is closed, or was not opened yet")
        return self._inbox

    async def open(self, *, patience: float = 0.0) -> None:
        """Find the server and connect.

        Units:  `patience` is seconds for which a server that is only being started is waited for, beyond what `resolve` does.
        Errors: as `resolve` and `connect`.
        """
        until = time.monotonic() + patience
        async with self._opening:
            while self._client is None:
                try:
                    endpoint = await asyncio.to_thread(self._resolve)
                except ServerAway:
                    if time.monotonic() >= until:
                        raise
                else:
                    await self._connect(endpoint)

    async def close(self) -> None:
        client, self._client = self._client, None
        self._disturb()
        if client is not None:
            with contextlib.suppress(nats.errors.Error):
                await client.close()

    async def listen(
        self, subject: str, callback: Callback, queue: str = ""
    ) -> Callable[[], Awaitable[None]]:
        """Call back with every message on a subject, over later connections too. Return what ends that.

        Shape:  of those who listen in one `queue` each message goes to one.
        """
        listener = _Listener(subject, callback, queue)
        await listener.subscribe(self.nc)
        self._listeners.append(listener)

        async def end() -> None:
            self._listeners.remove(listener)
            await listener.unsubscribe()

        return end

    async def parts(self) -> tuple[Names, ...]:
        """Return the names within each partition of the namespace. The server is asked for their number once.

        Errors: as `read_partitions`.
        """
        if self._parts is None:
            self._parts = self.names.parts(await read_partitions(self.nc, self.names))
        return self._parts

    async def ask_about(self, job_id: str, payload: bytes, *, timeout: float, patience: float) -> p.Answer:
        """Ask the engine that owns the partition of a job for something. Units, Errors: as `ask`."""
        return await self.ask(
            lambda parts: names_of(parts, job_id).command, payload, timeout=timeout, patience=patience
        )

    async def ask(
        self,
        subject: str | Callable[[tuple[Names, ...]], str],
        payload: bytes | Callable[[int], bytes],
        *,
        timeout: float,
        patience: float,
    ) -> p.Answer:
        """Send a request, again and again until it is answered, and return the answer: never `Unavailable`.

        Shape:  where `payload` is callable it makes the request from the number of tries before it; where `subject` is,
                it makes that from the names within each partition.
        Units:  `timeout` is seconds for one try, `patience` for all of them; may be infinite.
        Errors: ServerUnavailable when patience is at its end, and at once when this user may not ask that.
        """
        began = time.monotonic()
        pause = _FIRST_PAUSE
        tries = 0
        while True:
            connected = True
            data = payload(tries) if callable(payload) else payload
            tries += 1
            try:
                to = subject if isinstance(subject, str) else subject(self._parts or await self.parts())
                answer = await self._answers.ask(to, data, timeout=timeout)
                reply: p.Reply = p.decode_reply(answer.data)
            except nats.errors.MaxPayloadError as error:
                raise ArgumentError(
                    f"the request takes {len(data):,} bytes; this server takes messages of {self.nc.max_payload:,} bytes. "
                    "Nothing was sent. Pass large data by reference, or raise max_payload of the server"
                ) from error
            except NotAllowed:
                raise
            except (nats.errors.Error, OSError, TimeoutError, ServerAway, _Disturbed) as error:
                problem = str(error) or f"no answer within {timeout:g} s"
                if isinstance(error, nats.errors.NoRespondersError):
                    problem = "no engine serves this namespace"
                connected = False
            except UNDECODABLE as error:
                raise p.unreadable(error) from error
            else:
                if not isinstance(reply, p.Unavailable):
                    self.outage.over()
                    return reply
                problem = reply.message
            if callable(subject):
                self._parts = None  # the namespace may have been made anew, with another number of them
            left = patience - (time.monotonic() - began)
            if left <= 0:
                raise await self.reason() or ServerUnavailable(
                    f"no answer from the engine for {patience:g} s: {problem}. What was asked for may or may not have "
                    "happened; asking again is safe. Check that the server and an engine run (jobledger server status)"
                )
            await self.outage.lasts(problem)
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
            if not connected:
                await self._revive(left)

    def put(
        self,
        subject: str,
        request: Request,
        ended: Callable[[p.Answer | Exception], None],
        *,
        timeout: float,
        patience: float,
    ) -> Callable[[], None]:
        """Ask as `ask` does, and have `ended` called with the answer, or with the error. Return what breaks it off."""
        question = Question(request, ended)
        question.put(
            lambda data, answered: self._answers.put(subject, data, answered, timeout=timeout),
            lambda again: self.ask(subject, again, timeout=timeout, patience=patience),
        )
        return question.break_off

    async def work(self, work: Callable[[Wire], Awaitable[T]], *, patience: float) -> T:
        """Do something with the connection that can be done twice; where the server is away, from the start again.

        Shape:  `work` raises ServerAway where doing it again may help.
        Units:  `patience` is seconds, for all tries together.
        Errors: ServerUnavailable when patience is at its end; whatever else `work` raises.
        """
        until = time.monotonic() + patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return await work(self.nc)
            except ServerAway as error:
                left = until - time.monotonic()
                if left <= 0:
                    reason = await self.reason()
                    if reason is None:
                        raise
                    raise reason from error
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE)
            await self._revive(left)

    async def reason(self) -> NoQuorum | None:
        """Return why nobody answers, if it is for want of servers."""
        client = self._client
        return None if client is None else await missing_quorum(client, self.names)

    async def _revive(self, patience: float) -> None:
        """Make sure that there is a server, and a connection to it."""
        async with self._opening:
            client = self.nc
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_AWAY, patience)):
                    while not client.is_connected:
                        await asyncio.sleep(0.02)
            try:
                endpoint = await asyncio.to_thread(self._resolve)
                if endpoint != self._endpoint or client.is_closed:
                    await self._connect(endpoint)
                    await client.close()
            except ServerUnavailable as error:
                log.info("%s: %s", self._name, error)

    async def _connect(self, endpoint: Endpoint) -> None:
        client = await connect(
            endpoint,
            name=self._name,
            on_lost=self._disturb,
            on_back=self._disturb,
            on_denied=self._denied,
            gate=self._gate(endpoint),
        )
        answers = Inbox(client)
        await answers.open()
        for subject in (self.names.hello, self.names.farewell):
            await client.subscribe(subject, cb=self._engine_changed)
        for listener in self._listeners:
            await listener.subscribe(client)
        self._client, self._endpoint, self._inbox = client, endpoint, answers

    def _gate(self, endpoint: Endpoint) -> Gate | None:
        """Return where this user asks for what he may not ask JetStream; None if he may."""
        who = endpoint.who
        if who is None or who.role.trusted:
            return None
        from .access.passage import passage

        return passage(self.names, who, lambda: self._parts)

    async def _engine_changed(self, message: Msg) -> None:
        parts, number = self._parts, p.presence(message.data).partition
        self._disturb(parts[number].asks if parts is not None and number < len(parts) else None)

    def _denied(self, error: Exception) -> None:
        """The server does not let this user ask something: nobody is to wait for the answer."""
        if self._inbox is not None:
            self._inbox.give_up(denied(error), lambda subject: forbids(error, subject))

    def _disturb(self, about: Callable[[str], bool] | None = None) -> None:
        """Have every open question asked again: the answer may have gone down with the connection or the engine.

        Shape:  `about` tells by its subject whether it is about a question; None: it is about all of them.
        """
        if self._inbox is not None:
            self._inbox.give_up(
                _Disturbed("the connection broke, or the engine was replaced, before the answer came"), about
            )


class _Disturbed(Exception):
    """The answer will not come."""


class _Listener:
    """A subscription that outlives connections."""

    def __init__(self, subject: str, callback: Callback, queue: str) -> None:
        self._subject = subject
        self._callback = callback
        self._queue = queue
        self._subscription: Subscription | None = None

    async def subscribe(self, client: Wire) -> None:
        self._subscription = await client.subscribe(self._subject, self._queue, cb=self._callback)

    async def unsubscribe(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                if self._queue:
                    await self._subscription.drain()  # type: ignore[no-untyped-call]  # what has arrived is ours to answer
                else:
                    await self._subscription.unsubscribe()

"""Which engines there are, and which of them owns what: read from the bucket in which they hold their leases."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.subscription import Subscription
from nats.js.kv import KeyValue

from ...clocks import clock
from ...nats.buckets import key_value
from ...nats.names import Names, token_of
from ...nats.stored import stored_messages
from ...nats.wire import Message, Wire
from .ownership import RENEWAL, TTL

log = logging.getLogger(__name__)

_PRESENCE = "engine."
_ANSWER = 0.2  # seconds for the answer of an engine that is called


class Picture(NamedTuple):
    """How things stood a moment ago: a replica of the bucket may be behind."""

    engines: list[str]  #: ids of those that are there
    owners: dict[int, str]  #: id of the engine that owns a partition, by its number
    revisions: dict[str | int, int]  #: of the keys of both: of the last sign of life


class Presence:
    """Says that an engine is there and can take its share, for as long as it lasts."""

    def __init__(self, bucket: KeyValue, engine_id: str) -> None:
        self._bucket = bucket
        self._key = _PRESENCE + token_of(engine_id)
        self._value = engine_id.encode()
        self._saying: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Errors: of nats-py, or OSError."""
        await self._bucket.put(self._key, self._value)
        self._saying = asyncio.create_task(self._say())

    async def end(self) -> None:
        """Have the others take over."""
        if self._saying is None:
            return
        self._saying.cancel()
        await asyncio.gather(self._saying, return_exceptions=True)
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
            async with asyncio.timeout(TTL):
                await self._bucket.delete(self._key)

    async def _say(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            try:
                await self._bucket.put(self._key, self._value)
            except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
                log.info("an engine could not say that it is there: %s", error or type(error).__name__)


async def look(client: Wire, names: Names) -> Picture:
    """Return which engines there are and what they own. Errors: ServerAway; ServerUnavailable."""
    prefix = f"$KV.{names.engines_bucket}."
    picture = Picture([], {}, {})
    async for revision, subject, payload in stored_messages(
        client, key_value(names.engines_bucket), f"{prefix}>"
    ):
        key, engine_id = subject.removeprefix(prefix), payload.decode()
        if not engine_id:
            continue  # it has been given up
        if key.startswith(_PRESENCE):
            picture.engines.append(engine_id)
            picture.revisions[engine_id] = revision
        else:
            number = int(key.partition(".")[2] or 0)  # the key of the only partition has no number
            picture.owners[number] = engine_id
            picture.revisions[number] = revision
    return picture


class Silence:
    """Notes for how long keys have been silent, by this engine's own clock.

    The server removes those whose lease is over some time later: up to two seconds, as it looks only so often.
    """

    def __init__(self) -> None:
        self._heard: dict[
            str | int, tuple[int, float]
        ] = {}  #: the revision of each key, and when it was new here

    def note(self, picture: Picture) -> None:
        """To be told of every picture."""
        now = clock()
        before, self._heard = self._heard, {}
        for key, revision in picture.revisions.items():
            heard = before.get(key)
            self._heard[key] = heard if heard is not None and heard[0] == revision else (revision, now)

    def longer_than(self, seconds: float) -> set[str | int]:
        """Return the keys of the last picture without a sign of life for longer than that."""
        now = clock()
        return {key for key, (_, at) in self._heard.items() if now > at + seconds}


class Calls:
    """Answers to the name of this engine: one that is not there any more is found out by that nobody does."""

    def __init__(self, client: Wire, names: Names) -> None:
        self._client = client
        self._names = names

    async def listen(self, engine_id: str) -> Subscription:
        """Answer from now on, until the subscription ends. Errors: of nats-py."""
        return await self._client.listen(self._names.engine(engine_id), self._answer)

    async def gone(self, engine_ids: Iterable[str]) -> set[str]:
        """Return those of these engines that have no connection any more, by the word of the server.

        One that is suspended has one, and so has one whose machine lost its power: their leases have to run out.
        """
        asked = list(engine_ids)
        answers = await asyncio.gather(*(self._is_gone(one) for one in asked))
        return {one for one, gone in zip(asked, answers, strict=True) if gone}

    async def _is_gone(self, engine_id: str) -> bool:
        try:
            await self._client.request(self._names.engine(engine_id), timeout=_ANSWER)
        except nats.errors.NoRespondersError:
            return True
        except (nats.errors.Error, OSError):
            return False
        return False

    def _answer(self, message: Message) -> None:
        if message.reply:
            self._client.post(message.reply, b"")

"""How far a named subscription has come: kept on the server, so that it goes on there after a restart.

Whoever opens a bookmark last has it: the one before finds out when it moves it. So while a program is replaced by its
next version, at most a few changes are seen by both, and none by neither.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from jobledger.core.errors import JobLedgerError
from jobledger.core.undecodable import UNDECODABLE

from ...nats import leader
from ...nats.asking import Superseded, append, in_stream
from ...nats.buckets import key_value, make_key_value
from ...nats.names import Names
from ...nats.wire import Wire


class _Mark(msgspec.Struct):
    position: int
    owner: str


_decode = msgspec.json.Decoder(_Mark).decode


class Bookmark:
    """The position of one named subscription."""

    def __init__(self, names: Names, name: str) -> None:
        self._names = names
        self._name = name
        self._stream = key_value(names.subscriptions_bucket)
        self._subject = f"$KV.{names.subscriptions_bucket}.{name}"
        self._owner = uuid4().hex
        self._sequence = 0

    async def open(self, client: Wire) -> int | None:
        """Take the bookmark and return its position; None if there is none yet.

        Errors: ServerAway; ServerUnavailable; JetStreamError.
        """
        while True:
            position = await self._read(client)
            if position is None:
                return None
            try:
                await self._write(client, position)
            except Superseded:
                continue  # it was moved in this very moment
            return position

    async def move(self, client: Wire, position: int) -> None:
        """Note that everything up to `position` is done with.

        Errors: JobLedgerError once another subscription of this name took over; as `open`.
        """
        try:
            await self._write(client, position)
        except Superseded:
            stored = await leader.newest(client, self._stream, self._subject)
            if stored is None or self._mark(stored.payload).owner != self._owner:
                what = (
                    "was removed" if stored is None else "was taken over by another subscription of this name"
                )
                raise JobLedgerError(f"the subscription {self._name!r} {what}: this one has ended") from None
            self._sequence = stored.position  # its acknowledgement was lost
            await self._write(client, position)

    async def remove(self, client: Wire) -> bool:
        """Forget it; return whether there was one. Errors: as `open`."""
        there = await self._read(client) is not None
        if there:
            await leader.purge(client, self._stream, [self._subject])
        return there

    async def _read(self, client: Wire) -> int | None:
        stored = await leader.newest(client, self._stream, self._subject)
        self._sequence = 0 if stored is None else stored.position
        return None if stored is None else self._mark(stored.payload).position

    def _mark(self, payload: bytes) -> _Mark:
        try:
            return _decode(payload)
        except UNDECODABLE as error:
            raise JobLedgerError(
                f"the bookmark of the subscription {self._name!r} in the bucket {self._names.subscriptions_bucket} cannot "
                f"be read: {error}. Remove it, or choose another name"
            ) from error

    async def _write(self, client: Wire, position: int) -> None:
        data = msgspec.json.encode(_Mark(position, self._owner))
        self._sequence = await in_stream(
            lambda: append(client, self._subject, data, after=self._sequence),
            lambda: make_key_value(client, self._names, self._names.subscriptions_bucket),
        )

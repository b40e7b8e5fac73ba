"""Which engine owns a partition: a lease in a key-value bucket.

Ownership keeps engines from working against each other. That what they write always continues what is there is not its
business: the expected sequence on every append sees to that, whatever this lease says. But nobody else may have written
since, and an engine that was suspended and goes on would find its old decisions accepted. So an engine also knows by its
own clock until when the lease is its own for certain, and neither takes a request nor appends after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable

import nats.errors
import nats.js.errors
from nats.js.api import KeyValueConfig
from nats.js.kv import KeyValue

from ...clocks import clock
from ...nats.names import Names
from ...nats.wire import Wire

log = logging.getLogger(__name__)

TTL = 2.0  # seconds an engine owns a partition after its last sign of life
RENEWAL = TTL / 4  # seconds between two signs of life


async def make_buckets(client: Wire, names: Names, *, replicas: int) -> KeyValue:
    """Make the buckets that engines share, where there are none, and return that of leases. Errors: of nats-py.

    Shape:  `replicas` is how many servers are to hold them.
    """
    stream = client.jetstream(timeout=TTL)
    wanted = (
        KeyValueConfig(names.checkpoints_bucket, replicas=replicas),
        KeyValueConfig(names.engines_bucket, ttl=TTL, replicas=replicas, direct=True),
    )
    for settings in wanted:
        try:
            bucket = await stream.key_value(settings.bucket)
        except nats.js.errors.BucketNotFoundError:
            bucket = await stream.create_key_value(settings)
    return bucket


class Ownership:
    """The lease of one engine on one partition. `on_lost` is called when another engine may have taken over."""

    def __init__(self, bucket: KeyValue, names: Names, engine_id: str, on_lost: Callable[[], None]) -> None:
        self._bucket = bucket
        self._names = names
        self._key = names.owner_key
        self._value = engine_id.encode()
        self._revision = 0
        self._until = -math.inf
        self._renewing: asyncio.Task[None] | None = None
        self._on_lost = on_lost
        self.lost = False

    @property
    def sure(self) -> bool:
        """Whether nobody else can have the partition. False does not say that somebody has."""
        return clock() <= self._until

    async def acquire(self, *, takeover: bool = False, silent: int = 0) -> bool:
        """Own the partition unless another engine does; with `takeover`, even then. Return whether it is owned now.

        Shape:  `silent` is the revision of a lease that is known to be over, although it is still there.
        Errors: of nats-py, or OSError; it may be owned all the same.
        """
        asked = clock()
        try:
            if silent and not takeover:
                self._revision = await self._bucket.update(self._key, self._value, last=silent)
            else:
                put = self._bucket.put if takeover else self._bucket.create
                self._revision = await put(self._key, self._value)
        except nats.js.errors.KeyWrongLastSequenceError:
            return False  # another engine is alive
        self._until = asked + TTL
        self._renewing = asyncio.create_task(self._renew())
        return True

    async def release(self) -> None:
        """Give the partition up, so that a successor need not wait for the lease to run out."""
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing
            self._renewing = None
        self._until = -math.inf
        if self._revision and not self.lost:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(TTL):
                    await self._bucket.delete(self._key, last=self._revision)

    def lose(self, reason: str) -> None:
        """Another engine has taken over, or may have."""
        if not self.lost:
            log.warning("ownership of %s is lost: %s", self._names.shown, reason)
        self.lost = True
        self._until = -math.inf
        self._on_lost()

    async def _renew(self) -> None:
        try:
            while True:
                await asyncio.sleep(RENEWAL)
                asked = clock()
                self._revision = await self._bucket.update(self._key, self._value, last=self._revision)
                self._until = asked + TTL
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            self.lose(str(error) or type(error).__name__)

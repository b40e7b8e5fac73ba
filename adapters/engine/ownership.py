"""Which engine owns the namespace: a lease in a key-value bucket.

Ownership only keeps engines from working against each other. That no two of them ever write to one job is not its
business: the expected sequence on every append sees to that, whatever this lease says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import KeyValueConfig
from nats.js.kv import KeyValue

from ..nats.names import Names

log = logging.getLogger(__name__)

TTL = 2.0  # seconds an engine owns the namespace after its last sign of life
_KEY = "owner"


class Ownership:
    """The lease of one engine. `lost` is set once another engine may have taken over."""

    def __init__(self, client: Client, names: Names, engine_id: str) -> None:
        self._client = client
        self._names = names
        self._value = engine_id.encode()
        self._revision = 0
        self._renewing: asyncio.Task[None] | None = None
        self._released = False
        self.lost = asyncio.Event()

    async def acquire(self, *, takeover: bool = False) -> None:
        """Wait until no other engine owns the namespace, and own it. `takeover` does not wait."""
        self.lost.clear()
        self._released = False
        while True:
            try:
                bucket = await self._bucket()
                if takeover:
                    self._revision = await bucket.put(_KEY, self._value)
                else:
                    self._revision = await bucket.create(_KEY, self._value)
            except nats.js.errors.KeyWrongLastSequenceError:
                await asyncio.sleep(TTL / 4)  # another engine is alive: stand by
            except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
                log.info("cannot ask for ownership: %s", error)
                await asyncio.sleep(TTL / 4)
            else:
                self._renewing = asyncio.create_task(self._renew(bucket))
                return

    async def release(self) -> None:
        """Give the namespace up, so that a successor need not wait for the lease to run out."""
        self._released = True
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing
            self._renewing = None
        if not self.lost.is_set():
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(TTL):
                    bucket = await self._bucket()
                    await bucket.delete(_KEY, last=self._revision)

    async def _bucket(self) -> KeyValue:
        stream = self._client.jetstream(timeout=TTL)
        try:
            return await stream.key_value(self._names.engines_bucket)
        except nats.js.errors.BucketNotFoundError:
            return await stream.create_key_value(KeyValueConfig(self._names.engines_bucket, ttl=TTL))

    async def _renew(self, bucket: KeyValue) -> None:
        try:
            # Cancelling is not enough: until Python 3.12, one that meets the answer to a request is lost.
            while not self._released:
                await asyncio.sleep(TTL / 4)
                self._revision = await bucket.update(_KEY, self._value, last=self._revision)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            log.warning("ownership of %s is lost: %s", self._names.namespace, error or type(error).__name__)
            self.lost.set()

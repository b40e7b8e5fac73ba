"""For how long runners have been silent: noted where the next engine finds it.

After a start an engine does not know when a runner of which the log says that it holds tasks was last heard, and begins a
fresh lease for it. Where engines are replaced more often than a lease is long, no lease would ever end by that, and
what dead runners hold would wait for ever. So an engine notes who is silent, and for how long, and its successor goes on
counting from there.

That must never end the lease of a runner that lives. So whoever is noted and speaks again is answered only after that is
taken back. Only the time counts for which an engine served. And whoever begins to serve replaces the note before it
reads the jobs: of an engine that was suspended as it wrote, nothing is taken any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import msgspec
import nats.errors
import nats.js.errors
from nats.js.kv import KeyValue

from jobledger.core.errors import ServerUnavailable
from jobledger.core.undecodable import UNDECODABLE

from ..nats.names import Names
from ..nats.wire import Wire
from .leases import Leases

log = logging.getLogger(__name__)

#: seconds between two notes while somebody is silent, at most; and of a lease
_OFTEN, _SHARE = 0.5, 0.05
_ANSWER = 2.0  # seconds for an answer of JetStream


class _Note(msgspec.Struct, array_like=True):
    engine: str
    seconds: dict[str, float]  #: by runner


_decode = msgspec.msgpack.Decoder(_Note).decode


class Silences:
    """Of the runners that hold tasks of one partition."""

    def __init__(self, client: Wire, names: Names, leases: Leases, engine_id: str) -> None:
        self._client = client
        self._names = names
        self._leases = leases
        self._id = engine_id
        self._bucket: KeyValue | None = None
        self._revision = 0
        self._writing = asyncio.Lock()
        #: runners that are in the note, or may be
        self.noted: set[str] = set()

    async def open(self) -> None:
        """Take over what the engine before has noted. Errors: of nats-py; ServerUnavailable where another engine serves."""
        stream = self._client.jetstream(timeout=_ANSWER)
        self._bucket = await stream.key_value(self._names.checkpoints_bucket)
        note = await self._read()
        self._leases.carry(note.seconds)
        self.noted = set(note.seconds)
        await self._write(note.seconds)

    async def keep(self) -> None:
        """Note who is silent, for ever."""
        while True:
            await asyncio.sleep(min(_OFTEN, _SHARE * self._leases.length))
            async with self._writing:
                silent = self._leases.silent()
                if not silent and not self.noted:
                    continue
                try:
                    await self._write(silent)
                except (nats.errors.Error, nats.js.errors.Error, OSError, ServerUnavailable) as error:
                    log.info("it was not noted which runners are silent: %s", error or type(error).__name__)

    async def heard(self, runner: str) -> None:
        """The runner has spoken. Return once no note says that it is silent.

        Errors: ServerUnavailable when that cannot be written: the runner must not be answered.
        """
        self._leases.extend(runner)
        async with self._writing:
            if runner not in self.noted:
                return
            try:
                await self._write(self._leases.silent())
            except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
                raise ServerUnavailable(
                    f"it could not be noted that the runner is back: {error or type(error).__name__}"
                ) from error

    async def _read(self) -> _Note:
        assert self._bucket is not None
        try:
            entry = await self._bucket.get(self._names.silences_key)
        except nats.js.errors.KeyNotFoundError:
            self._revision = 0
            return _Note("", {})
        self._revision = entry.revision or 0
        try:
            return _decode(entry.value or b"")
        except UNDECODABLE as error:
            log.warning("the note of silent runners is damaged and not used: %s", error)
            return _Note("", {})

    async def _write(self, silent: Mapping[str, float]) -> None:
        """Replace the note, if it is still the one that was seen last."""
        assert self._bucket is not None
        data = msgspec.msgpack.encode(_Note(self._id, dict(silent)))
        if len(data) > self._client.max_payload // 2:
            silent, data = {}, msgspec.msgpack.encode(_Note(self._id, {}))  # they get fresh leases
        self.noted |= silent.keys()
        try:
            self._revision = await self._bucket.update(self._names.silences_key, data, last=self._revision)
        except nats.js.errors.KeyWrongLastSequenceError:
            # A write of our own may have been stored without an acknowledgement.
            if (await self._read()).engine != self._id:
                raise ServerUnavailable("another engine serves this partition") from None
            self._revision = await self._bucket.update(self._names.silences_key, data, last=self._revision)
        self.noted = set(silent)

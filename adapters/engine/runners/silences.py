"""For how long runners have been silent: noted where the next engine finds it.

After a start an engine does not know when a runner of which the log says that it holds tasks was last heard, and begins a
fresh lease for it. Where engines are replaced more often than a lease is long, no lease would ever end by that, and
what dead runners hold would wait for ever. So an engine notes who is silent, and for how long, and its successor goes on
counting from there.

That must never end the lease of a runner that lives. So whoever is noted and speaks again is answered only after that is
taken back: from the time of a note until another one replaces it, nobody it names was answered. And whoever begins to
serve replaces the note before it reads the jobs: of an engine that was suspended as it wrote, nothing is taken any more.
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

from ...nats.buckets import key_value
from ...nats.names import Names
from ...nats.wire import Wire
from .leases import Leases

log = logging.getLogger(__name__)

#: seconds between two notes while somebody is silent: soon after the start, as the engine may be gone soon; and later
_SOON, _LATER = 0.1, 0.5
_SHARE = 0.05  #: of a lease, the longest time between two
#: of a lease, the longest time between the note of one engine and the start of the next that counts: the server's clock,
#: by which it is taken, may have been set meanwhile
_MOST_BETWEEN = 1 / 3
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
        self._stream = client.jetstream(timeout=_ANSWER)
        self._bucket: KeyValue | None = None
        self._revision = 0
        self._writing = asyncio.Lock()
        #: runners that are in the note, or may be
        self.noted: set[str] = set()

    async def open(self) -> None:
        """Take over what the engine before has noted. Errors: of nats-py; ServerUnavailable where another engine serves."""
        try:
            self._bucket = await self._stream.key_value(self._names.checkpoints_bucket)
        except nats.js.errors.BucketNotFoundError:
            return  # nothing is noted then, as no checkpoint is
        note, noted_at = await self._read()
        self.noted = set(note.seconds)
        await self._write(note.seconds)
        if note.seconds:
            _, now = await self._read()
            between = min(max(0.0, now - noted_at), _MOST_BETWEEN * self._leases.length)
            silent = {runner: seconds + between for runner, seconds in note.seconds.items()}
            self._leases.carry(silent)
            await self._write(silent)

    async def keep(self) -> None:
        """Note who is silent, for ever."""
        pause = _SOON
        while self._bucket is not None:
            await asyncio.sleep(min(pause, _SHARE * self._leases.length))
            pause = min(1.2 * pause, _LATER)
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

    async def _read(self) -> tuple[_Note, float]:
        """Return the note that is there, and the seconds since 1970 when it was stored, by the server's clock."""
        assert self._bucket is not None
        stream, subject = key_value(self._names.checkpoints_bucket), self._names.silences_key
        try:
            stored = await self._stream.get_last_msg(
                stream, f"$KV.{self._names.checkpoints_bucket}.{subject}"
            )
        except nats.js.errors.NotFoundError:
            self._revision = 0
            return _Note("", {}), 0.0
        self._revision = stored.seq or 0
        at = stored.time.timestamp() if stored.time is not None else 0.0
        try:
            return _decode(stored.data or b""), at
        except UNDECODABLE as error:
            log.warning("the note of silent runners is damaged and not used: %s", error)
            return _Note("", {}), at

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
            if (await self._read())[0].engine != self._id:
                raise ServerUnavailable("another engine serves this partition") from None
            self._revision = await self._bucket.update(self._names.silences_key, data, last=self._revision)
        self.noted = set(silent)

"""The partitions that this engine serves: its share of all, as engines come and go.

An engine looks at who is there and who owns what, and acts on what `spread` makes of it: it takes what is to be its own
and is free, and gives up what is to be another's, one partition after the other, each only once everybody who waits was
answered and everything decided is in the log. Nobody hands anything over: what an engine gives up is free, and whoever
asks in between is not answered and asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.kv import KeyValue

from ... import protocol as p
from ...nats.names import Names
from ...nats.wire import Wire
from ..service import Engine
from ..waiting import wait_any
from .fleet import Calls, Picture, Presence, Silence, look
from .ownership import RENEWAL, TTL, Ownership
from .recovery import Checkpoint, find_live_jobs, save
from .spread import spread

log = logging.getLogger(__name__)

_CHECKPOINT_EVERY = 60.0  # seconds
#: the same where there are several partitions: whoever takes one over has to read what all of them have written since
CHECKPOINT_OFTEN = 5.0
#: seconds between two looks at who is there: with the lease of an engine that was killed, what its partitions stand still
LOOK = TTL / 8
#: seconds without a sign of life after which the server is asked whether an engine is still connected
_SUSPICIOUS = RENEWAL + LOOK

Make = Callable[[Names, Ownership], Engine]


class _Served(NamedTuple):
    """A partition this engine serves."""

    names: Names
    ownership: Ownership
    engine: Engine


class _Saved(NamedTuple):
    """The positions of the last two checkpoints of a partition."""

    last: int
    before: int


class Share:
    """What one engine serves, from `run` to its end. `make` makes the engine of a partition.

    Shape:  `takeover` owns everything at once: for a caller who knows that every engine before it is dead.
    """

    def __init__(
        self,
        client: Wire,
        bucket: KeyValue,
        parts: tuple[Names, ...],
        engine_id: str,
        make: Make,
        *,
        takeover: bool,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._parts = parts
        self._id = engine_id
        self._make = make
        self._takeover = takeover
        # The only partition is everybody's share: who is there does not matter.
        self._presence = Presence(bucket, engine_id) if len(parts) > 1 else None
        self._silence = Silence()
        self._has_looked = False
        self._calls = Calls(client, parts[0])
        self._over: dict[int, int] = {}  #: by partition, the revision of a lease that is over and still there
        self._served: dict[int, _Served] = {}
        self._wake = asyncio.Event()  #: something happened that may ask for more than waiting
        self._left: set[int] = set()  #: partitions that other engines have left
        self._checkpoint_at = 0.0  #: by the loop's clock
        self._saved: dict[int, _Saved] = {}  #: by partition

    async def run(self, stop: asyncio.Event, disturbed: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Serve until one of these is set. Call `on_ready` when something is served.

        Errors: of nats-py; OSError; ServerUnavailable. Nothing is served any more then.
        """

        def over() -> bool:
            return stop.is_set() or disturbed.is_set()

        hello, farewell = self._parts[0].hello, self._parts[0].farewell
        listening = [
            await self._client.subscribe(hello, cb=self._greeted),
            await self._client.subscribe(farewell, cb=self._parted),
            await self._calls.listen(self._id),
        ]
        try:
            if self._presence is not None:
                await self._presence.begin()
            while not over():
                self._wake.clear()
                await self._adjust(on_ready)
                if over():
                    break
                await wait_any(stop, disturbed, self._wake, timeout=self._patience())
        finally:
            for subscription in listening:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()
            if self._presence is not None:
                await self._presence.end()
            await asyncio.gather(*(self._leave(number) for number in list(self._served)))

    def _patience(self) -> float:
        """Return after how many seconds to look again if nothing happens."""
        if len(self._parts) == len(self._served) == 1:  # all there is: what happens to it is told
            return max(0.0, self._checkpoint_at - asyncio.get_running_loop().time())
        return LOOK

    async def _adjust(self, on_ready: Callable[[], None]) -> None:
        """Leave what is not to be served any more, take what is, and see what lives."""
        for number, served in list(self._served.items()):
            if served.ownership.lost:
                await self._leave(number)
        wanted, free = await self._look()
        for number in self._served:
            if number not in wanted:
                await self._leave(number)
                break  # one at a time: while it moves, nobody is served there
        new = [number for number in wanted if number in free and number not in self._served]
        await self._take(new, on_ready)

    async def _look(self) -> tuple[set[int], set[int]]:
        """Return the partitions that are to be this engine's, and those that it may try to take."""
        everything = set(range(len(self._parts)))
        if self._presence is None and (self._takeover or self._served):
            return everything, everything
        picture = await look(self._client, self._parts[0])
        dead = await self._dead(picture)
        self._over = {number: picture.revisions[number] for number in picture.owners if number in dead}
        # What is known for certain comes before what a replica says, which may be behind.
        owners = {
            number: by for number, by in picture.owners.items() if by != self._id and number not in dead
        }
        owners |= dict.fromkeys(self._served, self._id)
        engines = {by for by in picture.engines if by not in dead}
        wanted = spread(len(self._parts), {*engines, self._id}, owners)
        mine = {number for number, by in wanted.items() if by == self._id}
        return mine, everything if self._takeover else everything - owners.keys()

    async def _dead(self, picture: Picture) -> set[str | int]:
        """Return the keys of the picture that are without an engine: silent for a lease, or of one that was killed."""
        self._silence.note(picture)
        by_key: dict[str | int, str] = {by: by for by in picture.engines}
        by_key.update((number, by) for number, by in picture.owners.items())
        # Whoever has just begun has heard nobody for long, and asks about all: the first sign of a kill may be its own start.
        keys = self._silence.longer_than(_SUSPICIOUS) if self._has_looked else by_key.keys()
        self._has_looked = True
        gone = await self._calls.gone(sorted({by_key[key] for key in keys} - {self._id}))
        return self._silence.longer_than(TTL) | {key for key, by in by_key.items() if by in gone}

    async def _take(self, numbers: list[int], on_ready: Callable[[], None]) -> None:
        """Try to own these, and serve those that are owned; find out what lives, if it is time for that anyway."""
        new: dict[int, _Served] = {}
        try:
            for number in numbers:
                names = self._parts[number]
                ownership = Ownership(self._bucket, names, self._id, self._wake.set)
                if await ownership.acquire(takeover=self._takeover, silent=self._over.get(number, 0)):
                    self._left.discard(number)
                    new[number] = _Served(names, ownership, self._make(names, ownership))
            loop = asyncio.get_running_loop()
            due = bool(self._served) and loop.time() >= self._checkpoint_at
            if not (new or due or self._left & self._served.keys()):
                return
            serving, was_idle = {**self._served, **new}, not self._served
            checkpoints = await self._find_live_jobs(serving, new)
            for number, served in serving.items():
                checkpoint = checkpoints[number]
                if number in new:
                    await served.engine.start(checkpoint, self._checkpoint_due)
                    self._served[number] = new.pop(number)
                    await self._say(served.names.hello, number)
                    log.info(
                        "engine %s serves %s with %d live jobs",
                        self._id,
                        served.names.shown,
                        served.engine.jobs_in_memory,
                    )
                else:
                    await served.engine.adopt(checkpoint)
            if was_idle:
                on_ready()
            for number, checkpoint in checkpoints.items():
                saved, position = self._saved.get(number), checkpoint.position
                # Not what was found out before this process was suspended: another engine may have noted more since.
                if serving[number].ownership.sure and (saved is None or saved.last != position):
                    await save(self._client, serving[number].names, checkpoint)
                    self._saved[number] = _Saved(position, before=position if saved is None else saved.last)
            often = _CHECKPOINT_EVERY if len(self._parts) == 1 else CHECKPOINT_OFTEN
            self._checkpoint_at = loop.time() + often
        finally:
            # What could not be served is given up.
            for served in new.values():
                await served.engine.stop()
                await served.ownership.release()

    async def _find_live_jobs(
        self, serving: Mapping[int, _Served], new: Mapping[int, _Served]
    ) -> dict[int, Checkpoint]:
        """Return which jobs live in each partition as of now; of the log only that is read which may tell something new.

        Of a partition that is served, that is what somebody else has written to it. Where it is all there is, this lies
        between the engine's own commits. Where there are several, there lies what all the others do: 27 µs for each commit,
        and a task of a chain costs its own engine five times that (Python 3.11). So it is read only when an engine that had
        the partition before says that it has left: what it wrote to the end is in the log then, and was not there when the
        last checkpoint but one was written.
        """
        known = {number: served.engine.checkpoint() for number, served in self._served.items()}
        read = dict(serving if len(self._parts) == 1 else new)
        if len(self._parts) > 1:
            for number in self._left & self._served.keys():
                read[number] = self._served[number]
                known[number] = Checkpoint(self._saved[number].before, known[number].live)
        self._left -= self._served.keys()
        parts = [served.names for served in read.values()]
        found = await find_live_jobs(self._client, parts, known) if parts else []
        return {**known, **dict(zip(read, found, strict=True))}

    async def _leave(self, number: int) -> None:
        """Serve a partition no longer: answer everyone who waits, write what is decided, and only then give it up."""
        served = self._served.pop(number)
        self._saved.pop(number, None)
        await served.engine.stop()
        await served.ownership.release()
        with contextlib.suppress(nats.errors.Error):
            await self._say(served.names.farewell, number)
        log.info("engine %s has left %s", self._id, served.names.shown)

    def _checkpoint_due(self) -> None:
        self._checkpoint_at = 0.0
        self._wake.set()

    # -- other engines --------------------------------------------------------------------------------------------

    async def _say(self, subject: str, number: int) -> None:
        await self._client.publish(subject, p.encode(p.Presence(self._id, number)))
        await self._client.flush()

    async def _greeted(self, message: Msg) -> None:
        """An engine serves a partition: if it is one of ours, that has been taken over."""
        presence = p.presence(message.data)
        if presence.engine != self._id and presence.partition in self._served:
            self._served[presence.partition].ownership.lose(f"engine {presence.engine} serves it")
        self._wake.set()

    async def _parted(self, message: Msg) -> None:
        """An engine has left a partition: if it is one of ours, it wrote to it until now."""
        presence = p.presence(message.data)
        if presence.engine != self._id:
            self._left.add(presence.partition)
            self._wake.set()

"""Writing to a stream: all entries of a call or none, and only where nobody else has written.

Every write names, for each subject, the position of the message it was decided on (the "expected last sequence"); the
server refuses it if another came in between. One entry is one publish. Several are one atomic batch, which costs the
server some milliseconds of staging: only for what must change together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple
from uuid import uuid4

import nats.errors
from eventsourcing.persistence import IntegrityError, OperationalError, ProgrammingError
from nats.js.api import PubAck
from nats.js.errors import APIError, NoStreamResponseError

from . import errors
from .bridge import Link
from .heads import Head, Heads
from .messages import record_in
from .reading import first_after, last

#: the server's own limit for an atomic batch
LARGEST_BATCH = 1000
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_ATTEMPTS = 3
#: atomic batches this process has under way in one stream; the server takes 50 from all together
_BATCHES = 12


class Order(Enum):
    """Which version may follow the last one of a subject."""

    GAPLESS = "the next one, from 0 or 1"
    RISING = "any higher one"
    ONCE = "none"

    def allows(self, version: int, after: int | None) -> bool:
        match self:
            case Order.GAPLESS:
                return version in (0, 1) if after is None else version == after + 1
            case Order.RISING:
                return after is None or version > after
            case Order.ONCE:
                return after is None


class Entry(NamedTuple):
    """One message to write."""

    subject: str
    version: int
    payload: bytes
    order: Order


class Appender:
    """Writes entries to one stream. To be used on the loop's thread only.

    Errors of `append`: IntegrityError when others wrote first, or when a version does not follow the last one;
    ProgrammingError for too many entries; OperationalError when the outcome stayed unknown.
    """

    def __init__(self, link: Link, stream: str, heads: Heads) -> None:
        self._link = link
        self._stream = stream
        self._heads = heads
        self._batches = asyncio.Semaphore(_BATCHES)

    async def append(self, entries: Sequence[Entry]) -> int:
        """Return the position of the first entry; the others follow it without a gap."""
        if len(entries) > LARGEST_BATCH:
            raise ProgrammingError(
                f"{len(entries)} events at once are more than the {LARGEST_BATCH} that JetStream stores atomically: "
                "save in several steps, or pack more into one event"
            )
        firsts = _firsts(entries)
        expected: dict[str, int] = {}
        for entry in firsts:
            expected[entry.subject] = await self._expected(entry)
        unanswered = 0
        while unanswered < _ATTEMPTS:
            refused = False
            try:
                return self._written(entries, await self._publish(entries, expected))
            except (TimeoutError, NoStreamResponseError) as error:
                if isinstance(error, NoStreamResponseError) and not unanswered:
                    raise  # nobody was there to store it
                unanswered += 1
            except APIError as error:
                match error.err_code:
                    case errors.WRONG_LAST_SEQUENCE:
                        refused = True
                    case errors.BATCH_INCOMPLETE:  # a part was lost with the connection: nothing was stored
                        unanswered += 1
                    case _:
                        raise
            if unanswered:
                # a write may have taken effect although no answer came, and repeating it is then refused as out of
                # place. Only the log can tell: the bytes at our place are ours or another's
                try:
                    found = await self._found(entries, expected[entries[0].subject])
                except nats.errors.Error:
                    unanswered += 1
                    continue  # to write again is safe: twice is once, by the expected position
                if found is not None:
                    return self._written(entries, found)
            if refused:
                await self._correct(firsts, expected)
        raise OperationalError(
            f"no answer to {_ATTEMPTS} attempts to write to stream {self._stream!r}: whether one took effect "
            "is unknown, read before writing again"
        )

    async def _found(self, entries: Sequence[Entry], expected: int) -> int | None:
        """Return the position of the first entry if all were stored after all, None if nothing came after `expected`.

        Errors: IntegrityError when something else did.
        """
        entry = entries[0]
        found = await first_after(self._link.js, self._stream, entry.subject, expected)
        if found is None or record_in(self._stream, found).version < entry.version:
            return None  # in the latter case the expectation was a guess, and wrong
        for stored, each in enumerate(entries, start=found.position):
            message = await first_after(self._link.js, self._stream, each.subject, stored - 1)
            if message is None or message.position != stored or message.payload != each.payload:
                raise IntegrityError(
                    f"others wrote position {found.position} of {entry.subject!r} before version {entry.version} "
                    "arrived: load again and decide anew"
                )
        return found.position

    async def _expected(self, entry: Entry) -> int:
        """Return the position after which the entry must come to stand; 0 for none."""
        head = self._heads.get(entry.subject)
        if head is None and entry.order is not Order.RISING and entry.order.allows(entry.version, after=None):
            # most probably the subject is new. If it is not, the server refuses, and only then it is worth a look
            return 0
        if head is None or not entry.order.allows(entry.version, head.version):
            head = await self._head(entry)
        return head.position if head else 0

    async def _head(self, entry: Entry) -> Head | None:
        """Return what the leader has last of the entry's subject. Errors: IntegrityError if this cannot follow."""
        message = await last(self._link.js, self._stream, entry.subject)
        head = None if message is None else Head(record_in(self._stream, message).version, message.position)
        if not entry.order.allows(entry.version, head.version if head else None):
            has = f"has version {head.version} at position {head.position}" if head else "is empty"
            raise IntegrityError(
                f"version {entry.version} cannot be written to {entry.subject!r}, which {has} "
                f"and takes {entry.order.value}: load again and decide anew"
            )
        return head

    async def _correct(self, firsts: Sequence[Entry], expected: dict[str, int]) -> None:
        """After a refusal, expect what the leader has. Errors: IntegrityError if an entry cannot follow that."""
        before = dict(expected)
        for entry in firsts:
            head = await self._head(entry)
            expected[entry.subject] = head.position if head else 0
        if expected == before:
            raise IntegrityError(
                f"others write to {', '.join(expected)} at this moment: load again and decide anew"
            )

    async def _publish(self, entries: Sequence[Entry], expected: Mapping[str, int]) -> int:
        """Return the position of the first entry."""
        if len(entries) == 1:
            subject, _, payload, _ = entries[0]
            headers = {_EXPECTED: str(expected[subject])}
            return (await self._link.js.publish(subject, payload, stream=self._stream, headers=headers)).seq
        async with self._batches:
            ack = await self._publish_batch(entries, expected)
        return ack.seq - len(entries) + 1

    async def _publish_batch(self, entries: Sequence[Entry], expected: Mapping[str, int]) -> PubAck:
        batch = uuid4().hex
        seen: set[str] = set()
        for number, (subject, _, payload, _) in enumerate(entries, start=1):
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            if subject not in seen:
                # a second expectation for a subject of the same batch would be compared with what was before it
                headers[_EXPECTED] = str(expected[subject])
                seen.add(subject)
            if number < len(entries):
                await self._link.nc.publish(subject, payload, headers=headers)
        headers["Nats-Batch-Commit"] = "1"
        return await self._link.js.publish(subject, payload, stream=self._stream, headers=headers)

    def _written(self, entries: Sequence[Entry], first: int) -> int:
        for position, entry in enumerate(entries, start=first):
            if entry.order is not Order.ONCE:
                self._heads.note(entry.subject, Head(entry.version, position))
        return first


def _firsts(entries: Sequence[Entry]) -> list[Entry]:
    """Return the first entry of each subject. Errors: IntegrityError when one does not follow its predecessor."""
    firsts: dict[str, Entry] = {}
    lasts: dict[str, Entry] = {}
    for entry in entries:
        before = lasts.get(entry.subject)
        if before is not None and not entry.order.allows(entry.version, before.version):
            raise IntegrityError(
                f"version {entry.version} follows version {before.version} of {entry.subject!r} in one call, "
                f"which takes {entry.order.value}"
            )
        firsts.setdefault(entry.subject, entry)
        lasts[entry.subject] = entry
    return list(firsts.values())

"""Moving the feed along the log. What it says itself is all that is known of how far it is: so it may end anywhere.

The last message of the feed names the commit it comes from. That commit is told again, what was published of it is left
out, and everything goes on from there. Where all messages were discarded meanwhile, the log is told from its beginning,
and as many messages as there were are left out.
"""

from __future__ import annotations

from collections import deque

from jobledger.projections.feed import FeedEncoder, FeedMessage, Place, Unsent, told, told_damaged

from ..nats.names import Names
from ..nats.stored import StoredMessage
from ..nats.tail import Tail
from ..nats.wire import Wire
from .contexts import Contexts, Unreadable, read_commit
from .outbox import BATCH, BATCH_BYTES, Outbox
from .stream import Head


class Publisher:
    """Publishes from where the feed is, until told to stop or until somebody else does."""

    def __init__(self, client: Wire, names: Names, contexts: Contexts | None = None) -> None:
        self._client = client
        self._names = names
        self._contexts = contexts or Contexts(client, names)
        self._encoder = FeedEncoder(names.namespace)
        self._outbox = Outbox(client, names)
        self._waiting: list[FeedMessage] = []
        self._waiting_bytes = 0
        self._sequence = 0  # of the last message that was encoded
        self._tail: Tail | None = None
        self._stopped = False
        self._job_at = len(names.log_subject(""))
        self._read = 0  # position of the last commit that was read whole
        # Number of the last message of each write, and the commit up to which all is told by then.
        self._told_by: deque[tuple[int, int]] = deque()
        self._position = 0

    @property
    def position(self) -> int:
        """Up to which commit of the log the feed is known to be published."""
        while self._told_by and self._told_by[0][0] <= self._outbox.stored:
            self._position = self._told_by.popleft()[1]
        return self._position

    @property
    def stored(self) -> int:
        """Number of the last message that this publisher knows to be stored."""
        return self._outbox.stored

    def stop(self) -> None:
        """Make `run` return soon. To be called on its loop."""
        self._stopped = True
        if self._tail is not None:
            self._tail.stop()

    async def run(self, head: Head) -> None:
        """Publish what is behind `head` until told to stop.

        Errors: Overtaken when another publisher goes on; ServerAway; StreamMissing; as `Tail.open` and `Outbox.send`.
        """
        unpublished = _Unpublished(head)
        self._sequence = self._outbox.stored = head.sequence
        self._read = self._position = 0 if head.id is None else head.id.position - 1
        await self._outbox.open()
        try:
            self._tail = await Tail.open(
                self._client, self._names.log_stream, self._names.log_subjects, after=self._read
            )
            if self._stopped:
                return
            async for message in self._tail:
                for unsent in unpublished.of(await self._told(message)):
                    await self._add(unsent)
                self._read = message.position
                if not self._tail.has_more:
                    # What comes meanwhile is published together.
                    await self._flush()
                    await self._outbox.settle()
                    self._position = self._read
            await self._flush()
            await self._outbox.settle()
        finally:
            if self._tail is not None:
                await self._tail.close()
            await self._outbox.close()

    async def _told(self, message: StoredMessage) -> list[Unsent]:
        """Return what there is to say of a commit, and keep what is remembered of its job."""
        job_id = message.subject[self._job_at :]
        position, payload = message.position, message.payload
        try:
            version, commit = read_commit(payload)
        except Unreadable as error:
            context = await self._contexts.take(job_id, position, None)
            place = Place(job_id, position, context.version + 1, None)
            unsent = told_damaged(context, place, str(error), len(payload))
            settled = False
        else:
            context = await self._contexts.take(job_id, position, version)
            unsent = told(context, Place(job_id, position, version, commit.at), commit.events)
            settled = commit.settled
        if not settled:
            self._contexts.keep(job_id, context)
        return unsent

    async def _add(self, unsent: Unsent) -> None:
        self._sequence += 1
        message = self._encoder.encode(unsent, self._sequence)
        self._waiting.append(message)
        self._waiting_bytes += len(message.payload)
        if len(self._waiting) >= BATCH or self._waiting_bytes >= BATCH_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if self._waiting:
            messages, self._waiting, self._waiting_bytes = self._waiting, [], 0
            await self._outbox.send(messages, after=self._sequence - len(messages))
            self._told_by.append((self._sequence, self._read))


class _Unpublished:
    """Which messages are not in the feed yet."""

    def __init__(self, head: Head) -> None:
        self._last = head.id
        self._discarded = head.sequence if head.id is None else 0

    def of(self, unsent: list[Unsent]) -> list[Unsent]:
        if self._discarded:
            known = min(self._discarded, len(unsent))
            self._discarded -= known
            return unsent[known:]
        if self._last is None:
            return unsent
        last = self._last
        found = [one for one in unsent if one.id > last]
        if found:
            self._last = None  # everything from here on comes behind it
        return found

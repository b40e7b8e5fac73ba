"""Answering what clients ask of a view."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.jobs import JobRow
from jobledger.projections.moments import Moment

from ..nats.asking import jetstream
from ..nats.moments import check_position
from ..nats.names import Names, is_answerable
from ..nats.wire import Wire
from ..protocol import Refused, Unavailable
from . import protocol as v
from .past import BeingMade, Past
from .progress import Progress
from .projector import Projector
from .store import JobStore, StoreAway, StoreDamaged

log = logging.getLogger(__name__)

_QUEUE = "projector"
_LONGEST_WAIT = 10.0  # seconds
#: seconds in which a view that falls behind may come up to the end the log has as the question arrives
_FRESH = 0.5
#: share of the server's largest message that a page fills at most; a single row may fill more
_SHARE = 0.5
_encode = msgspec.msgpack.Encoder().encode


class Service:
    """Answers from one store, on one connection, from `start` to `stop`."""

    def __init__(
        self,
        client: Wire,
        names: Names,
        projector_id: str,
        store: JobStore,
        projector: Projector,
        progress: Progress,
        past: Past,
    ) -> None:
        self._client = client
        self._names = names
        self._store = store
        self._projector = projector
        self._progress = progress
        self._past = past
        self._id = projector_id
        self.damaged = asyncio.Event()  #: the store cannot be read any more, and is to be opened again
        self._subscriptions: list[Subscription] = []
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        for subject, queue in ((self._names.query, _QUEUE), (self._names.views, "")):
            self._subscriptions.append(await self._client.subscribe(subject, queue=queue, cb=self._accept))
        await self._client.flush()

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            try:
                await subscription.unsubscribe()
            except nats.errors.Error as error:
                log.debug("leaving: %s", error)
        answering = list(self._answering)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)

    async def _accept(self, message: Msg) -> None:
        task = asyncio.create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Msg) -> None:
        reply: v.Reply
        try:
            reply = await self._replied(v.decode_request(message.data))
        except UNDECODABLE as error:
            reply = Refused("invalid", f"the request cannot be decoded: {error}")
        except ArgumentError as error:
            reply = Refused("invalid", str(error))
        except StoreDamaged as error:
            self.damaged.set()
            reply = Unavailable(str(error))
        except StoreAway as error:
            reply = Unavailable(str(error))
        except asyncio.CancelledError:
            reply = Unavailable("this projector is leaving")
        except Exception as error:
            log.exception("a question could not be answered")
            reply = Refused("internal", f"the projector failed on this question: {error!r}. See its log")
        if is_answerable(message.reply):
            try:
                await self._client.publish(message.reply, v.encode(reply))
            except nats.errors.Error as error:
                log.warning("an answer could not be sent: %s", error)

    async def _replied(self, request: v.Request) -> v.Reply:
        match request:
            case v.FindJobs() | v.CountJobs():
                return await self._answered(request)
            case v.RebuildView():
                self._projector.rebuild()
        return self._status()

    async def _answered(self, question: v.Question) -> v.Reply:
        wait = min(max(0.0, question.wait), _LONGEST_WAIT)
        if question.at is not None:
            return await self._answered_as_of(question.at, question, wait)
        await self._progress.reach(await self._end_of_log(), min(wait, _FRESH))
        if not await self._progress.reach(question.after, wait):
            return self._behind(question, self._progress.position)
        reply = await asyncio.to_thread(self._found, self._store, question)
        # Looked at again: someone else may have dropped the view in between.
        if reply.position < max(question.after, self._progress.target):
            return self._behind(question, reply.position)
        return reply

    async def _answered_as_of(self, moment: Moment, question: v.Question, wait: float) -> v.Reply:
        """Answer from a view of the past. Errors: ArgumentError for a position beyond the end of the log; as `Past.at`."""
        end = await self._end_of_log()
        if not end:
            return Unavailable("the end of the log is not known just now")
        if moment.position is not None:
            check_position(moment.position, end)
        try:
            async with self._past.at(moment, end, wait) as store:
                return await asyncio.to_thread(self._found, store, question)
        except BeingMade as error:
            return Unavailable(f"the jobs as of {moment} are being read from the log: {error}")

    async def _end_of_log(self) -> int:
        """Return the position of the newest commit; 0 if it cannot be had just now."""
        try:
            info = await jetstream(self._client, f"STREAM.INFO.{self._names.log_stream}", {})
        except JobLedgerError as error:
            log.info("the end of the log is not known: %s", error)
            return 0
        end: int = info["state"]["last_seq"]
        return end

    def _behind(self, question: v.Question, position: int) -> Unavailable:
        needed = max(question.after, self._progress.target)
        return Unavailable(
            f"the view in {self._store.shown} tells of the log up to position {position:,} yet, and has to come to "
            f"{needed:,} first"
        )

    def _found(self, store: JobStore, question: v.Question) -> v.JobPage | v.JobCount:
        if isinstance(question, v.CountJobs):
            return v.JobCount(*store.count(question.wanted), question.at)
        limit = min(max(1, question.limit), v.LARGEST_PAGE)
        rows, position = store.page(question.wanted, behind=question.behind, limit=limit)
        fitting = self._fitting(rows)
        return v.JobPage(fitting, len(fitting) < len(rows) or len(rows) == limit, position, question.at)

    def _fitting(self, rows: list[JobRow]) -> list[JobRow]:
        room = int(self._client.max_payload * _SHARE)
        for index, row in enumerate(rows):
            room -= len(_encode(row))
            if room < 0:
                return rows[: max(1, index)]
        return rows

    def _status(self) -> v.ViewStatus:
        progress, projector = self._progress, self._projector
        return v.ViewStatus(
            self._id,
            self._store.shown,
            progress.position,
            progress.target,
            projector.moves,
            projector.is_asked_to_rebuild,
        )

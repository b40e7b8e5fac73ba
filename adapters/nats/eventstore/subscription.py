"""The subscription to an application's events: an iterator over notifications that waits for those to come."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from eventsourcing.persistence import Notification, OperationalError, Subscription

from .errors import translated
from .following import ROOM, Follower
from .messages import Message
from .stream import EventStream

if TYPE_CHECKING:
    from .recorders import JetStreamApplicationRecorder


class JetStreamSubscription(Subscription["JetStreamApplicationRecorder"]):
    """Iterates over notifications with ids greater than `gt`, of these topics if any are given.

    Errors while iterating: DataError for a damaged message; OperationalError when the recorder's connection is
    closed, ProgrammingError when the stream is deleted. A server that is away is waited for.
    """

    def __init__(
        self,
        recorder: JetStreamApplicationRecorder,
        stream: EventStream,
        subject: str | None,
        *,
        gt: int | None = None,
        topics: Sequence[str] = (),
    ) -> None:
        super().__init__(recorder, gt=gt, topics=topics)
        self._bridge = stream.bridge
        #: messages, then what ended them; None wakes whoever waits
        self._arrived: SimpleQueue[Message | BaseException | None] = SimpleQueue()
        self._follower = Follower(
            stream.bridge.link,
            stream.name,
            subject,
            gt or 0,
            deliver=self._arrived.put,
            waiting=self._arrived.qsize,
        )
        self._following = self._bridge.start(self._follower.run())
        self._following.add_done_callback(partial(_end, self._arrived))

    def stop(self) -> None:
        super().stop()
        self._following.cancel()
        self._arrived.put(None)

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            arrived = self._arrived.get()
            match arrived:
                case Message():
                    if self._arrived.qsize() == ROOM // 2:
                        self._bridge.soon(self._follower.make_way)
                    notification = self._recorder.notification(arrived)
                    if not self._topics or notification.topic in self._topics:
                        return notification
                case None if not self._has_been_stopped:
                    self.stop()
                    raise OperationalError(
                        "the recorder's connection was closed under this subscription: stop subscriptions first"
                    )
                case BaseException():
                    self.stop()
                    raise translated(arrived) from arrived
        self._arrived.put(None)  # for others that wait on the same subscription
        raise StopIteration


def _end(arrived: SimpleQueue[Message | BaseException | None], following: Future[None]) -> None:
    arrived.put(None if following.cancelled() else following.exception())

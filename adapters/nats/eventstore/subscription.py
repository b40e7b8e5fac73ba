"""The subscription to an application's events: an iterator over notifications that waits for those to come."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from eventsourcing.persistence import Notification, OperationalError, Subscription

from .backlog import Backlog
from .errors import translated
from .following import Follower
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
        rest: float = 0.0,
    ) -> None:
        super().__init__(recorder, gt=gt, topics=topics)
        self._bridge = stream.bridge
        self._backlog = Backlog()
        self._follower = Follower(stream.bridge.link, stream.name, subject, gt or 0, self._backlog, rest=rest)
        self._following = self._bridge.start(self._follower.run())
        self._following.add_done_callback(partial(_end, self._backlog))

    @property
    def waiting(self) -> bool:
        """Whether the next notification is here already: taking it will not block."""
        return not self._backlog.is_empty

    def hurry(self, hurried: bool) -> None:
        """Whether to take no `rest`: somebody waits for what may have come."""
        self._bridge.soon(partial(self._follower.hurry, hurried))

    def stop(self) -> None:
        super().stop()
        self._following.cancel()
        self._backlog.end(None)

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            arrived = self._backlog.get()
            if self._has_been_stopped:
                break
            if not isinstance(arrived, Message):
                self.stop()
                if arrived is not None:
                    raise translated(arrived) from arrived
                raise OperationalError(
                    "the recorder's connection was closed under this subscription: stop subscriptions first"
                )
            if self._backlog.paused and not self._backlog.is_full:
                self._backlog.paused = False
                self._bridge.soon(self._follower.resume)
            notification = self._recorder.notification(arrived)
            if not self._topics or notification.topic in self._topics:
                return notification
        self._backlog.end(None)  # for others that wait on the same subscription
        raise StopIteration


def _end(backlog: Backlog, following: Future[None]) -> None:
    backlog.end(None if following.cancelled() else following.exception())

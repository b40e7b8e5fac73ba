"""Jobs and tasks that go no further: what has not begun is given back, and what runs is told if it was canceled."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg

from jobledger.core.undecodable import UNDECODABLE

from ... import protocol as p
from ...link import Link
from ..assignment import Assignments
from ..running.limits import Limits
from ..running.todo import Todo
from .outbox import Outbox

log = logging.getLogger(__name__)


async def listen(link: Link, cluster: str, halt: Callable[[p.Halted], None]) -> Callable[[], Awaitable[None]]:
    """Have `halt` called with what all runners of a cluster are told, until what is returned is called.

    What is missed comes in answers.
    """

    async def told(message: Msg) -> None:
        try:
            halted = p.decode_halted(message.data)
        except UNDECODABLE as error:
            log.error("the engine says that something was halted, but it cannot be read: %s", error)
        else:
            halt(halted)

    return await link.listen(link.names.halted(cluster), told)


class Halts:
    """Does what the engine of a partition says, wherever it says so: to all runners, or in answer to this one."""

    def __init__(
        self,
        todo: Todo,
        assignments: Assignments,
        outbox: Outbox,
        limits: Limits,
        on_news: Callable[[], None],
        on_over: Callable[[str], None] = lambda job_id: None,
    ) -> None:
        """`on_news` is called when there may be something to report, `on_over` with a job that goes no further."""
        self._todo = todo
        self._assignments = assignments
        self._outbox = outbox
        self._limits = limits
        self._on_news = on_news
        self._on_over = on_over

    def halt(self, halted: p.Halted) -> None:
        """Begin no more of this job, or of these tasks of it."""
        self._outbox.give_back(self._todo.take_back_job(halted.job_id, halted.tasks), "it was halted")
        if halted.canceled:
            self._assignments.notify(halted)
            self._limits.told()
        if halted.tasks is None:
            self._on_over(halted.job_id)
        self._on_news()

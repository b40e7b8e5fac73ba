"""Asking projectors: a question across jobs, how their views stand, to make them anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from jobledger.core.errors import ArgumentError, JobLedgerError, ServerAway, ServerUnavailable

from ..gathering import gather

if TYPE_CHECKING:
    from ...nats.wire import Wire
    from ...views.protocol import JobCount, JobPage, Question, Request, ViewStatus
    from ..session import Session

T = TypeVar("T", bound="JobPage | JobCount")

_WAIT = 3.0  # seconds a projector waits for its view to be new enough, before it says that it is not
#: seconds in which a projector must show up: one that the embedded server has to start takes one or two
_APPEARANCE = 10.0
_LOOK = 0.2


async def ask_view(session: Session, question: Callable[[float], Question], kind: type[T]) -> T:
    """Return the answer of one of the projectors.

    Shape:  `question` makes the question of the seconds to wait for a view that is new enough.
    Errors: ArgumentError; ServerUnavailable, if no projector answers, or its view stays behind.
    """
    import nats.errors

    from ...nats.asking import ask
    from ...protocol import Refused, Unavailable
    from ...views.protocol import decode_reply, encode

    link = await session.link()
    appears = time.monotonic() + _APPEARANCE

    async def asked(client: Wire) -> object:
        try:
            answer = await ask(client, session.names.query, encode(question(_WAIT)))
        except nats.errors.NoRespondersError:
            if time.monotonic() > appears:
                raise _nobody(session) from None
            raise _nobody(session, ServerAway) from None
        reply = decode_reply(answer.data)
        if isinstance(reply, Unavailable):
            raise ServerAway(reply.message)
        return reply

    reply = await link.work(asked, patience=session.patience)
    if isinstance(reply, Refused):
        raise (ArgumentError if reply.code == "invalid" else JobLedgerError)(reply.message)
    assert isinstance(reply, kind)
    return reply


def _nobody(session: Session, kind: type[ServerUnavailable] = ServerUnavailable) -> ServerUnavailable:
    namespace = session.names.namespace
    return kind(
        f"no projector serves namespace {namespace!r}: questions across jobs are answered by one. Start it beside the "
        f"engine: jobledger projector --url ADDRESS --namespace {namespace} --store sqlite:///jobs.sqlite3 (or "
        "postgresql://…). The embedded server starts one by itself; its log says why it did not"
    )


async def views(session: Session) -> list[ViewStatus]:
    """Return what every projector of the namespace says of its view; [] if there is none.

    >>> [view.ready for view in client.jobs().views()]
    [True]
    """
    from ...views.protocol import DescribeView

    return await _all(session, DescribeView())


async def rebuild_views(session: Session, timeout: float | None = None) -> list[ViewStatus]:
    """Have every view dropped and made anew from the log; return how they stand when all are up to date.

    Questions wait meanwhile, or are told that the view is behind.
    Units:  `timeout` is seconds; None waits without limit.
    Errors: TimeoutError, the rebuilding goes on then; ServerUnavailable if there is no projector.

    >>> [view.ready for view in client.jobs().rebuild_views(timeout=60)]
    [True]
    """
    from ...views.protocol import RebuildView
    from ..arguments import seconds

    until = time.monotonic() + seconds("timeout", timeout)
    asked = await _all(session, RebuildView())
    if not any(view.moves for view in asked):
        raise _nobody(session)
    while True:
        found = await views(session)
        if found and all(view.ready and not view.rebuilds for view in found):
            return found
        if time.monotonic() > until:
            told = ", ".join(f"{view.store} is at {view.position:,} of {view.target:,}" for view in found)
            raise TimeoutError(f"not rebuilt within {timeout:g} s: {told}. It goes on")
        await asyncio.sleep(_LOOK)


async def _all(session: Session, request: Request) -> list[ViewStatus]:
    """Return the answers of all projectors."""
    from ...views.protocol import ViewStatus, decode_reply, encode

    def status(answer: bytes) -> ViewStatus | None:
        reply = decode_reply(answer)
        return reply if isinstance(reply, ViewStatus) else None

    found = await gather(session, session.names.views, encode(request), status)
    return sorted({view.projector: view for view in found}.values(), key=lambda view: view.projector)

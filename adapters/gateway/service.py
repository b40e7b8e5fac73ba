"""Answering JSON requests, on one connection: decode, carry out, reply. Whatever arrives, a reply goes out.

The engine is not spoken to in passing: requests travel to it as those of any client do, so that this may stand beside an
engine that serves, beside one that stands by, or alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.aio.msg import Msg

from ..link import Callback, Link
from ..nats.names import is_answerable
from .decoding import decoder_of, nearest
from .discovery import Endpoint, announce
from .operations import OPERATIONS, Operation
from .problems import CODES, Problem, problem_of
from .replies import Error, ErrorFacts
from .session import ApiSession

log = logging.getLogger(__name__)

QUEUE = "api"
#: seconds after which every request is answered; one that waits for a job: after its timeout and these
ANSWERED = 6.0
_LAST_REPLIES = 1.0  # seconds a service that leaves gives what it is at
_SHOWN = 200  # characters of a message that a header tells

_encode = msgspec.json.Encoder().encode


class Limits(NamedTuple):
    """What is carried out at a time."""

    requests: int = 200  #: of each operation
    waiting: int = 2_000  #: of those that wait for a job
    bytes: int = 64 * 1024 * 1024  #: in which all of them came


class Service:
    """Answers JSON requests from `start` to `stop`."""

    def __init__(self, session: ApiSession, limits: Limits = Limits()) -> None:  # noqa: B008  it never changes
        self._session = session
        self._limits = limits
        self._names = session.names
        self._endpoints = [Endpoint(name, self._names.api_subject(name), QUEUE) for name in OPERATIONS]
        self._ends: list[Callable[[], Awaitable[None]]] = []
        self._open: dict[asyncio.Task[None], int] = {}  #: what is carried out, and how many bytes it came in
        self._waiting: set[asyncio.Task[None]] = set()  #: of these, what waits for a job
        self._leaving = False

    async def start(self) -> None:
        """Connect, and begin to answer. Errors: as `Session.link`."""
        link = await self._session.link()
        for endpoint in self._endpoints:
            accept = self._accepts(link, endpoint, OPERATIONS[endpoint.name])
            self._ends.append(await link.listen(endpoint.subject, accept, endpoint.queue))
        # A queue of its own: servers take subscriptions of one queue that match a subject for one and the same.
        unknown = self._accepts_unknown(link)
        self._ends.append(await link.listen(f"{self._names.api}.>", unknown, f"{QUEUE}-unknown"))
        self._ends += await announce(link, self._names.namespace, self._endpoints)
        with contextlib.suppress(nats.errors.Error):  # a connection that broke takes them up as it comes back
            await link.nc.flush()

    async def stop(self) -> None:
        """Take no more requests, carry out those that take no time, and tell the others to ask again."""
        self._leaving = True
        for end in self._ends:
            await end()
        for task in self._waiting:
            task.cancel()
        while self._open:
            # Again and again: until Python 3.12, a cancellation that meets the answer to a request is lost.
            await asyncio.wait(self._open, timeout=_LAST_REPLIES)
            for task in self._open:
                task.cancel()

    # -- requests -------------------------------------------------------------------------------------------------

    def _accepts(self, link: Link, endpoint: Endpoint, operation: Operation) -> Callback:
        """Return what takes the requests for an operation."""
        decode = decoder_of(operation.request)
        limits = self._limits
        most = limits.waiting if operation.waits else limits.requests
        open_here: set[asyncio.Task[None]] = self._waiting if operation.waits else set()

        async def answer(message: Msg) -> None:
            began = time.perf_counter_ns()
            reply = await self._replied(endpoint, operation, decode, message.data)
            endpoint.took(time.perf_counter_ns() - began)
            await _send(link, message, reply, endpoint)

        async def accept(message: Msg) -> None:
            size = len(message.data)
            if self._leaving:
                await _send(link, message, _LEAVING, endpoint)
            elif len(open_here) >= most or (self._open and sum(self._open.values()) + size > limits.bytes):
                await _send(link, message, _BUSY, endpoint)
            else:
                task = asyncio.create_task(answer(message))
                open_here.add(task)
                self._open[task] = size
                task.add_done_callback(open_here.discard)
                task.add_done_callback(self._open.pop)

        return accept

    async def _replied(
        self, endpoint: Endpoint, operation: Operation, decode: Callable[[bytes], Any], data: bytes
    ) -> bytes | Problem:
        """Carry out a request, and return the reply, or what came in the way."""
        within = ANSWERED
        try:
            request = decode(data)
            within += request.timeout if operation.waits else 0.0
            async with asyncio.timeout(within):
                reply = _encode({"ok": await operation.run(self._session, request)})
                room = await self._session.max_payload()
        except TimeoutError:
            return Problem("unavailable", f"no answer within {within:g} s. {_REPEAT}")
        except asyncio.CancelledError:
            return _LEAVING
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                log.exception("a request to %s failed", endpoint.subject)
                problem = Problem("internal", "the service failed on this request: its log says why")
            return problem
        if len(reply) > room:
            return Problem("too_large", f"the reply takes {len(reply):,} bytes: set a smaller `limit`")
        return reply

    def _accepts_unknown(self, link: Link) -> Callback:
        """Return what answers requests under names that mean nothing: silence would read as if nobody were here."""
        known = {endpoint.subject for endpoint in self._endpoints}
        there = [f"v1.{name}" for name in OPERATIONS]

        async def accept(message: Msg) -> None:
            if message.subject in known:
                return
            asked = message.subject.removeprefix(f"{self._names.api}.")[:100]
            problem = f"there is no operation {asked!r}. {nearest(asked, there)}"
            await _send(link, message, Problem("unknown_operation", problem))

        return accept


async def _send(link: Link, message: Msg, reply: bytes | Problem, endpoint: Endpoint | None = None) -> None:
    if isinstance(reply, Problem) and endpoint is not None:
        endpoint.failed(reply.code)
    if not is_answerable(message.reply):
        return  # nobody wants to know
    try:
        if isinstance(reply, bytes):
            await link.nc.publish(message.reply, reply)
        else:
            await link.nc.publish(message.reply, _encode(_error(reply)), headers=_headers(reply))
    except nats.errors.Error as error:
        log.warning("a reply could not be sent: %s", error or type(error).__name__)


def _error(problem: Problem) -> Error:
    facts = ErrorFacts(
        code=problem.code,
        message=problem.message,
        field=problem.field,
        temporary=CODES[problem.code].temporary,
    )
    return Error(error=facts)


def _headers(problem: Problem) -> dict[str, str]:
    """Return what tells clients of NATS micro services that a reply is an error."""
    text = problem.message.encode("ascii", "replace").decode()
    shown = "".join(character if character.isprintable() else " " for character in text[:_SHOWN])
    return {
        "Nats-Service-Error": f"{problem.code}: {shown}",
        "Nats-Service-Error-Code": str(CODES[problem.code].status),
    }


_REPEAT = (
    "What was asked for may or may not have happened: send the same request again, with its idempotency_key"
)
_LEAVING = Problem("unavailable", f"this service is leaving, perhaps for another one. {_REPEAT}")
_BUSY = Problem("busy", "too many requests of this kind are open: send it again a little later")

"""nats-py's connection with a short way in and a short way out.

nats-py passes each message it receives through a queue to a task of its subscription, and what is to be sent through
another to a task that writes: four turns of the event loop for a question and its answer. Here a message goes from
the socket to its callback within one call, and whatever one turn sends leaves in one write.

Everything else stays nats-py's: login, TLS, reconnecting, subscribing again, pings, errors, and every subscription
made with `subscribe`. What is touched of its private parts (`_read_loop`, `_pending`, `_remove_sub`, `_sid`) is pinned by
`tests/adapters/nats/test_wire.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport

from .frames import Deliver, Frames, find_header, find_status, parse_headers

log = logging.getLogger(__name__)

_CRLF = b"\r\n"
#: Bytes of a line. A server hangs up on who sends a longer one, and the subject of an answer is named by who asks.
LONGEST_LINE = 4096
_NUMBERS = 64  # bytes of a line beside the subjects


class Message:
    """A message that was read."""

    __slots__ = ("_block", "data", "reply", "subject")

    def __init__(self, subject: str, reply: str, data: bytes, block: bytes) -> None:
        self.subject = subject
        self.reply = reply
        self.data = data
        self._block = block

    @property
    def headers(self) -> dict[str, str] | None:
        """The headers, parsed when asked for: most are never looked at."""
        return parse_headers(self._block) if self._block else None

    @property
    def status(self) -> str:
        """What the server says in place of a message, such as "404"; "" where it is one."""
        return find_status(self._block)

    def header(self, name: bytes) -> str:
        """Return one header, "" if there is none, without a look at the others: 0.4 µs, not 5 (Python 3.11)."""
        return find_header(self._block, name)


Callback = Callable[[Message], None]


class Wire(Client):
    """A connection to a NATS server."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: dict[int, Callback] = {}  #: by subscription id
        self._turn_ends: list[Callable[[], None]] = []
        self._awake = False  #: the end of this turn is on its way

    async def listen(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        """Have `callback` called with every message on a subject, at once when it is read: it must not block.

        Shape:  of those who listen in one `queue` each message goes to one.
        """
        subscription = await self.subscribe(subject, queue)
        self._callbacks[subscription._id] = callback
        return subscription

    async def leave(self, subscriptions: Iterable[Subscription], *, timeout: float) -> None:
        """End subscriptions of `listen`, once what the server has sent to them by now is delivered.

        One round trip for all of them, and no longer than `timeout` seconds: one whose answer went down with the connection
        is not waited for as long as nats-py waits, which is ten seconds for each.
        """
        ending = list(subscriptions)
        try:
            with contextlib.suppress(nats.errors.Error, OSError):
                if self.is_connected:
                    for subscription in ending:
                        await self._send_unsubscribe(subscription._id)
                    await self.flush(timeout)  # type: ignore[arg-type]  # any number of seconds is fine
        finally:
            for subscription in ending:
                self._remove_sub(subscription._id)

    def post(self, subject: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        """Send a message. It leaves as this turn of the event loop ends, with everything else posted in it.

        Shape:  `headers` as they go over the wire, see `header_block`.
        Errors: ConnectionClosedError; OutboundBufferLimitError, when too much waits for a server that is away;
                MaxPayloadError; BadSubjectError, when the subjects are too long.
        """
        size = len(payload)
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if not self.is_connected and size + self._pending_data_size > self._max_pending_size:
            raise nats.errors.OutboundBufferLimitError
        if size + len(headers) > self._max_payload:  # the server counts both, and hangs up on who sends more
            raise nats.errors.MaxPayloadError
        if headers:
            line = f"HPUB {subject} {reply} {len(headers)} {len(headers) + size}\r\n".encode()
        else:
            line = f"PUB {subject} {reply} {size}\r\n".encode()
        if len(line) > LONGEST_LINE:
            raise nats.errors.BadSubjectError
        command = b"".join((line, headers, payload, _CRLF))
        self._pending.append(command)
        self._pending_data_size += len(command)
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += size
        self.wake()

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """As nats-py's. Errors: BadSubjectError, when the subjects are too long."""
        if len(subject) + len(reply) > LONGEST_LINE - _NUMBERS:
            raise nats.errors.BadSubjectError
        await super().publish(subject, payload, reply, headers)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """As nats-py's."""
        with _cancellations_kept():
            return await super().request(subject, payload, timeout, old_style, headers)

    async def flush(self, timeout: int = 10) -> None:
        """Return once the server has taken all that was sent before. Errors: as nats-py's."""
        self._send()  # its ping does not wait for what is pending
        try:
            with _cancellations_kept():
                await super().flush(timeout)
        except RuntimeError as error:  # uvloop's, of a socket that has just been closed
            raise nats.errors.ConnectionReconnectingError from error

    # -- turns ----------------------------------------------------------------------------------------------------

    def at_turn_end(self, work: Callable[[], None]) -> Callable[[], None]:
        """Have `work` called at the end of every turn that reads or posts, before what was posted leaves.

        Return what ends that. Work that comes up elsewhere makes itself heard by `wake`.
        """
        self._turn_ends.append(work)
        return lambda: self._turn_ends.remove(work)

    def wake(self) -> None:
        """See to it that the end of a turn comes soon."""
        if not self._awake:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _begin_turn(self) -> None:
        self._awake = True  # its end comes when all is delivered that was read

    def _end_turn(self) -> None:
        for work in tuple(self._turn_ends):
            try:
                work()
            except Exception:
                log.exception("work at the end of a turn failed")
        self._awake = False
        self._send()

    def _send(self) -> None:
        if self._pending and self.is_connected and self._transport is not None:
            pending, self._pending, self._pending_data_size = self._pending, [], 0
            try:
                self._transport.write(b"".join(pending))
            except (
                RuntimeError
            ) as error:  # uvloop's, of a socket that has just been closed: asyncio drops it without a word
                log.debug("what was sent went down with the connection: %s", error)

    # -- reading --------------------------------------------------------------------------------------------------

    async def _read_loop(self) -> None:
        """As nats-py's, but what somebody listens to does not come by here."""
        transport = self._transport
        if not isinstance(transport, TcpTransport):  # a websocket is read in a way of its own
            await super()._read_loop()
            return
        socket = _Socket(transport, self._deliver, self._begin_turn, self._end_turn)
        try:
            while not (self.is_closed or self.is_reconnecting):
                await self._ps.parse(await socket.rest())
        except nats.errors.UnexpectedEOF as error:
            await self._error_cb(error)
            await self._process_op_err(error)
        except (OSError, nats.errors.ProtocolError) as error:
            await self._process_op_err(error)
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("the connection stopped reading")
        finally:
            socket.stop()

    def _deliver(self, sid: int, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> bool:
        callback = self._callbacks.get(sid)
        if callback is None:
            return False
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(payload)
        message = Message(subject.decode(), reply.decode(), payload, headers)
        try:
            callback(message)
        except Exception:
            log.exception("a message on %s could not be handled", message.subject)
        return True

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        self._callbacks.pop(sid, None)
        super()._remove_sub(sid, max_msgs)


@contextlib.contextmanager
def _cancellations_kept() -> Iterator[None]:
    """Cancel what is inside even if that met the answer it waits for.

    Until Python 3.12 `asyncio.wait_for`, by which nats-py waits, returns the answer then and drops the cancellation: a loop
    of requests, such as that by which an engine renews its lease, went on for ever, and whoever had ended it waited as long.
    """
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > asked:
            raise asyncio.CancelledError


class _Socket(asyncio.Protocol):
    """Reads from nats-py's socket in place of its stream reader, which still hears of all else."""

    def __init__(
        self,
        transport: TcpTransport,
        deliver: Deliver,
        begin_turn: Callable[[], None],
        end_turn: Callable[[], None],
    ) -> None:
        reader, writer = transport._io_reader, transport._io_writer
        assert reader is not None
        assert writer is not None
        self._begin_turn = begin_turn
        self._end_turn = end_turn
        self._rest: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self._frames = Frames(deliver, self._rest.put_nowait)
        self._stopped = False
        self._stream = cast(asyncio.StreamReaderProtocol, writer.transport.get_protocol())
        self._encrypted = writer.transport.get_extra_info("ssl_object") is not None
        writer.transport.set_protocol(self)
        early: bytearray = reader._buffer  # type: ignore[attr-defined]
        if early:  # read together with the server's answer to the login
            self.data_received(bytes(early))
        if reader.at_eof():
            self.eof_received()

    async def rest(self) -> bytes:
        """Return the next frame that was not delivered. Errors: UnexpectedEOF; OSError."""
        frame = await self._rest.get()
        if isinstance(frame, Exception):
            raise frame
        return frame

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopped = True

    def data_received(self, data: bytes) -> None:
        if self._stopped:
            return
        self._begin_turn()
        try:
            self._frames.feed(data)
        except ValueError:  # no number where one is due
            self._rest.put_nowait(nats.errors.ProtocolError())
            self.stop()
        self._end_turn()

    def eof_received(self) -> bool | None:
        self._rest.put_nowait(nats.errors.UnexpectedEOF())
        stays_open = self._stream.eof_received()
        return (
            None if self._encrypted else stays_open
        )  # TLS knows no half of a connection: asyncio would complain

    def connection_lost(self, error: Exception | None) -> None:
        self._rest.put_nowait(error or nats.errors.UnexpectedEOF())
        self._stream.connection_lost(error)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

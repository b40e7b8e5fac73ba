"""The engine on one connection: it takes requests, has them decided, and answers once the log has acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from jobledger.core.decisions import Refusal
from jobledger.core.errors import DamagedLog, KeyUnavailable, ServerUnavailable

from .. import protocol as p
from ..metrics.engine import EngineMeter
from ..nats.names import Names
from ..sealing.keys import KeyStore
from .commands import Commands
from .commits import NotWritten
from .exchange import Exchanges
from .ledger import Background, Ledger

log = logging.getLogger(__name__)

Handler = Callable[[Msg], Awaitable[p.Reply]]

#: No claim makes an answer larger than this share of the server's message limit; a single task may.
CLAIM_SHARE = 0.5
#: answers that may bounce, if they do, do so within a round trip: so many are kept in mind
_RECENT = 256
#: seconds a leaving engine gives the log to acknowledge what is on its way
_LAST_ANSWERS = 1.0


class Engine:
    """Serves one namespace over one connection, from `start` to `stop`."""

    def __init__(
        self,
        client: Client,
        names: Names,
        *,
        engine_id: str,
        lease: float,
        meter: EngineMeter,
        keys: KeyStore | None = None,
    ) -> None:
        self._client = client
        self._names = names
        self._id = engine_id
        self._meter = meter
        self._ledger = Ledger(client, names, engine_id=engine_id, lease=lease, meter=meter, keys=keys)
        room = int(client.max_payload * CLAIM_SHARE)
        self._commands = Commands(self._ledger, room=room)
        self._exchanges = Exchanges(self._ledger, room=room)
        self._bounces = client.new_inbox()
        self._recent: OrderedDict[str, list[p.ClaimedJob]] = OrderedDict()  #: answers that may yet bounce
        self._handed_out = 0
        self._requests = Background()
        self._background = Background()
        self._subscriptions: list[Subscription] = []
        self._stopped = False

    async def start(self, live: Iterable[str]) -> None:
        """Bring these jobs back to memory and begin to serve."""
        await self._ledger.open(live)
        for subject, handle in (
            (self._names.command, self._commands.handle),
            (self._names.exchanges, self._exchanges.handle),
            (self._names.heartbeats, self._exchanges.heartbeat),
        ):
            # a queue group: while ownership changes hands, a request reaches one of the two engines
            self._subscriptions.append(
                await self._client.subscribe(subject, queue="engine", cb=self._accepts(handle))
            )
        self._subscriptions.append(await self._client.subscribe(f"{self._bounces}.*", cb=self._bounced))
        self._background.run(self._exchanges.expire_leases())
        self._meter.serves(self._ledger)
        await self._client.publish(self._names.hello, self._id.encode())
        await self._client.flush()

    async def adopt(self, live: Iterable[str]) -> None:
        """Bring those of these jobs back to memory that are not there."""
        await self._ledger.adopt(live)

    @property
    def jobs_in_memory(self) -> int:
        return len(self._ledger.jobs)

    async def stop(self) -> None:
        """Answer who waits, write what is decided, and leave."""
        self._stopped = True
        self._meter.rests()
        for subscription in self._subscriptions:
            with contextlib.suppress(nats.errors.Error):
                await subscription.drain()  # type: ignore[no-untyped-call]  # what has arrived is answered: ask another
        self._ledger.quiesce()
        await self._requests.wait(_LAST_ANSWERS)
        await self._requests.cancel()
        await self._background.cancel()
        await self._ledger.close()
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(self._names.farewell, self._id.encode())

    def _accepts(self, handle: Handler) -> Callable[[Msg], Awaitable[None]]:
        async def accept(message: Msg) -> None:
            if self._stopped:
                await self._reply(message, _LEAVING)
            else:
                self._requests.run(self._answer(message, handle))

        return accept

    async def _answer(self, message: Msg, handle: Handler) -> None:
        reply: p.Reply
        try:
            reply = await handle(message)
        except Refusal as refusal:
            reply = p.Refused(refusal.code, refusal.message)
        except msgspec.MsgspecError as error:
            reply = p.Refused("invalid", f"the request cannot be decoded: {error}")
        except DamagedLog as error:
            reply = p.Refused("damaged", str(error))
        except (NotWritten, ServerUnavailable) as error:
            reply = p.Unavailable(str(error))
        except KeyUnavailable as error:
            reply = p.Refused("key_unavailable", str(error))
        except asyncio.CancelledError:
            reply = _LEAVING
        except Exception as error:
            log.exception("a request failed")
            reply = p.Refused("internal", f"the engine failed on this request: {error!r}. See its log")
        await self._reply(message, reply)

    async def _reply(self, message: Msg, reply: p.Reply) -> None:
        if message.reply and not self._client.is_closed:
            bounce = self._note_hand_out(reply.jobs) if isinstance(reply, p.Exchanged) and reply.jobs else ""
            try:
                await self._client.publish(message.reply, p.encode(reply), reply=bounce)
            except nats.errors.Error as error:
                log.warning("an answer could not be sent: %s", error)

    def _note_hand_out(self, jobs: list[p.ClaimedJob]) -> str:
        """Return a subject on which the server says so if nobody takes the answer: its runner died waiting."""
        self._handed_out += 1
        subject = f"{self._bounces}.{self._handed_out}"
        self._recent[subject] = jobs
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return subject

    async def _bounced(self, message: Msg) -> None:
        self._exchanges.give_back(self._recent.pop(message.subject, []))


_LEAVING = p.Unavailable("this engine is leaving")

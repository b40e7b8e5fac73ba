"""The engine on one connection: it takes requests, has them decided, and answers once the log has acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

import nats.errors
from nats.aio.subscription import Subscription

from .. import protocol as p
from ..metrics.engine import EngineMeter
from ..nats.names import Names, is_answerable, speaker_of
from ..nats.wire import Message, Wire
from ..sealing.keys import KeyStore
from .answers import LEAVING, Answer, answer_to
from .clients.commands import Commands
from .clients.gate import Gate
from .ledger import Background, Ledger
from .partitions.recovery import Checkpoint
from .runners.exchange import Exchanges
from .runners.heartbeats import SignsOfLife
from .runners.holdings import Holdings
from .runners.silences import Silences
from .writing.room import Room

log = logging.getLogger(__name__)

Handler = Callable[[Message, Answer], None]

#: No claim makes an answer larger than this share of the server's message limit; a single task may.
CLAIM_SHARE = 0.5
#: answers that may bounce, if they do, do so within a round trip: so many are kept in mind
_RECENT = 256
#: seconds a leaving engine gives the log to acknowledge what is on its way
_LAST_ANSWERS = 1.0


class Engine:
    """Serves one partition over one connection, from `start` to `stop`.

    While `owned` says no, another engine may serve it: no request is taken, and nothing is written.
    """

    def __init__(
        self,
        client: Wire,
        names: Names,
        *,
        engine_id: str,
        lease: float,
        meter: EngineMeter,
        room: Room,
        keys: KeyStore | None = None,
        owned: Callable[[], bool],
    ) -> None:
        self._client = client
        self._names = names
        self._id = engine_id
        self._meter = meter
        self._owned = owned
        self._ledger = Ledger(
            client, names, engine_id=engine_id, lease=lease, meter=meter, room=room, keys=keys, owned=owned
        )
        self._room = room
        most = int(client.max_payload * CLAIM_SHARE)
        self._requests = Background()
        self._commands = Commands(self._ledger, names.partition, self._requests)
        self._exchanges = Exchanges(self._ledger, room=most)
        self._signs = SignsOfLife(self._ledger)
        self._silences = Silences(client, names, self._ledger.leases, engine_id)
        self._holdings = Holdings(self._ledger, self._requests, room=most)
        self._gate = Gate(client, names, self._ledger, self._requests)
        self._bounces = client.new_inbox()
        self._recent: OrderedDict[str, list[p.ClaimedJob]] = OrderedDict()  #: answers that may yet bounce
        self._handed_out = 0
        self._background = Background()
        self._subscriptions: list[Subscription] = []
        self._end_turns: Callable[[], None] = lambda: None
        self._stopped = False

    async def start(self, checkpoint: Checkpoint, checkpoint_due: Callable[[], None]) -> None:
        """Bring the jobs of the checkpoint back to memory and begin to serve."""
        await self._silences.open()
        await self._ledger.open(checkpoint, checkpoint_due)
        self._end_turns = self._client.at_turn_end(self._ledger.end_turn)
        for subject, accept in (
            (self._names.command, self._accepts(self._commands.handle)),
            (self._names.exchanges, self._accepts(self._of_runners(self._exchanges.handle))),
            (self._names.heartbeats, self._accepts(self._of_runners(self._signs.heartbeat))),
            (self._names.results, self._accepts(self._holdings.handle)),
        ):
            # No queue group: one that is suspended would take half of the requests with it.
            self._subscriptions.append(await self._client.listen(subject, accept))
        self._subscriptions.append(await self._client.listen(self._names.gates, self._at_gate))
        if self._names.partition.number == 0 and self._names.partition.of > 1:
            # What is no matter of one partition, and is asked before the number of partitions is known.
            all_parts = Names(self._names.namespace)
            self._subscriptions.append(await self._client.listen(all_parts.gates, self._at_gate))
        self._subscriptions.append(await self._client.listen(f"{self._bounces}.*", self._bounced))
        self._background.run(self._signs.expire_leases())
        self._background.run(self._silences.keep())
        self._meter.serves(self._ledger)
        self._room.serves(self._ledger)
        await self._client.flush()

    async def adopt(self, checkpoint: Checkpoint) -> None:
        """Bring those of its jobs back to memory that are not there."""
        await self._ledger.adopt(checkpoint)

    def checkpoint(self) -> Checkpoint:
        """Return what is known of the log without reading it."""
        return self._ledger.checkpoint()

    @property
    def jobs_in_memory(self) -> int:
        return len(self._ledger.jobs)

    async def stop(self) -> None:
        """Answer who waits, write what is decided, and leave."""
        self._stopped = True
        self._meter.rests(self._ledger)
        self._room.rests(self._ledger)
        # what has arrived is answered: ask another
        await self._client.leave(self._subscriptions, timeout=_LAST_ANSWERS)
        self._ledger.quiesce()
        await self._ledger.written(_LAST_ANSWERS)
        await self._requests.wait(_LAST_ANSWERS)
        await self._requests.cancel()
        await self._background.cancel()
        await self._ledger.close()
        self._end_turns()

    def _accepts(self, handle: Handler) -> Callable[[Message], None]:
        def accept(message: Message) -> None:
            def answer(reply: p.Reply) -> None:
                self._reply(message, reply)

            # No silence: where nobody takes over, whoever asked would wait until its time is over.
            if self._stopped or not self._owned():
                answer(LEAVING)
                return
            try:
                handle(message, answer)
            except Exception as error:  # noqa: BLE001  whoever asked is told
                answer(answer_to(error))

        return accept

    def _of_runners(self, handle: Handler) -> Handler:
        """Before a runner is answered that is noted to be silent, that is taken back."""

        def handle_once_heard(message: Message, answer: Answer) -> None:
            noted = self._silences.noted
            if noted and (runner := speaker_of(message.subject).runner) in noted:
                self._requests.run(self._hear(runner, handle, message, answer))
            else:
                handle(message, answer)

        return handle_once_heard

    async def _hear(self, runner: str, handle: Handler, message: Message, answer: Answer) -> None:
        try:
            await self._silences.heard(runner)
            handle(message, answer)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  whoever asked is told
            answer(answer_to(error))

    def _reply(self, message: Message, reply: p.Reply) -> None:
        if is_answerable(message.reply) and not self._client.is_closed:
            bounce = self._note_hand_out(reply.jobs) if isinstance(reply, p.Exchanged) and reply.jobs else ""
            try:
                self._client.post(message.reply, p.encode(reply), bounce)
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

    def _at_gate(self, message: Message) -> None:
        if self._owned() and not self._stopped:
            self._gate.handle(message)
        else:
            self._gate.turn_away(message)

    def _bounced(self, message: Message) -> None:
        self._exchanges.give_back(self._recent.pop(message.subject, []))

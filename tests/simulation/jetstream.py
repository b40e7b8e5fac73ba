"""What a nats-server keeps: streams, and who reads them; and how it answers questions about that.

What it answers is compared with what the real one answers in `test_server.py`.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from jobledger.adapters.nats.frames import parse_headers

from .answers import Api, direct_gets, encode, refused
from .clocks import Clock
from .consumers import Consumer, Pull
from .loop import VirtualLoop
from .streams import BATCH_INCOMPLETE, Draft, JetStreamRefusal, Stored, Stream
from .subjects import Interest

if TYPE_CHECKING:
    from .cable import Cable

_API = "$JS.API."
_DIRECT = "$JS.API.DIRECT.GET."
_NEXT = "$JS.API.CONSUMER.MSG.NEXT."
_SLACK = 2_000  # milliseconds until it is noticed that a message is too old

OnStored = Callable[[Stream, Stored], object]
#: what is on its way to the disk: the connection it came over, subject, reply, headers, payload
Written = tuple["Cable", str, str, bytes, bytes]


class JetStream(ABC):
    """`on_stored` is called with every message that a stream has taken."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, clock: Clock) -> None:
        self._loop = loop
        self._chance = chance
        self.clock = clock
        self.streams: dict[str, Stream] = {}
        self.consumers: dict[tuple[str, str], Consumer] = {}  #: by stream and name
        self.on_stored: OnStored = lambda stream, stored: None
        self.sync = (0.0001, 0.0009)  #: seconds a commit takes at least, and what is drawn beyond that
        self.lag = 0.0  #: seconds by which a replica may be behind its leader
        self._captures = Interest()
        self._api = Api(self)
        self._numbers = 0
        self._queues: dict[str, list[Written]] = {}  # by stream
        self._batches: dict[str, list[Draft]] = {}

    @abstractmethod
    def _route(self, to: str, subject: str, reply: str, headers: bytes, payload: bytes) -> bool:
        """Send a message to those who listen on `to`; return whether there are any."""

    @abstractmethod
    def _depart(self) -> None:
        """Have what was sent leave."""

    def nanoseconds(self) -> int:
        return self.clock.nanoseconds()

    def new_name(self) -> str:
        self._numbers += 1
        return f"c{self._numbers:07}"  # as long as real ones: their bytes are counted

    # -- JetStream ------------------------------------------------------------------------------------------------

    def _ask(self, subject: str, reply: str, payload: bytes) -> bool:
        """Answer a request to JetStream; return whether anybody takes it."""
        if subject.startswith(_DIRECT):
            return self._get(subject[len(_DIRECT) :], reply, payload)
        if subject.startswith(_NEXT):
            return self._pull(subject[len(_NEXT) :], reply, payload)
        if not subject.startswith(_API):
            return False
        question = subject[len(_API) :]
        try:
            answer = self._api.answer(question, payload)
        except JetStreamRefusal as refusal:
            answer = refused(question, refusal)
        if reply:
            self._route(reply, reply, "", b"", encode(answer))
        return True

    def _get(self, question: str, reply: str, payload: bytes) -> bool:
        name, _, subject = question.partition(".")
        stream = self.streams.get(name)
        if stream is None or not stream.config["allow_direct"]:
            return False
        self.expire(stream)
        wish = {"last_by_subj": subject} if subject else _wish(payload)
        for headers, data in direct_gets(stream, wish, self.known(stream)):
            self._route(reply, reply, "", headers, data)
        return True

    def known(self, stream: Stream) -> int:
        """Return up to where the replica that is asked has the stream."""
        if not self.lag or stream.config["num_replicas"] == 1 or self._chance.random() < 0.5:
            return stream.last
        since = self.nanoseconds() - int(self.lag * self._chance.random() * 1e9)
        behind = stream.last
        while behind in stream.messages and stream.messages[behind].at > since:
            behind -= 1
        return behind

    def _enqueue(
        self, stream: Stream, cable: Cable, subject: str, reply: str, headers: bytes, payload: bytes
    ) -> None:
        """A stream takes one message after the other, and syncs each before it says so."""
        queue = self._queues.setdefault(stream.name, [])
        queue.append((cable, subject, reply, headers, payload))
        if len(queue) == 1:
            self._write_soon(stream)

    def _write_soon(self, stream: Stream) -> None:
        least, more = self.sync
        when = self._loop.now + least + more * self._chance.random()
        self._loop.at(when, None, self._write, stream, self._queues[stream.name])

    def _write(self, stream: Stream, queue: list[tuple[Cable, str, str, bytes, bytes]]) -> None:
        if self._queues.get(stream.name) is not queue:
            return  # the server was restarted, or the stream dropped
        _, subject, reply, headers, payload = queue.pop(0)
        answer = self._append(stream, subject, headers, payload)
        if reply and answer is not None:
            self._route(reply, reply, "", b"", answer)
        for (name, _), consumer in list(self.consumers.items()):
            if name == stream.name and consumer.waiting:
                consumer.deliver(self._route)
        self._depart()
        if queue:
            self._write_soon(stream)

    def _append(self, stream: Stream, subject: str, headers: bytes, payload: bytes) -> bytes:
        told = parse_headers(headers) if headers else {}
        draft = Draft(subject, headers, payload, told)
        batch = told.get("Nats-Batch-Id")
        answer: dict[str, Any] = {"stream": stream.name}
        self.expire(stream)
        try:
            drafts = [draft] if batch is None else self._gather(batch, draft)
            if drafts is None:
                return b""
            before = stream.last
            answer["seq"] = stream.append(drafts, self.nanoseconds())
        except JetStreamRefusal as refusal:
            return encode({"error": refusal.told, "stream": stream.name, "seq": 0})
        for seq in range(before + 1, stream.last + 1):
            self.on_stored(stream, stream.messages[seq])
        if batch is not None:
            answer |= {"batch": batch, "count": len(drafts)}
        return encode(answer)

    def _gather(self, batch: str, draft: Draft) -> list[Draft] | None:
        """Add to a batch; return it when it is complete."""
        number = int(draft.told["Nats-Batch-Sequence"])
        drafts = self._batches.setdefault(batch, []) if number == 1 else self._batches.get(batch)
        commits = "Nats-Batch-Commit" in draft.told
        if drafts is None or number != len(drafts) + 1:
            self._batches.pop(batch, None)
            if commits:
                raise JetStreamRefusal(400, BATCH_INCOMPLETE, "atomic publish batch is incomplete")
            return None
        drafts.append(draft)
        return self._batches.pop(batch) if commits else None

    def _pull(self, question: str, reply: str, payload: bytes) -> bool:
        name, _, consumer_name = question.partition(".")
        consumer = self.consumers.get((name, consumer_name))
        if consumer is None:
            return False
        pull = Pull(reply, self._loop.now, _wish(payload))
        consumer.waiting.append(pull)
        consumer.deliver(self._route)
        if pull.heartbeat and pull in consumer.waiting:
            self._loop.at(self._loop.now + pull.heartbeat, None, self._beat, consumer, pull)
        return True

    def _beat(self, consumer: Consumer, pull: Pull) -> None:
        """Say that the server is there, as long as somebody waits."""
        if pull not in consumer.waiting or (consumer.stream.name, consumer.name) not in self.consumers:
            return
        if self._loop.now >= pull.until:
            consumer.waiting.remove(pull)
            self._route(pull.reply, pull.reply, "", pull.ended("408 Request Timeout"), b"")
        elif self._route(pull.reply, pull.reply, "", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", b""):
            when = min(pull.until, self._loop.now + pull.heartbeat)
            self._loop.at(when, None, self._beat, consumer, pull)
        else:
            consumer.waiting.remove(pull)
        self._depart()

    # -- streams --------------------------------------------------------------------------------------------------

    def overlaps(self, subjects: list[str]) -> bool:
        return any(self._captures.find(subject.replace("*", "x").replace(">", "x")) for subject in subjects)

    def add_stream(self, config: dict[str, Any]) -> Stream:
        stream = self.streams[config["name"]] = Stream(config, self.nanoseconds())
        for subject in config["subjects"]:
            self._captures.add(subject, stream)
        return stream

    def drop_stream(self, stream: Stream) -> None:
        del self.streams[stream.name]
        self._queues.pop(stream.name, None)
        for subject in stream.config["subjects"]:
            self._captures.remove(subject, stream)

    def expire(self, stream: Stream) -> None:
        """Drop what is too old."""
        age = stream.config["max_age"]
        if age and stream.messages:
            # not at once, as the server looks only now and then; drawn from what is there, so that it does not come and go
            slack = (stream.last * 2_654_435_761) % _SLACK * 1_000_000
            stream.expire(self.nanoseconds() - age - slack)

    def _lose_what_is_in_memory(self) -> None:
        """Of what was on its way to the disk some may have come there, unacknowledged."""
        for name, queue in self._queues.items():
            for _ in range(self._chance.randrange(len(queue) + 1)):
                _, subject, _, headers, payload = queue.pop(0)
                self._append(self.streams[name], subject, headers, payload)
        self._queues.clear()
        self._batches.clear()
        self.consumers.clear()


def _wish(payload: bytes) -> dict[str, Any]:
    wish: dict[str, Any] = msgspec.json.decode(payload) if payload else {}
    return wish

"""One JetStream stream: what is appended is checked, numbered and kept, within the limits of the stream."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .subjects import matches

#: as nats-server 2.12 and later name them
STREAM_NOT_FOUND = 10059
MESSAGE_NOT_FOUND = 10037
WRONG_LAST_SEQUENCE = 10071
STORE_FAILED = 10077
BATCH_INCOMPLETE = 10176
_DEFAULTS: dict[str, Any] = {
    "retention": "limits",
    "max_consumers": -1,
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "discard": "old",
    "storage": "file",
    "num_replicas": 1,
    "duplicate_window": 120_000_000_000,
    "compression": "none",
    "allow_direct": False,
    "mirror_direct": False,
    "sealed": False,
    "deny_delete": False,
    "deny_purge": False,
    "allow_rollup_hdrs": False,
    "consumer_limits": {},
}


class JetStreamRefusal(Exception):
    """What the API answers instead."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.err_code = err_code
        self.description = description

    @property
    def told(self) -> dict[str, Any]:
        return {"code": self.code, "err_code": self.err_code, "description": self.description}


class Stored(NamedTuple):
    """A message of a stream."""

    seq: int
    subject: str
    headers: bytes  #: as they were sent
    payload: bytes
    at: int  #: when it was stored, in ns by the server's clock


class Draft(NamedTuple):
    """A message that is to be stored."""

    subject: str
    headers: bytes
    payload: bytes
    told: dict[str, str]  #: its headers, parsed


def configured(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the settings as a server keeps them."""
    given = {name: value for name, value in wanted.items() if value is not None}
    # What is given as "not set" is kept as the server spells that.
    return {
        **_DEFAULTS,
        **{n: v for n, v in given.items() if not (n in _DEFAULTS and v in (0, "") and n != "max_age")},
    }


class Stream:
    """The messages, in order, and the newest of each subject."""

    def __init__(self, config: dict[str, Any], created: int) -> None:
        self.config = config
        self.name: str = config["name"]
        self.created = created  #: ns
        self.messages: dict[int, Stored] = {}  #: by sequence, in order
        self.of: dict[str, list[int]] = {}  #: sequences by subject, in order
        self.last = 0
        self.last_at = 0
        self.bytes = 0
        self.full = False  #: as if it had reached its limit

    def takes(self, subject: str) -> bool:
        return any(matches(pattern, subject) for pattern in self.config["subjects"])

    # -- appending ------------------------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft], now: int) -> int:
        """Store all of these, or none; return the sequence of the last one. Errors: JetStreamRefusal."""
        size = self.bytes
        checked = set()
        for number, draft in enumerate(drafts):
            size += _size(draft)
            self._check(draft, len(self.messages) + number + 1, size)
            if len(drafts) > 1 and "Nats-Expected-Last-Subject-Sequence" in draft.told:
                if draft.subject in checked:  # what the batch itself stores is in nobody's sight yet
                    raise JetStreamRefusal(400, 10164, "wrong last sequence")
                checked.add(draft.subject)
        for draft in drafts:
            self._store(draft, now)
        return self.last

    def _check(self, draft: Draft, count: int, size: int) -> None:
        config, told = self.config, draft.told
        if told:
            expected = told.get("Nats-Expected-Last-Subject-Sequence")
            if expected is not None:
                found = self.newest(draft.subject)
                if found != int(expected):
                    raise JetStreamRefusal(400, WRONG_LAST_SEQUENCE, f"wrong last sequence: {found}")
            expected = told.get("Nats-Expected-Last-Sequence")
            if expected is not None and int(expected) != self.last:
                raise JetStreamRefusal(400, WRONG_LAST_SEQUENCE, f"wrong last sequence: {self.last}")
            if told.get("Nats-Expected-Stream", self.name) != self.name:
                raise JetStreamRefusal(400, 10060, "expected stream does not match")
            if "Nats-Rollup" in told and not config["allow_rollup_hdrs"]:
                raise JetStreamRefusal(500, 10111, "rollup not permitted")
        if self.full and config["deny_purge"]:
            raise JetStreamRefusal(503, STORE_FAILED, "maximum bytes exceeded")
        if config["discard"] == "new":
            if 0 < config["max_msgs"] < count:
                raise JetStreamRefusal(503, STORE_FAILED, "maximum messages exceeded")
            if 0 < config["max_bytes"] < size:
                raise JetStreamRefusal(503, STORE_FAILED, "maximum bytes exceeded")

    def _store(self, draft: Draft, now: int) -> None:
        self.last += 1
        self.last_at = now
        self.messages[self.last] = Stored(self.last, draft.subject, draft.headers, draft.payload, now)
        self.bytes += _size(draft)
        of = self.of.setdefault(draft.subject, [])
        of.append(self.last)
        most = self.config["max_msgs_per_subject"]
        if draft.told.get("Nats-Rollup") == "sub":
            most = 1
        if 0 < most < len(of):
            for seq in of[: len(of) - most]:
                self.remove(seq)

    def remove(self, seq: int) -> bool:
        """Drop one message; return whether it was there."""
        stored = self.messages.pop(seq, None)
        if stored is None:
            return False
        self.bytes -= _size(stored)
        of = self.of[stored.subject]
        of.remove(seq)
        if not of:
            del self.of[stored.subject]
        return True

    def expire(self, before: int) -> None:
        """Drop what was stored before this time (ns)."""
        while self.messages:
            stored = next(iter(self.messages.values()))
            if stored.at >= before:
                break
            self.remove(stored.seq)

    def purge(self, pattern: str, below: int, keep: int) -> int:
        """Drop the messages on these subjects, "" for all; return how many."""
        found = [
            stored.seq for stored in self.messages.values() if not pattern or matches(pattern, stored.subject)
        ]
        if below:
            found = [seq for seq in found if seq < below]
        if keep:
            found = found[: max(0, len(found) - keep)]
        for seq in found:
            self.remove(seq)
        return len(found)

    def forget_behind(self, seq: int) -> None:
        """Lose everything after this sequence, as a disk does that had not been told to sync."""
        for lost in [one for one in self.messages if one > seq]:
            self.remove(lost)
        self.last = min(self.last, seq)

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def first(self) -> int:
        return next(iter(self.messages), self.last + 1 if self.last else 0)

    def newest(self, subject: str) -> int:
        """Return the sequence of the last message on a subject; 0 if there is none."""
        of = self.of.get(subject)
        return of[-1] if of else 0

    def since(self, pattern: str, start: int, end: int) -> Iterator[Stored]:
        """Yield the messages on these subjects from one sequence on, up to another."""
        if "*" not in pattern and not pattern.endswith(">"):
            of = self.of.get(pattern, [])
            for seq in of[bisect_left(of, start) :]:
                if seq > end:
                    return
                yield self.messages[seq]
            return
        everything = [pattern] == self.config["subjects"] or pattern == ">"
        for seq in range(max(start, self.first), end + 1):
            stored = self.messages.get(seq)
            if stored is not None and (everything or matches(pattern, stored.subject)):
                yield stored

    def since_time(self, pattern: str, at: int) -> Iterator[Stored]:
        """Yield the messages on these subjects that were stored at this time (ns) or later."""
        for stored in self.messages.values():
            if stored.at >= at and matches(pattern, stored.subject):
                yield stored

    def subjects(self, pattern: str) -> dict[str, int]:
        """Return the subjects that have messages, with how many."""
        return {subject: len(of) for subject, of in self.of.items() if matches(pattern, subject)}


def _size(message: Draft | Stored) -> int:
    # as a file store counts: a record's header of 22 bytes, a hash of 8, and 4 where there are headers
    extra = 4 if message.headers else 0
    return len(message.subject) + len(message.headers) + len(message.payload) + 30 + extra

"""What stands for the runner's connection in a worker process: each question goes to the runner, which has it answered."""

from __future__ import annotations

import functools
import itertools
import queue
from collections.abc import Iterator
from typing import Any

import msgspec

from jobledger.core.context import JobCache
from jobledger.core.errors import JobLedgerError
from jobledger.core.events import Value
from jobledger.projections.sealed import OBJECT

from ...by_reference import INLINE_INPUT, INLINE_RESULT, check_size
from ...sealing.seal import Seal
from ...successes import Success
from ...telemetry.exports import Exports
from ...telemetry.telemetry import Telemetry
from ...telemetry.trace_context import SpanRef
from ..caches.cache_keys import Names, checked_value, key_names
from .importing import found
from .messages import (
    Adopt,
    Answer,
    Ask,
    CacheDelete,
    CacheGet,
    CacheHas,
    CacheList,
    CacheSet,
    Call,
    FetchKey,
    FindCluster,
    Keep,
    Load,
    Noted,
    Raised,
    Recall,
    Refer,
    Returned,
)
from .outgoing import Outgoing


class Calls:
    """Questions on their way. Used by any thread that runs a task's code."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._numbers = itertools.count(1)
        self._open: dict[int, queue.SimpleQueue[Answer]] = {}

    def ask(self, ask: Ask, answer: Any = None) -> Any:
        """Return the answer, of the type `answer`. Errors: those of the runner."""
        call = next(self._numbers)
        arrived = self._open[call] = queue.SimpleQueue()
        try:
            self._outgoing.send(Call(call, ask))
            said = arrived.get()
        finally:
            del self._open[call]
        if said.raised is not None:
            raise _exception(said.raised)
        return msgspec.msgpack.decode(said.value, type=answer)

    def answered(self, answer: Answer) -> None:
        """This arrived, for whoever still waits for it."""
        waiting = self._open.get(answer.call)
        if waiting is not None:
            waiting.put(answer)


def _exception(raised: Raised) -> BaseException:
    """Return the exception as it was raised in the runner; at least its text, where its class does not let itself be made."""
    try:
        kind = found(raised.kind)
        if not issubclass(kind, Exception):
            raise TypeError
        error: Exception = kind.__new__(kind, *raised.arguments)
        error.args = tuple(raised.arguments)
        str(error)
    except Exception:  # noqa: BLE001  classes of users may do anything
        return JobLedgerError(f"{raised.kind.rpartition(':')[2]}: {', '.join(map(str, raised.arguments))}")
    return error


class RemoteValues:
    """The `Values` of a worker process. What is small enough to travel itself is nobody else's business."""

    def __init__(self, calls: Calls, max_input: int) -> None:
        self._calls = calls
        self._max_input = min(INLINE_INPUT, max_input)

    def keep(self, job_id: str, data: bytes) -> Value:
        if len(data) <= INLINE_RESULT:
            return Value(data)
        check_size("the result", len(data))
        value: Value = self._calls.ask(Keep(job_id, data), Value)
        return value

    def refer(self, job_id: str, data: bytes, seal: Seal) -> str | None:
        if len(data) <= self._max_input:
            return None
        name: str = self._calls.ask(Refer(job_id, seal.sealed(data, OBJECT)), str)
        return name

    def load(self, name: str) -> bytes:
        data: bytes = self._calls.ask(Load(name), bytes)
        return data

    def returned(self, job_id: str, task: int) -> list[tuple[int, bytes | None]]:
        values: list[tuple[int, bytes | None]] = self._calls.ask(
            Returned(job_id, task), list[tuple[int, bytes | None]]
        )
        return values

    def recall(self, key: bytes) -> Success | None:
        success: Success | None = self._calls.ask(Recall(key), Success | None)
        return success

    def adopt(self, job_id: str, value: Value | None) -> Value | None:
        if value is None or not value.object:
            return value
        adopted: Value = self._calls.ask(Adopt(job_id, value), Value)
        return adopted


class RemoteCache(JobCache):
    """The runner's cache, whichever it is: also one in memory is the same for all its processes."""

    def __init__(self, calls: Calls, prefix: Names = ()) -> None:
        self._calls = calls
        self._prefix = prefix

    def __contains__(self, key: object) -> bool:
        has: bool = self._calls.ask(CacheHas(*self._place(key)), bool)
        return has

    def __getitem__(self, key: str) -> bytes:
        value: bytes = self._calls.ask(CacheGet(*self._place(key)), bytes)
        return value

    def __setitem__(self, key: str, value: bytes) -> None:
        self._calls.ask(CacheSet(*self._place(key), checked_value(key, value)))

    def __delitem__(self, key: str) -> None:
        self._calls.ask(CacheDelete(*self._place(key)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls.ask(CacheList(list(self._prefix)), list[str]))

    def group(self, key: str) -> RemoteCache:
        return RemoteCache(self._calls, key_names(self._prefix, key))

    def __repr__(self) -> str:
        return f"<the runner's cache{f' group {chr(47).join(self._prefix)!r}' if self._prefix else ''}>"

    def _place(self, key: object) -> tuple[list[str], str]:
        key_names(self._prefix, key)  # raises what is wrong with it
        return list(self._prefix), str(key)


class RemoteTelemetry(Telemetry):
    """Hands the runner what tasks log and trace."""

    def __init__(self, outgoing: Outgoing, exports: Exports, runner: str) -> None:
        super().__init__(exports)
        self.runner = runner
        self._outgoing = outgoing

    def keep_encoded(self, job_id: str, parent: SpanRef, record: bytes) -> None:
        self._outgoing.add(Noted(job_id, parent.trace, parent.span, record))


class RemoteSeals:
    """Seals of the jobs at hand, with the keys the runner fetches. None is kept for longer than there is work."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.seal = functools.lru_cache(maxsize=16)(self._seal)
        self.forget = self.seal.cache_clear

    def _seal(self, job_id: str, key: str) -> Seal:
        from ...sealing.cipher import Cipher
        from ...sealing.seal import JobSeal

        return JobSeal(key, Cipher(job_id, self._calls.ask(FetchKey(job_id, key), bytes)))


def check_cluster(calls: Calls, slug: str) -> None:
    """Errors: NotFoundError where there is no cluster of this slug."""
    calls.ask(FindCluster(slug))

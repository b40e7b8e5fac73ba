"""What the tasks of a runner read, and leave behind, besides messages: large values, and what others returned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from jobledger.core.errors import JobLedgerError, ServerUnavailable
from jobledger.core.events import Value
from jobledger.projections.sealed import OBJECT

from ... import objects
from ... import protocol as p
from ...by_reference import INLINE_INPUT, INLINE_RESULT, check_size, data_of
from ...link import Link
from ...nats.names import Speaker, names_of
from ...nats.wire import Wire
from ...portal import Portal
from ...sealing.seal import Seal
from ...successes import Success, recall, within

log = logging.getLogger(__name__)

T = TypeVar("T")

_TRY = 5.0  # seconds for one question to the engine, which is asked again after that
_RECALL = 2.0  # seconds after which a task is run rather than looked up
_LOADS = 4  # objects read at a time


class Values(Protocol):
    """Blocks: to be used on the threads of tasks. What is read may be large, what is kept too."""

    def keep(self, job_id: str, data: bytes) -> Value:
        """Return the result of a task as it is reported. Errors: as `objects.put`."""

    def refer(self, job_id: str, data: bytes, seal: Seal) -> str | None:
        """Return the name by which an input travels, or None if it travels itself. Errors: as `objects.put`."""

    def load(self, name: str) -> bytes:
        """Return an input that travelled by name. Errors: as `objects.get`."""

    def returned(self, job_id: str, task: int) -> list[tuple[int, bytes | None]]:
        """Return what the tasks returned that this one depends on, in order of their numbers.

        Errors: as `load`; JobLedgerError when the engine refuses to say.
        """

    def recall(self, key: bytes) -> Success | None:
        """Return the success that may be reused for a key, if one is known."""

    def adopt(self, job_id: str, value: Value | None) -> Value | None:
        """Return the result of another job's task as this job has it. Errors: as `objects.copy`."""


class InlineValues:
    """Those of a runner beside its engine: whatever the size, values travel themselves.

    Shape:  `answer` asks the engine.
    """

    def __init__(self, answer: Callable[[p.ReadResults], p.Answer] = lambda question: p.Results([])) -> None:
        self._answer = answer

    def keep(self, job_id: str, data: bytes) -> Value:
        return Value(data)

    def refer(self, job_id: str, data: bytes, seal: Seal) -> str | None:
        return None

    def load(self, name: str) -> bytes:
        raise objects.MissingObject(f"there is no object store inline, and no object {name}")

    def returned(self, job_id: str, task: int) -> list[tuple[int, bytes | None]]:
        found = _results(self._answer(p.ReadResults(job_id, task)), job_id, task)
        return [(number, None if value is None else value.data) for number, value in found.values]

    def recall(self, key: bytes) -> Success | None:
        return None

    def adopt(self, job_id: str, value: Value | None) -> Value | None:
        return value


class ServerValues:
    """Those of a runner on a server.

    Shape:  `speaker` is the session that runs the tasks: what others returned is told to it alone.
    Units:  `max_input` is the bytes of one input that the server's message limit leaves room for, `patience` seconds
            for which a server that is away is waited for.
    """

    def __init__(
        self, link: Link, portal: Portal, speaker: Speaker, *, max_input: int, patience: float
    ) -> None:
        self._link = link
        self._portal = portal
        self._cluster = speaker.cluster
        self._who = (speaker.session, speaker.cluster, speaker.user)
        self._max_input = min(INLINE_INPUT, max_input)
        self._patience = patience

    def keep(self, job_id: str, data: bytes) -> Value:
        if len(data) <= INLINE_RESULT:
            return Value(data)
        check_size("the result", len(data))
        return Value(object=self._store(job_id, data), size=len(data))

    def refer(self, job_id: str, data: bytes, seal: Seal) -> str | None:
        return None if len(data) <= self._max_input else self._store(job_id, seal.sealed(data, OBJECT))

    def load(self, name: str) -> bytes:
        return self._work(lambda client: objects.get(client, self._link.names, name))

    def returned(self, job_id: str, task: int) -> list[tuple[int, bytes | None]]:
        return self._portal.run(self._returned(job_id, task))

    def recall(self, key: bytes) -> Success | None:
        noted = within(self._cluster, key)
        work = self._link.work(lambda client: recall(client, self._link.names, noted), patience=_RECALL)
        try:
            return self._portal.run(work)
        except ServerUnavailable as error:
            log.warning("whether an earlier success can be reused is not known: %s", error)
            return None

    def adopt(self, job_id: str, value: Value | None) -> Value | None:
        if value is None or not value.object:
            return value
        name = self._work(lambda client: objects.copy(client, self._link.names, value.object, job_id))
        return Value(object=name, size=value.size)

    def _store(self, job_id: str, data: bytes) -> str:
        return self._work(lambda client: objects.put(client, self._link.names, job_id, data))

    def _work(self, work: Callable[[Wire], Awaitable[T]]) -> T:
        return self._portal.run(self._link.work(work, patience=self._patience))

    async def _returned(self, job_id: str, task: int) -> list[tuple[int, bytes | None]]:
        values: list[tuple[int, Value | None]] = []
        complete = False
        while not complete:
            question = p.ReadResults(job_id, task, values[-1][0] if values else -1)
            answer = await self._link.ask(
                lambda parts: names_of(parts, job_id).results_for(*self._who),
                p.encode(question),
                timeout=_TRY,
                patience=self._patience,
            )
            page = _results(answer, job_id, task)
            values += page.values
            complete = page.complete or not page.values
        loading = asyncio.Semaphore(_LOADS)

        async def data(value: Value | None) -> bytes | None:
            if value is None:
                return None
            async with loading:
                return await self._link.work(
                    lambda client: data_of(client, self._link.names, value), patience=self._patience
                )

        found = await asyncio.gather(*(data(value) for _, value in values))
        return [(number, data) for (number, _), data in zip(values, found, strict=True)]


def _results(answer: p.Answer, job_id: str, task: int) -> p.Results:
    if isinstance(answer, p.Results):
        return answer
    said = answer.message if isinstance(answer, p.Refused) else repr(answer)
    raise JobLedgerError(f"the results for task {task} of job {job_id} cannot be read: {said}")

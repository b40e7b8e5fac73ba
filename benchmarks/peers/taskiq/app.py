"""taskiq on JetStream: the tasks its workers serve, and the submitting side."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# (its package is only in its own environment)
from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from benchmarks.peers.workloads import Peer
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

LOOK = 0.002  # seconds between two looks for a result (left alone: 0.2)
AT_ONCE = 16  # results waited for: 390 tasks a second, where one after the other gave 260 and 64 at once 300
_Result = TypeVar("_Result")

broker = PullBasedJetStreamBroker(os.environ["PEER_SERVER"], pull_consume_batch=100, pull_consume_timeout=1)
broker = broker.with_result_backend(NATSObjectStoreResultBackend(os.environ["PEER_SERVER"]))


@broker.task
async def same(number: int) -> int:
    return number


@broker.task
async def one_more(number: int) -> int:
    return number + 1


async def result(task: Any) -> int:
    waited = await task.wait_result(check_interval=LOOK)
    number: int = waited.return_value
    return number


async def results(tasks: Iterable[Any]) -> list[int]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(task: Any) -> int:
        async with places:
            return await result(task)

    return await asyncio.gather(*map(one, tasks))


class Taskiq(Peer):
    """It has no chains of its own: the submitter submits each task with the result of the one before."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._run(broker.startup())

    def submit(self, number: int) -> Callable[[], int]:
        task = self._run(same.kiq(number))
        return lambda: self._run(result(task))

    def chain(self, length: int) -> int:
        async def one_by_one() -> int:
            number = 0
            for _ in range(length):
                number = await result(await one_more.kiq(number))
            return number

        return self._run(one_by_one())

    def independent(self, count: int) -> Sequence[int]:
        async def one_by_one() -> list[int]:
            return await results([await same.kiq(number) for number in range(count)])

        return self._run(one_by_one())

    def fan_out(self, width: int) -> Sequence[int]:
        async def together() -> list[int]:
            return await results(await asyncio.gather(*(same.kiq(number) for number in range(width))))

        return self._run(together())

    def close(self) -> None:
        self._run(broker.shutdown())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self._loop.run_until_complete(work)


def open_peer() -> Taskiq:
    return Taskiq()

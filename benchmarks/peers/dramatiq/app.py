"""dramatiq on Redis: the actors its workers serve, and the submitting side."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# (its package is only in its own environment)
from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import dramatiq
from benchmarks.peers.workloads import Peer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

PATIENCE = 60_000  # milliseconds

broker = RedisBroker(url=os.environ["PEER_SERVER"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["PEER_SERVER"]), store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor
def same(number: int) -> int:
    return number


@dramatiq.actor
def one_more(number: int) -> int:
    return number + 1


class Dramatiq(Peer):
    def submit(self, number: int) -> Callable[[], int]:
        message = same.send(number)
        return lambda: message.get_result(block=True, timeout=PATIENCE)

    def chain(self, length: int) -> int:
        steps = [one_more.message(0), *(one_more.message() for _ in range(length - 1))]
        last: int = dramatiq.pipeline(steps).run().get_result(block=True, timeout=PATIENCE)
        return last

    def fan_out(self, width: int) -> Sequence[int]:
        group = dramatiq.group([same.message(number) for number in range(width)]).run()
        return list(group.get_results(block=True, timeout=PATIENCE))


def open_peer() -> Dramatiq:
    return Dramatiq()

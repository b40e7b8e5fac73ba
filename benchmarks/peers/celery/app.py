"""Celery on Redis: the tasks its worker serves, and the submitting side."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# (its package is only in its own environment)
from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from benchmarks.peers.workloads import Peer
from celery import Celery, chain, group

app = Celery("peer", broker=os.environ["PEER_SERVER"], backend=os.environ["PEER_SERVER"])
# a task whose worker dies is delivered again, as the product's are
app.conf.task_acks_late = True
app.conf.task_reject_on_worker_lost = True
app.conf.worker_prefetch_multiplier = 64  # what its documentation advises for many short tasks


@app.task
def same(number: int) -> int:
    return number


@app.task
def one_more(number: int) -> int:
    return number + 1


class OnCelery(Peer):
    def submit(self, number: int) -> Callable[[], int]:
        result = same.delay(number)
        return lambda: result.get()

    def chain(self, length: int) -> int:
        last: int = chain(one_more.s(0), *(one_more.s() for _ in range(length - 1))).apply_async().get()
        return last

    def fan_out(self, width: int) -> Sequence[int]:
        results: Sequence[int] = group(same.s(number) for number in range(width)).apply_async().get()
        return results


def open_peer() -> OnCelery:
    return OnCelery()

"""DBOS on PostgreSQL or SQLite: its workflows, run by the submitting process itself or by a worker.

As a program this is the worker: `python -m benchmarks.peers.dbos.app`. PEER_ROLE says what the submitter does.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# (its package is only in its own environment)
from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence

from benchmarks.peers.workloads import Peer
from dbos import DBOS, DBOSClient, DBOSConfig

QUEUE = "peer"
LOOK = 0.01  # seconds between two looks, at a queue and for a result (left alone: 1)
DATABASE = os.environ["PEER_SERVER"] or f"sqlite:///{os.environ['PEER_FOLDER']}/dbos.sqlite"


@DBOS.step()
async def step(number: int) -> int:
    return number


@DBOS.workflow()
async def same(number: int) -> int:
    return number


@DBOS.workflow()
async def steps_side_by_side(width: int) -> list[int]:
    results: list[int] = await asyncio.gather(*(step(number) for number in range(width)))
    return results


@DBOS.workflow()
async def steps_in_a_row(length: int) -> int:
    number = 0
    for _ in range(length):
        number = await step(number + 1)
    return number


def launch() -> None:
    config: DBOSConfig = {"name": "peer", "system_database_url": DATABASE, "log_level": "WARNING"}
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=LOOK)


class InProcess(Peer):
    """As its documentation begins: a library, whose workflows run in the process that starts them."""

    def submit(self, number: int) -> Callable[[], int]:
        handle = DBOS.start_workflow(same, number)
        return lambda: handle.get_result()

    def chain(self, length: int) -> int:
        last: int = DBOS.start_workflow(steps_in_a_row, length).get_result()
        return last

    def fan_out(self, width: int) -> Sequence[int]:
        results: Sequence[int] = DBOS.start_workflow(steps_side_by_side, width).get_result()
        return results

    def close(self) -> None:
        DBOS.destroy()


class OverQueue(Peer):
    """A client that puts workflows into a queue; a worker process runs them."""

    def __init__(self) -> None:
        self._client = DBOSClient(system_database_url=DATABASE)

    def submit(self, number: int) -> Callable[[], int]:
        return self._enqueue("same", number)

    def chain(self, length: int) -> int:
        return self._enqueue("steps_in_a_row", length)()

    def close(self) -> None:
        self._client.destroy()

    def _enqueue(self, workflow: str, number: int) -> Callable[[], int]:
        handle = self._client.enqueue({"queue_name": QUEUE, "workflow_name": workflow}, number)
        return lambda: handle.get_result(polling_interval_sec=LOOK)


def open_peer() -> Peer:
    if os.environ["PEER_ROLE"] == "client":
        return OverQueue()
    launch()
    return InProcess()


if __name__ == "__main__":
    launch()
    threading.Event().wait()

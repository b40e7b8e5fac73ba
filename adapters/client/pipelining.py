"""Doing the same with many things at once, some hundreds of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def pipelined(items: Sequence[A], do: Callable[[A], Awaitable[B]], at_once: int) -> list[B]:
    """Return what `do` makes of each item, in order. Errors: the first that `do` raises; the others are given up.

    A few workers take the items one after the other: a task for each item would cost as much as sending it.
    """
    results: list[B] = [None] * len(items)  # type: ignore[list-item]  # until it is there
    places = iter(range(len(items)))
    workers = [asyncio.ensure_future(_work(items, do, places, results)) for _ in items[:at_once]]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return results


async def _work(
    items: Sequence[A], do: Callable[[A], Awaitable[B]], places: Iterator[int], results: list[B]
) -> None:
    for place in places:
        results[place] = await do(items[place])

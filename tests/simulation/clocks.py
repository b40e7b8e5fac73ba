"""The clocks and the chance of simulated processes, in place of the machine's while a simulation runs."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from jobledger.adapters import clocks as real
from jobledger.adapters import process as identity

from .loop import VirtualLoop

#: 2023-11-14: what a wall clock says as a simulation begins
BEGINNING = 1_700_000_000


class Clock:
    """The clocks of one machine. `wall` may jump; the other one goes on, and begins anywhere."""

    __slots__ = ("_loop", "began", "skew")

    def __init__(self, loop: VirtualLoop, *, began: float = 0.0, skew: float = 0.0) -> None:
        self._loop = loop
        self.began = began  #: seconds of `monotonic` as the simulation begins
        self.skew = skew  #: seconds by which `wall` is ahead

    def monotonic(self) -> float:
        return self._loop.now + self.began

    def wall(self) -> float:
        return BEGINNING + self._loop.now + self.skew

    def nanoseconds(self) -> int:
        return int((self._loop.now + self.skew) * 1e9) + BEGINNING * 1_000_000_000


class Machine:
    """What the product sees of the machine it runs on: set for whoever's handle runs, by `World`."""

    def __init__(self, loop: VirtualLoop, seed: object) -> None:
        self._loop = loop
        self._default = Clock(loop)
        self.clocks: dict[str, Clock] = {}  #: by the name of the node
        self.chance = random.Random(f"{seed}/machine")
        self._starts = 0

    @property
    def clock(self) -> Clock:
        process = self._loop.current
        return self._default if process is None else self.clocks.get(process.name, self._default)

    def process_id(self) -> str:
        self._starts += 1
        process = self._loop.current
        return f"{process.name if process is not None else 'world'}:{self._starts}:{self.chance.randbytes(3).hex()}"


@cache
def _imported(modules: int) -> list[tuple[Any, str]]:
    """Return where in the product these are known by a name of their own; looked for when there are more modules."""
    known = {"clock": real.clock, "process_id": identity.process_id}
    return [
        (module, name)
        for of, module in list(sys.modules.items())
        if of.startswith("jobledger.")
        for name, function in known.items()
        if vars(module).get(name) is function
    ]


def _in_this_thread(simulated: Callable[..., Any], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is `simulated` in the thread that asks for it here, and what is `otherwise` in every other."""
    here = threading.get_ident()

    def either(*args: Any) -> Any:
        return simulated(*args) if threading.get_ident() == here else otherwise(*args)

    return either


@contextmanager
def installed(machine: Machine) -> Iterator[None]:
    """Have time and chance be the machine's, for whatever runs in this thread.

    Other threads keep their own: one that an earlier test left behind would draw from the chance of this world.
    """

    def monotonic() -> float:
        return machine.clock.monotonic()

    def boottime(*_: Any) -> float:
        return machine.clock.monotonic()

    replacements: dict[tuple[Any, str], Any] = {
        (time, "time"): lambda: machine.clock.wall(),
        (time, "time_ns"): lambda: machine.clock.nanoseconds(),
        (time, "monotonic"): monotonic,
        (time, "perf_counter"): monotonic,
        (os, "urandom"): machine.chance.randbytes,
        (random, "_urandom"): machine.chance.randbytes,  # what `secrets` draws
    }
    for module, name in _imported(len(sys.modules)):
        replacements[module, name] = boottime if name == "clock" else machine.process_id
    before = {place: getattr(*place) for place in replacements}
    for (owner, name), value in replacements.items():
        setattr(owner, name, _in_this_thread(value, before[owner, name]))
    try:
        yield
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)

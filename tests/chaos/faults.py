"""What goes wrong when, drawn from a seed: processes are killed, suspended and told to stop, the network breaks, the disk is
full."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

#: how often each fault is drawn, compared with the others
WEIGHTS: dict[str, float] = {"kill": 20, "freeze": 2, "stop": 2, "cut": 2, "stall": 1, "lose": 1, "fill": 0.3}
#: seconds that a restart is put off now and then
_PAUSE = 1.0
_LOOK = 0.02  # seconds


class Victim(Protocol):
    """Something that can be killed and comes back."""

    kind: str  #: what it is called in the table

    @property
    def alive(self) -> bool: ...
    @property
    def epitaph(self) -> str:
        """What is known of how it ended."""

    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def terminate(self) -> None: ...
    def revive(self) -> None:
        """Start it again, and do not wait until it is ready."""


class Network(Protocol):
    """A way between some processes and the server: see `support.relay.Relay`."""

    def cut(self) -> None: ...
    def stall(self) -> None: ...
    def go_on(self) -> None: ...
    def lose_requests(self) -> None: ...
    def lose_answers(self) -> None: ...
    def mend(self) -> None: ...


class Disk(Protocol):
    def fill(self) -> None: ...
    def lift(self) -> None: ...


class Faults:
    """One fault every so often. What lasts a while is undone when it is due, all of it by `end`."""

    def __init__(
        self,
        victims: Sequence[Victim],
        networks: Sequence[Network],
        disk: Disk | None,
        seed: int,
        *,
        every: float,
        lease: float,
        weights: Mapping[str, float] = WEIGHTS,
        struck: frozenset[str] = frozenset(),
    ) -> None:
        """Shape:  `struck` names the kinds of processes that faults are to strike; all if it names none.
        Units:  `every` is seconds, `lease` those of a runner's.
        """
        self._victims = list(victims)
        self._struck = [one for one in victims if not struck or one.kind in struck]
        self._networks = networks
        self._disk = disk
        self._chance = Random(seed)
        self._every = every
        self._lease = lease
        possible = {
            "cut": bool(networks),
            "stall": bool(networks),
            "lose": bool(networks),
            "fill": disk is not None,
        }
        self._weights = {fault: weight for fault, weight in weights.items() if possible.get(fault, True)}
        #: what is to be undone: when, and how
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._frozen: set[Victim] = set()
        self._away: dict[Victim, float] = {}  #: until when a restart is put off
        self._ended: set[Victim] = set()  #: killed, or told to stop
        self.deserters: list[str] = []  #: what ended by itself
        self.tally: Counter[tuple[str, str]] = Counter()  #: by fault, and what it struck

    def run(self, over: Callable[[], bool]) -> None:
        """Do damage until it is over."""
        at = time.monotonic()
        while not over():
            now = time.monotonic()
            if now >= at:
                self._strike(now)
                at = max(at + self._every, now)  # a late one is not made up for
            self._look(now)
            time.sleep(_LOOK)

    def end(self) -> None:
        """Undo everything that lasts, and have everything run."""
        for _, undo in self._due:
            undo()
        self._due.clear()
        self._away.clear()
        self._look(time.monotonic())

    def look(self) -> None:
        """Start what has ended."""
        self._look(time.monotonic())

    def _look(self, now: float) -> None:
        for when, undo in [due for due in self._due if due[0] <= now]:
            self._due.remove((when, undo))
            undo()
        for victim in self._victims:
            if not victim.alive and now >= self._away.get(victim, 0.0):
                if victim not in self._ended:
                    self.deserters.append(
                        f"none ends because of another: a process ended by itself: {victim.kind} {victim.epitaph}"
                    )
                self._ended.discard(victim)
                self._frozen.discard(victim)
                victim.revive()

    def _strike(self, now: float) -> None:
        chance = self._chance
        (fault,) = chance.choices(list(self._weights), list(self._weights.values()))
        if fault == "fill":
            assert self._disk is not None
            self._disk.fill()
            self._undo(now + chance.uniform(0.5, 4.0), self._disk.lift)
            self.tally[fault, "log"] += 1
        elif fault in ("cut", "stall", "lose"):
            self._strike_network(fault, now)
        else:
            self._strike_process(fault, now)

    def _strike_network(self, fault: str, now: float) -> None:
        network = self._chance.choice(self._networks)
        self.tally[fault, "network"] += 1
        if fault == "cut":
            network.cut()
            return
        if fault == "stall":
            network.stall()
            undo = network.go_on
        else:
            self._chance.choice([network.lose_requests, network.lose_answers])()
            undo = network.mend
        self._undo(now + self._chance.uniform(0.2, 3.0), undo)

    def _strike_process(self, fault: str, now: float) -> None:
        chance = self._chance
        victims = [one for one in self._struck if one.alive and one not in self._frozen]
        if not victims:
            return
        victim = chance.choice(victims)
        self.tally[fault, victim.kind] += 1
        if fault == "freeze":
            victim.freeze()
            self._frozen.add(victim)
            longest = self._lease * 1.5 if victim.kind == "runner" else 5.0
            self._undo(
                now + chance.choice([0.3, 1.0, 2.5, longest]),
                lambda: self._thaw(victim),
            )
            return
        self._ended.add(victim)
        if fault == "kill":
            victim.kill()
        else:
            victim.terminate()
        if chance.random() < 0.1:
            self._away[victim] = now + _PAUSE

    def _thaw(self, victim: Victim) -> None:
        if victim in self._frozen:
            self._frozen.discard(victim)
            victim.thaw()

    def _undo(self, when: float, undo: Callable[[], None]) -> None:
        self._due.append((when, undo))

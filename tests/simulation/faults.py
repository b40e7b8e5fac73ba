"""What goes wrong, and when: drawn from the seed, by a profile."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jobledger.adapters.engine.partitions import recovery, share
from jobledger.adapters.engine.writing import commits

from .world import Node, World

#: seconds, small enough to be over soon after the lease of an engine (2 s) and of a runner
_LONGEST_STOP = 6.0
_LONGEST_DEATH = 2.5
_LATE = 4.0  #: until a broken connection is noticed, by either side
#: by how many seconds wall clocks are set wrong, and jump: what one engine puts off, another whose clock is behind by so
#: much puts off for as long, which is no mistake and has to be over before a run is
_MOST_APART = 20.0
_FEW_STEPS = 40  #: a kill comes before one of so many steps of the process: between any two of them


class Profile(NamedTuple):
    """How much of what goes wrong: events a second, over all nodes, and shares of messages."""

    name: str
    engines: int = 1
    partitions: int = 1
    kills: float = 0.0
    stops: float = 0.0  #: SIGSTOP, and SIGCONT later
    cuts: float = 0.0  #: connections broken, seen at once by both sides or late
    stalls: float = 0.0  #: connections that let nothing through for a while
    restarts: float = 0.0  #: of the server
    jumps: float = 0.0  #: of wall clocks, the server's too
    fills: float = 0.0  #: the log takes nothing for a while
    slow: float = 0.0  #: share of the flights over a connection that take a hundred times as long
    lossy: float = 0.0  #: share of the requests and answers lost between two servers of a cluster
    lag: float = 0.0  #: seconds by which a replica may be behind

    @property
    def replicas(self) -> int:
        """How many servers hold each stream."""
        return 3 if self.lag else 1


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("calm"),
        Profile("network", cuts=0.8, stalls=0.4, slow=0.02, lossy=0.01),
        Profile("crashes", kills=1.0),
        Profile("two_engines", engines=2, kills=0.8, cuts=0.2),
        Profile("partitions", engines=2, partitions=3, kills=0.6, cuts=0.2, stops=0.2),
        Profile("suspended", engines=2, stops=0.8, stalls=0.2),
        Profile("clocks", engines=2, jumps=1.5, kills=0.3),
        Profile("restarts", restarts=0.6, cuts=0.2),
        Profile("replicas", engines=2, kills=0.6, lag=0.4, lossy=0.01),
        Profile("full", fills=0.5, kills=0.3),
        Profile(
            "everything", engines=2, partitions=2, kills=0.4, stops=0.3, cuts=0.3, stalls=0.2, restarts=0.2, jumps=0.3,
            fills=0.1, slow=0.01, lossy=0.005, lag=0.2,
        ),
    )
}  # fmt: skip


class Faults:
    """Those of one world, from `begin` to `stop`."""

    def __init__(self, world: World, profile: Profile) -> None:
        self._world = world
        self._profile = profile
        self._chance = random.Random(f"{world.seed}/faults")
        self._over = True
        self._kinds: list[tuple[float, Callable[[], None]]] = [
            (profile.kills, self._kill),
            (profile.stops, self._stop),
            (profile.cuts, self._cut),
            (profile.stalls, self._stall),
            (profile.restarts, self._restart_server),
            (profile.jumps, self._jump),
            (profile.fills, self._fill),
        ]
        self._rate = sum(rate for rate, _ in self._kinds)

    def begin(self) -> None:
        world, profile, chance = self._world, self._profile, self._chance
        self._over = False
        world.network.slow = profile.slow
        world.server.lossy = profile.lossy
        world.server.lag = profile.lag
        if profile.jumps:
            for node in world.nodes.values():
                node.clock.skew = chance.uniform(-_MOST_APART, _MOST_APART)
        self._next()

    def stop(self) -> None:
        """Let everything be well from now on: who was killed runs, who was stopped goes on."""
        self._over = True
        world = self._world
        world.network.slow = world.server.lossy = world.server.lag = 0.0
        self._server_back()
        self._emptied()
        for wire in world.wires:
            wire.spare()
        for node in world.nodes.values():
            node.spare()
            node.resume()
            node.start()
        world.note("faults are over")

    def _next(self) -> None:
        if self._rate:
            self._world.at(self._world.now + self._chance.expovariate(self._rate), self._happen)

    def _happen(self) -> None:
        if self._over:
            return
        [kind] = self._chance.choices([kind for _, kind in self._kinds], [rate for rate, _ in self._kinds])
        kind()
        self._next()

    def _later(self, longest: float, happen: Callable[[], None]) -> None:
        """Have something happen after a while: mostly soon, sometimes late."""
        seconds = longest * self._chance.random() ** 2
        self._world.at(self._world.now + seconds, happen)

    def _some_node(self) -> Node | None:
        running = [node for node in self._world.nodes.values() if node.running and not node.suspended]
        # Most of what is promised depends on engines.
        weights = [3.0 if node.name.startswith("engine") else 1.0 for node in running]
        return self._chance.choices(running, weights)[0] if running else None

    # -- each of these does one thing ---------------------------------------------------------------------------------

    def _kill(self) -> None:
        node = self._some_node()
        if node is not None:

            def killed() -> None:
                if self._chance.random() < 0.25:
                    node.lose_power(_LATE)
                else:
                    node.kill()
                self._later(_LONGEST_DEATH, node.start)

            node.after(self._chance.randint(1, _FEW_STEPS), killed)

    def _stop(self) -> None:
        node = self._some_node()
        if node is None:
            return

        def stopped() -> None:
            self._later(_LONGEST_STOP, node.resume)

        if self._chance.random() < 0.5:
            node.suspend_in_write(stopped)
        else:

            def suspended() -> None:
                node.suspend()
                stopped()

            node.after(self._chance.randint(1, _FEW_STEPS), suspended)

    def _cut(self) -> None:
        wires = [wire for node in self._world.nodes.values() for wire in self._world.wires_of(node.process)]
        if wires:
            unnoticed = self._chance.choice((0.0, 0.0, 0.5, _LATE))
            wire = self._chance.choice(wires)
            (wire.cut if self._chance.random() < 0.5 else wire.cut_with_message)(unnoticed)
            self._world.note("cut")

    def _stall(self) -> None:
        wires = [wire for node in self._world.nodes.values() for wire in self._world.wires_of(node.process)]
        if wires:
            self._chance.choice(wires).stall(self._world.now + _LONGEST_STOP * self._chance.random() ** 2)
            self._world.note("stall")

    def _restart_server(self) -> None:
        if self._world.server.up:
            self._world.note("server crashes")
            self._world.server.crash()
            self._later(_LONGEST_DEATH, self._server_back)

    def _server_back(self) -> None:
        if not self._world.server.up:
            self._world.server.restart()
            self._world.note("server is back")

    def _jump(self) -> None:
        names = [*self._world.nodes, "server"]
        name = self._chance.choice(names)
        if name == "server":
            self._world.server.clock.skew += self._chance.choice((-1.0, 1.0, 3.0)) * self._chance.random()
        else:
            jump = self._chance.choice((0.01, 1.0, _MOST_APART)) * self._chance.uniform(-1, 1)
            self._world.nodes[name].clock.skew += jump
        self._world.note("clock jumps", name)

    def _fill(self) -> None:
        for stream in self._world.server.streams.values():
            stream.full = True
        self._world.note("streams are full")
        self._later(_LONGEST_DEATH, self._emptied)

    def _emptied(self) -> None:
        for stream in self._world.server.streams.values():
            stream.full = False


@contextlib.contextmanager
def drawn_limits(seed: int) -> Iterator[None]:
    """Have limits of the engine that few jobs never reach be small, in some seeds."""
    chance = random.Random(f"{seed}/limits")
    wanted = (
        (commits, "TOGETHER", chance.choice((1, 2, 4, 64))),
        (commits, "TARGET_BYTES", chance.choice((64, 64, 1024, commits.TARGET_BYTES))),
        (recovery, "MANY", chance.choice((3, 20, recovery.MANY))),
        (share, "_CHECKPOINT_EVERY", chance.choice((0.7, 5.0, share._CHECKPOINT_EVERY))),
    )
    before = [(module, name, getattr(module, name)) for module, name, _ in wanted]
    for module, name, value in wanted:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)

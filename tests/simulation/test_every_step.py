"""An engine or a runner ends, or stops for a while, before one of its steps after the other: nowhere is anything lost or done
twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from .faults import PROFILES, Faults
from .scenario import Scenario
from .world import Node, World

#: what happens in it takes two engines and a runner from the first connection to the last settled job
SEED = 39
#: of the steps of a process in that world every so many-th is looked at
STRIDE = 23
STEPS = 280
DEATH = 0.3  # seconds
STOP = 3.0  # seconds: longer than the lease of an engine, and that of a runner

Happen = Callable[[World, Node], None]


def killed(world: World, node: Node) -> None:
    node.kill()
    world.at(world.now + DEATH, node.start)


def suspended(world: World, node: Node) -> None:
    node.suspend()
    world.at(world.now + STOP, node.resume)


def suspended_as_it_writes(world: World, node: Node) -> None:
    node.suspend_in_write(lambda: world.at(world.now + STOP, node.resume))


class _OneFault(Faults):
    """It happens once, to the node of a kind that comes to that step first."""

    def __init__(self, world: World, kind: str, step: int, happen: Happen) -> None:
        super().__init__(world, PROFILES["calm"])
        self._kind = kind
        self._step = step
        self._do = happen
        self.happened = False

    def begin(self) -> None:
        super().begin()
        for node in self._nodes():
            node.after(self._step, partial(self._now, node))

    def _now(self, node: Node) -> None:
        self.happened = True
        for other in self._nodes():
            other.spare()
        self._do(self._world, node)

    def _nodes(self) -> list[Node]:
        return [node for name, node in self._world.nodes.items() if name.startswith(self._kind)]


@pytest.mark.parametrize(
    ("kind", "happen"),
    [
        ("engine", killed),
        ("engine", suspended),
        ("engine", suspended_as_it_writes),
        ("runner", killed),
        ("runner", suspended),
    ],
)
def test_a_process_may_be_gone_before_any_of_its_steps(kind: str, happen: Happen) -> None:
    happened = 0
    for step in range(1, STEPS, STRIDE):
        scenario = Scenario(SEED, "two_engines")
        fault = scenario.faults = _OneFault(scenario.world, kind, step, happen)
        outcome = scenario.run()
        assert not outcome.problem, f"{kind} {happen.__name__} before step {step}: {outcome.problem}"
        happened += fault.happened
    assert happened > STEPS / STRIDE * 0.8  # the run is long enough for nearly all of them

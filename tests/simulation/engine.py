"""Engine nodes: the real engine, as a process runs it."""

from __future__ import annotations

import asyncio

from jobledger.adapters.engine.options import EngineOptions
from jobledger.adapters.engine.run import run_engine
from jobledger.adapters.nats.endpoint import Endpoint

from .world import Node, World

NAMESPACE = "sim"
ENDPOINT = Endpoint("nats://server.simulated:4222")


def engine(
    world: World, name: str, *, lease: float = 2.0, partitions: int | None = None, replicas: int = 1
) -> Node:
    """Add an engine node. Units: `lease` is the seconds a runner may be silent."""

    async def start() -> None:
        await run_engine(
            ENDPOINT,
            NAMESPACE,
            stop=asyncio.Event(),
            on_ready=lambda: world.note("ready", name),
            options=EngineOptions(lease=lease, partitions=partitions, replicas=replicas),
        )

    return world.node(name, start)

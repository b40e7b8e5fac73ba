"""Root tasks drawn at random, and how many tasks their jobs will have."""

from __future__ import annotations

from random import Random

from chaos.workflow import Chain, Fan, Layers, Leaf, Mixed, Tree
from jobledger import Task

#: ms that a task takes
_LASTS = (0, 0, 1, 5, 20, 100)
#: tasks of a wide job
WIDTH = 2_000


def varied(chance: Random) -> tuple[Task, int]:
    """Return a root task of any shape, and the number of tasks in its job."""
    size, lasts = chance.randint(1, 12), chance.choice(_LASTS)
    shapes: list[tuple[Task, int]] = [
        (Fan(size * 40, lasts), size * 40 + 2),
        (Fan(size * 10, lasts, "async"), size * 10 + 2),
        (Fan(size * 2, min(lasts, 20), "exclusive"), size * 2 + 2),
        (Fan(size * 5, lasts, "flaky"), size * 5 + 2),
        (Chain(size * 3, lasts), size * 3 + 1),
        (Tree(size // 2, lasts), 2 ** (size // 2 + 1) - 1),
        (Layers(3, size, lasts), size * 5 + 2),
        (Mixed(size, lasts), size * 2 + 2),
        (Leaf(size, lasts), 1),
    ]
    return chance.choice(shapes)


def wide(chance: Random) -> tuple[Task, int]:
    """The same of a job of very many short tasks side by side: what they cost is their claims."""
    return Fan(WIDTH), WIDTH + 2

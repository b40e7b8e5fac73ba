"""Hypothesis strategies for tasks that are submitted together."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from jobledger.core.policy import CONTINUE, HALT, Policy
from jobledger.core.submission import NewTask, TaskSpec

#: few kinds, so that neighbours often share one
PLAIN = [
    TaskSpec("Plain", 1, 0, "default"),
    TaskSpec("Plain", 1, 0, "default", 1),
    TaskSpec("Other", 1, 0, "gpu", 2),
]
WITH_POLICY = [
    TaskSpec("Plain", 1, 0, "default", 0, False, Policy(on_failure=CONTINUE)),
    TaskSpec("Plain", 1, 0, "default", 0, False, Policy(on_failure=HALT)),
    TaskSpec("Urgent", 1, 0, "default", 0, False, Policy(priority=5, key="api", limit=2)),
    TaskSpec("Leisurely", 1, 0, "default", 0, False, Policy(priority=-1, not_before=40)),
    TaskSpec("Stubborn", 1, 0, "gpu", 3, False, Policy(delay=5, backoff=3.0, cap=20, key="api", limit=2)),
]
OPTIONAL = [TaskSpec("Plain", 1, 0, "default", 0, True), TaskSpec("Maybe", 0, 3, "gpu", 1, True)]
KINDS = [*PLAIN, *WITH_POLICY, *OPTIONAL]
LIMITS = {"api": 2}  #: of the concurrency keys

inputs = st.binary(max_size=3)


@st.composite
def new_tasks(
    draw: st.DrawFn, *, min_size: int = 1, max_size: int = 6, optional: bool = True
) -> list[NewTask]:
    """Tasks of which each may wait for any of those before it."""
    required = [*PLAIN, *WITH_POLICY]
    kinds = st.sampled_from([*required, *OPTIONAL, *OPTIONAL] if optional else required)
    tasks: list[NewTask] = []
    for position in range(draw(st.integers(min_size, max_size))):
        # half of the tasks wait for nothing: else hardly anything would run side by side
        waits = position > 0 and draw(st.booleans())
        members = draw(st.frozensets(st.integers(0, position - 1), max_size=4)) if waits else frozenset[int]()
        # most tasks are of the kind of the one before them, as most tasks are
        alike = position > 0 and draw(st.integers(0, 2)) > 0
        kind = tasks[-1].spec if alike else draw(kinds)
        tasks.append(NewTask(kind, draw(inputs), members))
    return tasks


def random_tasks(random: Random, at_most: int = 5) -> list[NewTask]:
    """Return tasks as `new_tasks` draws them, by lot alone."""
    kinds = [*KINDS, *OPTIONAL]
    kind, tasks = random.choice(kinds), list[NewTask]()
    shape = random.random()
    if shape < 0.3:  # side by side, all alike: the most common of shapes
        return [NewTask(kind, b"", frozenset())] * random.randint(3, 2 * at_most)
    if shape < 0.45:  # one after the other
        return [
            NewTask(kind, b"", frozenset([n - 1] if n else [])) for n in range(random.randint(2, at_most))
        ]
    for position in range(random.randint(1, at_most)):
        if random.random() < 0.3:
            kind = random.choice(kinds)
        members = random.sample(range(position), min(position, random.choice([0, 0, 1, 2])))
        tasks.append(NewTask(kind, b"", frozenset(members)))
    return tasks

"""Few nodes for many tasks: siblings that are alike become one node with a count.

Siblings that are alike in every respect (kind, text, state, dependencies, everything below) always share a node. While
there are more than `LIMIT` nodes, the children of each node get fewer and fewer nodes: first texts may differ, then
what is below, then states, then dependencies, until a node stands for all siblings of a name. What is still too much
(1,000 names, 10,000 generations) ends in nodes that only count the rest. Every task is in exactly one node.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobledger.core.submission import NO_DEPENDENCIES

from .likeness import Likeness, spread
from .looks import LOOKS, Look
from .outline import Outline

LIMIT = 300  #: nodes beyond which more is collapsed; the result has fewer than twice as many
_ALLOWANCES = (LIMIT, 40, 12, 4, 2, 1)  # nodes for the children of one node, from one try to the next
_EXAMPLES = 5


@dataclass(slots=True)
class Node:
    """Siblings that are drawn as one; mostly it is one task."""

    tasks: Sequence[int]  #: their numbers; of a rest, without what is below them
    parent: int  #: index of the node of their parents, -1 for root tasks
    text: str = ""
    examples: list[str] = field(default_factory=list)  #: some of their texts, where they differ
    count: int = 0
    looks: dict[Look, int] = field(default_factory=dict)
    children: list[int] = field(default_factory=list)  #: indices of nodes, in order of submission
    after: list[int] = field(default_factory=list)  #: indices of the sibling nodes it waits for
    chained: bool = False  #: some of these tasks wait for others of them
    rest: bool = False  #: it counts everything that is not shown, also below


def collapsed(outline: Outline, limit: int = LIMIT) -> list[Node]:
    """Return the nodes, parents before children."""
    likeness = _Keys(outline)
    nodes: list[Node] | None = None
    for allowance in _ALLOWANCES:
        nodes = nodes or _nodes(outline, likeness, min(allowance, limit), limit)
    nodes = nodes or _nodes(outline, likeness, _ALLOWANCES[-1], limit, cut=True)
    assert nodes is not None  # cut, they are never too many
    for node in nodes:
        _describe(outline, node)
    _connect(outline, nodes)
    return nodes


class _Keys:
    """The levels of likeness, each computed once."""

    def __init__(self, outline: Outline) -> None:
        self._likeness = Likeness(outline)
        self._levels: dict[int, Sequence[int]] = {}

    def __call__(self, level: int) -> Sequence[int]:
        if level not in self._levels:
            self._levels[level] = self._likeness.keys(level)
        return self._levels[level]

    def worthwhile(self, families: Sequence[range], allowance: int) -> range:
        """Return the levels that may make no more than `allowance` groups of these families."""
        exceeds = self._likeness.sets_exceed(families, allowance)
        return range(Likeness.by_role, len(Likeness.levels)) if exceeds else Likeness.levels


def _nodes(
    outline: Outline, keys: _Keys, allowance: int, limit: int, *, cut: bool = False
) -> list[Node] | None:
    """Return nodes, breadth first; None if they are more than `limit`, unless the rest is to be cut off."""
    nodes: list[Node] = []
    waiting = deque([(-1, [outline.roots])])
    while waiting:
        parent, families = waiting.popleft()
        groups = _groups(families, keys, allowance)
        room = limit - len(nodes)
        if len(groups) > room:
            if not cut:
                return None
            keep = max(0, room - 1)
            rest = [task for group in groups[keep:] for task in group]
            groups = groups[:keep]
        else:
            rest = []
        for group in groups:
            _add(nodes, Node(group, parent))
            families = [outline.children(task) for task in group if outline.child_count[task]]
            if families:
                waiting.append((len(nodes) - 1, families))
        if rest:
            _add(nodes, Node(rest, parent, rest=True))
    return nodes


def _groups(families: Sequence[range], keys: _Keys, allowance: int) -> list[list[int]]:
    """Return the siblings, grouped as finely as makes no more than `allowance` groups."""
    if len(families) == len(families[0]) == 1:
        return [list(families[0])]
    for level in keys.worthwhile(families, allowance):
        by_task = keys(level)
        alike: set[int] = set()
        for family in families:
            alike.update(by_task[family.start : family.stop])
            if len(alike) > allowance:
                break
        else:
            break
    groups: dict[int, list[int]] = {}
    for family in families:
        for task, key in zip(family, by_task[family.start : family.stop], strict=True):
            group = groups.get(key)
            if group is None:
                groups[key] = [task]
            else:
                group.append(task)
    return list(groups.values())


def _add(nodes: list[Node], node: Node) -> None:
    if node.parent >= 0:
        nodes[node.parent].children.append(len(nodes))
    nodes.append(node)


def _describe(outline: Outline, node: Node) -> None:
    counts = [0] * LOOKS
    families: list[Sequence[int]] = [node.tasks]
    while families:
        family = families.pop()
        for task in family:
            counts[outline.looks[task]] += 1
        if node.rest:
            families += [outline.children(task) for task in family if outline.child_count[task]]
    node.count = sum(counts)
    node.looks = {look: counts[look.value] for look in Look if counts[look.value]}
    names = {outline.specs[spec].name for spec in {outline.spec[task] for task in node.tasks}}
    if node.rest:
        node.text = "more tasks"
        node.examples = sorted(names)[:_EXAMPLES]
        return
    texts = dict.fromkeys(map(outline.text, node.tasks))
    if len(texts) == 1:
        (node.text,) = texts
    else:
        (node.text,) = names  # siblings of different names never share a node, except in a rest
        node.examples = list(texts)[:_EXAMPLES]


def _connect(outline: Outline, nodes: list[Node]) -> None:
    """Note which nodes wait for which. Tasks only ever wait for siblings."""
    if not outline.members:
        return
    node_of = array("i", (-1,)) * len(outline.looks)
    for index, node in enumerate(nodes):
        for task in node.tasks:
            node_of[task] = index
    for index, node in enumerate(nodes):
        sets = {outline.dependencies[task] for task in node.tasks} - {NO_DEPENDENCIES}
        starts, several = spread(outline.members[one] for one in sets)
        found = set(map(node_of.__getitem__, starts))
        for start, stop in several:
            found.update(node_of[start:stop])
        node.chained = index in found
        node.after = sorted(found - {index, -1})

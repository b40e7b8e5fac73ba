"""Where everything goes. Lengths are px, in two directions: *along* the tree, away from the root, and *across* it.

A node lies above the region of its children. The region is made of rows: what waits for a sibling comes in a later row
than that one's whole subtree, as it does in time. A row is made of items side by side: a child with its subtree, or a
block of many children without any, hung in lanes. No item reaches into another one, and between two rows there is a
free channel, in which each dependency has a track of its own; one that skips rows goes around them, on a lane at the far
side. So no line crosses a node. A frame shows what is waited for as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .boxes import Box, box_of
from .collapse import Node
from .region import FRAME, SIDE, TRACK, Item, Region, regions_of

Point = tuple[float, float]  #: along, across

_FEW = 60  # nodes up to which there is room for the whole text of each
_ARROW_OFFSET = 12.0  # of a dependency from the line to the parent, where both come in


@dataclass(slots=True)
class Diagram:
    """Nodes and lines with their places."""

    nodes: list[Node]
    boxes: list[Box]
    places: list[Point]  #: of the corner of each box that is nearest to the origin
    along: float = 0.0
    across: float = 0.0
    frames: list[tuple[float, float, float, float]] = field(default_factory=list)  #: along, across, and sizes
    branches: list[list[Point]] = field(default_factory=list)  #: from a parent to a child
    waits: list[list[Point]] = field(default_factory=list)  #: parts of a dependency
    arrows: list[list[Point]] = field(default_factory=list)  #: last parts of a dependency, with an arrowhead


def placed(nodes: list[Node], *, sideways: bool) -> Diagram:
    """Return the layout. `sideways`: along is the direction of reading, not down the page."""
    whole = len(nodes) <= _FEW
    boxes = [box_of(node, whole=whole) for node in nodes]
    sizes = [(box.width, box.height) if sideways else (box.height, box.width) for box in boxes]
    regions = regions_of(nodes, sizes, sideways=sideways)
    diagram = Diagram(nodes, boxes, [(0.0, 0.0)] * len(nodes))
    top = regions[-1]
    diagram.along, diagram.across = top.along, top.across
    waiting: list[tuple[int, float, float]] = [(-1, 0.0, 0.0)]
    while waiting:
        index, along, across = waiting.pop()
        region = regions.get(index)
        size = sizes[index] if index >= 0 else (0.0, 0.0)
        subtree = max(size[1], region.across if region else 0.0)
        if index >= 0:
            diagram.places[index] = (along, across + (subtree - size[1]) / 2)
        if region:
            start = (along + size[0], across + (subtree - region.across) / 2)
            trunk = (along + size[0], across + subtree / 2) if index >= 0 else None
            waiting += _Furnishing(diagram, region, sizes, start, trunk).subtrees()
    return diagram


class _Furnishing:
    """Draws what is inside one region, and says where the subtrees in it go."""

    def __init__(
        self,
        diagram: Diagram,
        region: Region,
        sizes: list[tuple[float, float]],
        start: Point,
        trunk: Point | None,
    ) -> None:
        self._diagram = diagram
        self._region = region
        self._sizes = sizes
        self._start = start
        self._trunk = trunk

    def subtrees(self) -> list[tuple[int, float, float]]:
        found: list[tuple[int, float, float]] = []
        along, across = self._start
        for item in self._region.items:
            item_along, item_across = along + item.at[0], across + item.at[1]
            if item.framed:
                self._diagram.frames.append((item_along, item_across, item.along, item.across))
            pad = FRAME if item.framed else 0.0
            if item.block:
                for index, (down, over) in zip(item.members, item.places, strict=True):
                    self._diagram.places[index] = (item_along + pad + down, item_across + pad + over)
            else:
                found.append((item.members[0], item_along + pad, item_across + pad))
        self._branches()
        self._waits()
        return found

    def _branches(self) -> None:
        if self._trunk is None:
            return
        along, across = self._start
        region, trunk = self._region, self._trunk
        first = along + region.buses[0]
        for item in region.items:
            bus = along + region.buses[item.row]
            path = [trunk, (first, trunk[1])]
            if item.row:
                path += [(first, across + SIDE / 3), (bus, across + SIDE / 3)]
            pad = FRAME if item.framed else 0.0
            if not item.block:
                center = across + item.at[1] + item.center
                self._diagram.branches.append([*path, (bus, center), (along + item.at[0] + pad, center)])
                continue
            for index, (down, over), lane in zip(item.members, item.places, item.lanes, strict=True):
                rail = across + item.at[1] + pad + lane
                middle = along + item.at[0] + pad + down + self._sizes[index][0] / 2
                end = across + item.at[1] + pad + over
                self._diagram.branches.append([*path, (bus, rail), (middle, rail), (middle, end)])

    def _waits(self) -> None:
        """Draw the dependencies. No stretch is drawn twice: broken lines on top of each other would look whole."""
        along, across = self._start
        region = self._region
        for bundle in region.bundles:
            track = along + region.tracks[bundle.row] + TRACK * bundle.track
            ends: list[float] = []
            exits: dict[int, list[float]] = {}
            for source in (region.items[index] for index in bundle.sources):
                gate = self._gate(source)
                way = track
                if source.row in bundle.exits:
                    way = along + region.tracks[source.row + 1] + TRACK * bundle.exits[source.row]
                    exits.setdefault(source.row, [way]).append(gate)
                else:
                    ends.append(gate)
                self._diagram.waits.append([(along + source.at[0] + source.along, gate), (way, gate)])
            if exits:
                lane = across + region.lanes + TRACK * bundle.lane
                ends.append(lane)
                for way, *gates in exits.values():
                    self._diagram.waits.append([(way, min(gates)), (way, lane)])
                stops = [track, *(way for way, *_ in exits.values())]
                self._diagram.waits.append([(min(stops), lane), (max(stops), lane)])
            for target in (region.items[index] for index in bundle.targets):
                ends.append(self._gate(target))
                inside = FRAME if target.framed and not target.block else 0.0
                end = (along + target.at[0] + inside, self._gate(target))
                self._diagram.arrows.append([(track, end[1]), end])
            if max(ends) > min(ends):
                self._diagram.waits.append([(track, min(ends)), (track, max(ends))])

    def _gate(self, item: Item) -> float:
        """Where across dependencies leave and enter an item: beside the line from its parent."""
        narrow = item.across if item.block else self._sizes[item.members[0]][1]
        return self._start[1] + item.at[1] + item.center + min(_ARROW_OFFSET, narrow / 4)

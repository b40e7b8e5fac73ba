"""What is below one node: its children as items in rows, with the channels between them measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .collapse import Node

Size = tuple[float, float]  #: along, across

CHANNEL = 34.0  #: between two rows, without tracks
TRACK = 7.0  #: between two dependencies side by side
FRAME = 10.0  #: between a frame and what is in it
SIDE = 18.0  #: at the near side of rows, where the line from the parent goes on to later ones
_BESIDE = 22.0  # between two items of a row
_HANG = 20.0  # between the rail of a lane and its nodes
_BELOW = 10.0  # between two nodes of a lane
_BLOCK = 6  # children without any of their own that make a block
_WIDEST = 1600.0  # of a row: what does not fit goes into another one
_RATIO = 1.6  # width to height of a block, about


@dataclass(slots=True)
class Item:
    """One child with its subtree, or a block of children. Places are relative to the region, or to the inside."""

    members: list[int]  #: indices of nodes
    block: bool
    framed: bool = False
    row: int = 0
    along: float = 0.0
    across: float = 0.0
    center: float = 0.0  #: where across the line from the parent comes in
    at: Size = (0.0, 0.0)
    places: list[Size] = field(default_factory=list)  #: of the members of a block
    lanes: list[float] = field(default_factory=list)  #: where across the rail of each member is


@dataclass(slots=True)
class Bundle:
    """Items of one row that wait for the same others: one dependency, drawn as one."""

    sources: list[int]
    targets: list[int]
    row: int  #: of the targets
    track: int = 0  #: in the channel before `row`
    exits: dict[int, int] = field(
        default_factory=dict
    )  #: track after each row from which it goes around others
    lane: int = 0


@dataclass(slots=True)
class Region:
    items: list[Item]
    bundles: list[Bundle]
    tracks: list[
        float
    ]  #: where along the first track of the channel before each row is; one more for after the last
    buses: list[float]  #: where along the line from the parent branches, before each row
    lanes: float  #: where across the first lane around the rows is
    along: float
    across: float


def regions_of(nodes: Sequence[Node], sizes: Sequence[Size], *, sideways: bool) -> dict[int, Region]:
    """Return the region below each node that has children, by index; of the root nodes under -1."""
    regions: dict[int, Region] = {}
    for index in range(len(nodes) - 1, -1, -1):  # children come after their parents
        if nodes[index].children:
            regions[index] = _region(nodes, nodes[index].children, sizes, regions, sideways)
    roots = [index for index, node in enumerate(nodes) if node.parent < 0]
    regions[-1] = _region(nodes, roots, sizes, regions, sideways, rooted=False)
    return regions


def _region(
    nodes: Sequence[Node],
    children: Sequence[int],
    sizes: Sequence[Size],
    regions: dict[int, Region],
    sideways: bool,
    *,
    rooted: bool = True,
) -> Region:
    items = _items(nodes, children)
    item_of = {member: index for index, item in enumerate(items) for member in item.members}
    after = [sorted({item_of[one] for one in nodes[item.members[0]].after}) for item in items]
    awaited = {index for sources in after for index in sources}
    for index, item in enumerate(items):
        _assign_row(items, index, after[index])
        inner = item.block or bool(nodes[item.members[0]].children)
        item.framed = inner and (index in awaited or (item.block and bool(after[index])))
        if item.block:
            _hang(item, sizes, sideways)
        else:
            _enclose(item, sizes, regions)
    _break_rows(items)
    bundles = _bundles(items, after)
    return _arranged(items, bundles, rooted=rooted)


def _items(nodes: Sequence[Node], children: Sequence[int]) -> list[Item]:
    """Return the children as items. Many that wait for the same, and are waited for by the same, make one block."""
    waiters: dict[int, list[int]] = {}
    for child in children:
        for source in nodes[child].after:
            waiters.setdefault(source, []).append(child)
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for child in children:
        if not nodes[child].children:
            key = tuple(nodes[child].after), tuple(waiters.get(child, ()))
            alike.setdefault(key, []).append(child)
    block_of = {member: members for members in alike.values() if len(members) >= _BLOCK for member in members}
    items = []
    for child in children:
        members = block_of.get(child)
        if members is None:
            items.append(Item([child], block=False))
        elif members[0] == child:
            items.append(Item(members, block=True))
    return items


def _assign_row(items: list[Item], index: int, sources: Sequence[int]) -> None:
    """Put an item after the earlier ones that it waits for. What it waits for of later ones, in a circle that
    collapsing made, does not count."""
    items[index].row = max((items[source].row + 1 for source in sources if source < index), default=0)


def _break_rows(items: list[Item]) -> None:
    """Make several rows, about equally wide, of each that is too wide."""
    rows: dict[int, list[Item]] = {}
    for item in items:
        rows.setdefault(item.row, []).append(item)
    number = -1
    for _, row in sorted(rows.items()):
        total = sum(item.across + _BESIDE for item in row)
        target = total / math.ceil(total / _WIDEST)
        room = 0.0
        for item in row:
            if room <= item.across / 2:
                number, room = number + 1, target
            room -= item.across + _BESIDE
            item.row = number


def _enclose(item: Item, sizes: Sequence[Size], regions: dict[int, Region]) -> None:
    (index,) = item.members
    region = regions.get(index)
    pad = 2 * FRAME if item.framed else 0.0
    item.across = max(sizes[index][1], region.across if region else 0.0) + pad
    item.along = sizes[index][0] + (region.along if region else 0.0) + pad
    item.center = item.across / 2


def _hang(item: Item, sizes: Sequence[Size], sideways: bool) -> None:
    """Place the members of a block in lanes, so that it is somewhat wider than high."""
    count = len(item.members)
    for lanes in range(1, count + 1):
        _hang_in(item, sizes, math.ceil(count / lanes))
        wide, high = (item.along, item.across) if sideways else (item.across, item.along)
        if (wide <= _RATIO * high) if sideways else (wide >= _RATIO * high):
            break
    pad = 2 * FRAME if item.framed else 0.0
    item.along, item.across = item.along + pad, item.across + pad
    item.center = item.across / 2


def _hang_in(item: Item, sizes: Sequence[Size], length: int) -> None:
    item.places, item.lanes = [], []
    item.along = across = 0.0
    for first in range(0, len(item.members), length):
        lane = item.members[first : first + length]
        along = 0.0
        for index in lane:
            item.places.append((along, across + _HANG))
            item.lanes.append(across + _HANG / 3)
            along += sizes[index][0] + _BELOW
        item.along = max(item.along, along - _BELOW)
        across += _HANG + max(sizes[index][1] for index in lane) + _BELOW
    item.across = across - _BELOW


def _bundles(items: Sequence[Item], after: Sequence[Sequence[int]]) -> list[Bundle]:
    found: dict[tuple[int, tuple[int, ...]], Bundle] = {}
    for index, sources in enumerate(after):
        if sources:
            key = items[index].row, tuple(sources)
            bundle = found.setdefault(key, Bundle(list(sources), [], items[index].row))
            bundle.targets.append(index)
    return list(found.values())


def _arranged(items: list[Item], bundles: list[Bundle], *, rooted: bool) -> Region:
    """Give the rows, the tracks and the lanes their places."""
    rows = 1 + max(item.row for item in items)
    used = [0] * (rows + 1)  # tracks in the channel before each row, and after the last
    lanes = 0
    for bundle in bundles:
        bundle.track = used[bundle.row]
        used[bundle.row] += 1
        around = sorted({items[index].row for index in bundle.sources} - {bundle.row - 1})
        for row in around:
            bundle.exits[row] = used[row + 1]
            used[row + 1] += 1
        if around:
            bundle.lane = lanes
            lanes += 1
    side = SIDE if rooted and rows > 1 else 0.0
    far = TRACK * (lanes + 1) if lanes else 0.0
    members = [[item for item in items if item.row == row] for row in range(rows)]
    widths = [sum(item.across + _BESIDE for item in row) - _BESIDE for row in members]
    across = max(widths)
    along = 0.0
    tracks: list[float] = []
    buses: list[float] = []
    for line, width in zip(members, widths, strict=True):
        extra = TRACK * used[len(tracks)]
        tracks.append(along + 10.0)
        buses.append(along + extra + CHANNEL / 2)
        along += CHANNEL + extra if rooted or len(tracks) > 1 or extra else 0.0
        over = side + (across - width) / 2
        for item in line:
            item.at = (along, over)
            over += item.across + _BESIDE
        along += max(item.along for item in line)
    tracks.append(along + 10.0)
    along += TRACK * used[rows] + 10.0 if used[rows] else 0.0
    # as much room at both sides, so that the node above is over the middle of its rows
    margin = max(side, far)
    for item in items:
        item.at = (item.at[0], item.at[1] + margin - side)
    return Region(items, bundles, tracks, buses, margin + across + TRACK, along, across + 2 * margin)

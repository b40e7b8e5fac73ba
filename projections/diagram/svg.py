"""The diagram as SVG: one element tree of paths, rectangles and text, without scripts, links, fonts or ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..wording import cleaned
from .boxes import FONT, GAP, ICON, LINE, PAD, SMALL, SMALL_LINE, STACK, Box, chip_width
from .collapse import Node, collapsed
from .layout import Diagram, Point, placed
from .looks import Look
from .outline import Outline
from .palette import HOLLOW, SHAPES, style
from .words import shortened, width

DIRECTIONS = ("down", "up", "left", "right")
THEMES = ("auto", "light", "dark")

_MARGIN = 16.0
_HEADER = 58.0
_ROUND = 6.0
_ARROW = 7.0
_TITLE_WIDTH = 60.0  # em
_MANY = 100  # nodes from which tooltips are short
_SHORT_TIP = 200
_LEGEND = "then: the second waits for the first"


def drawn(outline: Outline, *, direction: str = "down", theme: str = "auto") -> str:
    """Return the SVG of a job. `direction` is one of DIRECTIONS, `theme` one of THEMES."""
    nodes = collapsed(outline)
    diagram = placed(nodes, sideways=direction in ("left", "right"))
    return "".join(_Drawing(outline, diagram, direction, theme).parts())


class _Drawing:
    def __init__(self, outline: Outline, diagram: Diagram, direction: str, theme: str) -> None:
        self._outline = outline
        self._diagram = diagram
        self._direction = direction
        self._theme = theme
        self._down = direction in ("down", "up")
        self._backward = direction in ("up", "left")
        along, across = diagram.along, diagram.across
        self._size = (across, along) if self._down else (along, across)
        tip = 1024 if len(diagram.nodes) <= _MANY else _SHORT_TIP
        self._tip: Callable[[str], str] = lambda text: shortened(cleaned(text), tip, len)

    def parts(self) -> Iterable[str]:
        diagram = self._diagram
        header = list(self._header())
        wide = max(self._size[0], self._header_width) + 2 * _MARGIN + STACK
        high = self._size[1] + _HEADER + _MARGIN + STACK
        name = shortened(cleaned(self._outline.name).replace("\n", " "), 200, len)
        label = _escaped(f"Tasks of job {name}").replace('"', "&quot;")
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:g}" height="{high:g}" '
            f'viewBox="0 0 {wide:g} {high:g}" class="jobledger-{self._theme}" role="img" aria-label="{label}">'
            f"<style>{style(self._theme)}</style>"
            f'<rect class="g" width="{wide:g}" height="{high:g}" rx="8"/>'
        )
        yield from header
        shift = (wide - self._size[0] - STACK) / 2
        yield f'<g transform="translate({shift:g} {_HEADER:g})">'
        for along, across, long, broad in diagram.frames:
            x, y, w, h = self._rectangle(along, across, long, broad)
            yield f'<rect class="f" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="10"/>'
        yield self._lines("l", diagram.branches)
        yield self._lines("w", diagram.waits)
        yield self._lines("w", [_without_tip(line) for line in diagram.arrows])
        yield from map(self._arrowhead, diagram.arrows)
        for node, box, (along, across) in zip(diagram.nodes, diagram.boxes, diagram.places, strict=True):
            long, broad = (box.height, box.width) if self._down else (box.width, box.height)
            x, y, _, _ = self._rectangle(along, across, long, broad)
            yield from self._node(node, box, x, y)
        yield "</g></svg>"

    # -- what stands above --------------------------------------------------------------------------------------------

    def _header(self) -> Iterable[str]:
        outline = self._outline
        name = shortened(cleaned(outline.name).replace("\n", " "), _TITLE_WIDTH, width)
        state = outline.state.name if outline.state else ""
        total = len(outline.looks)
        rest = f"{state} · {total:,} {'task' if total == 1 else 'tasks'}"
        x = _MARGIN + width(name) * FONT + 14
        yield _text(_MARGIN, 24, name, "h") + _text(x, 24, rest, "s")
        self._header_width = x + width(rest) * SMALL - _MARGIN
        x = _MARGIN
        for look in Look:
            count = outline.looks.count(look.value)
            if count:
                words = f"{count:,} {look.words}"
                yield icon(look, x, 33, 0.8) + _text(x + 18, 43, words, "s")
                x += 18 + width(words) * SMALL + 14
        if self._diagram.arrows:
            yield f'<path class="w" d="M{x:g} 39.5H{x + 20:g}"/>' + _triangle(x + 26, 39.5, 1, 0)
            yield _text(x + 33, 43, _LEGEND, "s")
            x += 33 + width(_LEGEND) * SMALL
        self._header_width = max(self._header_width, x - _MARGIN)

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _node(self, node: Node, box: Box, x: float, y: float) -> Iterable[str]:
        only = next(iter(node.looks)) if len(node.looks) == 1 else None
        kind = f"n n{only.value}" if only else "n"
        w, h = box.width, box.height
        yield f"<g><title>{_escaped(self._told(node))}</title>"
        if node.count > 1:
            dx, dy = (
                (-STACK if self._direction == "left" else STACK),
                (-STACK if self._direction == "up" else STACK),
            )
            yield f'<rect class="{kind}" x="{x + dx:g}" y="{y + dy:g}" width="{w:g}" height="{h:g}" rx="7"/>'
        yield f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7"/>'
        left = x + PAD
        if only:
            yield icon(only, left, y + 7 + (LINE - ICON) / 2)
            left += ICON + GAP
        base = y + 7 + 13
        for line in box.lines:
            yield _text(left, base, line)
            base += LINE
        if box.note:
            yield _text(left, base - 1, box.note, "s")
            base += SMALL_LINE
        left = x + PAD
        for chip in box.chips:
            yield icon(chip[0], left, base - 11, 0.8) + _text(left + 18, base - 1, chip[1], "s")
            left += chip_width(chip)
        yield "</g>"

    def _told(self, node: Node) -> str:
        """Return what is shown when the mouse rests on a node."""
        looks = ", ".join(f"{count:,} {look.words}" for look, count in node.looks.items())
        examples = "".join(f"\n{shortened(self._tip(one), 80, len)}" for one in node.examples)
        more = "\n…" if examples and node.count > len(node.examples) else ""
        return f"{self._tip(node.text)}\n{looks}{examples}{more}"

    # -- lines --------------------------------------------------------------------------------------------------------

    def _point(self, point: Point) -> Point:
        along = self._diagram.along - point[0] if self._backward else point[0]
        return (point[1], along) if self._down else (along, point[1])

    def _rectangle(
        self, along: float, across: float, long: float, broad: float
    ) -> tuple[float, float, float, float]:
        x, y = self._point((along + long if self._backward else along, across))
        return (x, y, broad, long) if self._down else (x, y, long, broad)

    def _lines(self, kind: str, lines: Iterable[list[Point]]) -> str:
        # a line that several share is drawn once: broken lines on top of each other would look whole
        paths = dict.fromkeys(_path([self._point(point) for point in line]) for line in lines)
        return f'<path class="{kind}" d="{"".join(paths)}"/>' if paths else ""

    def _arrowhead(self, line: list[Point]) -> str:
        (x1, y1), (x2, y2) = (self._point(point) for point in line[-2:])
        length = abs(x2 - x1) + abs(y2 - y1) or 1.0
        return _triangle(x2, y2, (x2 - x1) / length, (y2 - y1) / length)


def _without_tip(line: list[Point]) -> list[Point]:
    (before, across), (along, _) = line
    return [(before, across), (along - _ARROW if along > before else along + _ARROW, across)]


def _path(points: list[Point]) -> str:
    """Return a path along these points with rounded corners."""
    points = [point for index, point in enumerate(points) if not index or point != points[index - 1]]
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _toward(corner, before), _toward(corner, after)
        parts.append(f"L{start[0]:g} {start[1]:g}Q{corner[0]:g} {corner[1]:g} {end[0]:g} {end[1]:g}")
    if len(points) > 1:
        parts.append(f"L{points[-1][0]:g} {points[-1][1]:g}")
    return "".join(parts)


def _toward(corner: Point, other: Point) -> Point:
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    step = min(_ROUND, length / 2) / length
    return corner[0] + dx * step, corner[1] + dy * step


def _triangle(x: float, y: float, dx: float, dy: float) -> str:
    back_x, back_y = x - dx * _ARROW, y - dy * _ARROW
    side_x, side_y = dy * _ARROW / 2, dx * _ARROW / 2
    return (
        f'<path class="a" d="M{x:g} {y:g}L{back_x + side_x:g} {back_y - side_y:g}'
        f'L{back_x - side_x:g} {back_y + side_y:g}Z"/>'
    )


def icon(look: Look, x: float, y: float, scale: float = 1.0) -> str:
    filled, line = SHAPES[look]
    own = f" o{look.value}" if look in HOLLOW else ""
    body = f'<path class="c{look.value}" d="{filled}"/>' if filled else ""
    mark = f'<path class="i{own}" d="{line}"/>' if line else ""
    sized = f" scale({scale:g})" if scale != 1.0 else ""
    return f'<g transform="translate({x:g} {y:g}){sized}">{body}{mark}</g>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{named}>{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

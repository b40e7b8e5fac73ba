"""A job as a picture: an SVG diagram, or a tree in text. Pure, and the same for the same job, byte by byte.

`Outline.of(view)` copies what a picture needs, which takes milliseconds, so that drawing need not hold up the view.
`collapsed` makes few nodes of many tasks, `placed` gives each its place, `drawn` writes SVG, `tree` writes text.
"""

from .outline import Outline
from .svg import DIRECTIONS, THEMES, drawn
from .tree import Piece, tree

__all__ = ["DIRECTIONS", "THEMES", "Outline", "Piece", "drawn", "tree"]

"""Showing a job as it stands now: as a diagram, or as a tree of text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jobledger.projections.diagram import Outline, drawn, tree

from ..arguments import JobOrId
from ..query.finding import find
from ..read.facts import JobFacts
from . import pictures
from .pictures import Picture

if TYPE_CHECKING:
    from ..session import Session


async def visualize(
    session: Session,
    job_or_id: JobOrId,
    direction: str = "down",
    layout: str = "dagre",
    sketchy: bool = True,
    theme: str = "auto",
) -> str:
    """Return a diagram of the job as it stands now: SVG, for a file or a web page.

    A node for each task, with its display text, its state as colour and shape, its parent, and what it waits for.
    Siblings that are alike share one node, with a count; in a large job more and more of them do, so that any
    number of tasks makes a picture of a few hundred nodes.

    Shape:  `direction` is where the tree grows: "down", "up", "left" or "right". `theme` is "light", "dark", or
            "auto", which follows the viewer's. `layout` ("dagre" or "elk") and `sketchy` are accepted for scripts
            written for Tilebox, and change nothing: there is one layout.
    Errors: NotFoundError; ArgumentError for the job and for each option; DamagedLog.

    >>> svg = client.jobs().visualize(job, direction="right", theme="light")
    >>> svg[:4], "Hello, world" in svg
    ('<svg', True)
    """
    pictures.check_options(direction, layout, sketchy, theme)
    return await _svg(await _outline(session, job_or_id), direction, theme)


async def display(
    session: Session,
    job_or_id: JobOrId,
    direction: str = "down",
    layout: str = "dagre",
    sketchy: bool = True,
    theme: str = "auto",
) -> Picture:
    """Show the job as it stands now: in a notebook as the diagram of `visualize`, elsewhere printed as a tree.

    Shape and errors: as `visualize`; the options change the diagram only.

    >>> client.jobs().display(job)
    greetings · COMPLETED · 1 task
    └─ ✓ Hello, world
    """
    pictures.check_options(direction, layout, sketchy, theme)
    outline = await _outline(session, job_or_id)
    if pictures.in_notebook():
        return Picture(svg=await _svg(outline, direction, theme))
    return Picture(tree=await asyncio.to_thread(tree, outline))


async def _outline(session: Session, job_or_id: JobOrId) -> Outline:
    """Copy what a picture needs: drawing it holds up nobody."""
    if isinstance(job_or_id, JobFacts) and job_or_id._reading.session is session:
        return await job_or_id._reading.look(Outline.of)
    return Outline.of((await find(session, job_or_id)).view)


async def _svg(outline: Outline, direction: str, theme: str) -> str:
    return await asyncio.to_thread(drawn, outline, direction=direction, theme=theme)

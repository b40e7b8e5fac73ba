"""The projector of one data folder."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from ..nats.endpoint import Endpoint
from .child_process import run_child
from .folder import DataFolder


async def run_projector_process(
    folder: DataFolder, endpoint: Endpoint, namespace: str, *, stop: asyncio.Event
) -> int:
    """Keep the folder's view in a process until `stop` is set, or until that process ends by itself. Return its exit code."""
    return await run_child(
        "jobledger.adapters.views",
        "--store",
        store_url(folder),
        endpoint=endpoint,
        namespace=namespace,
        stop=stop,
    )


def store_url(folder: DataFolder) -> str:
    """Return where the folder's view is."""
    return f"sqlite:///{quote(str(folder.views / 'jobs.sqlite3'))}"

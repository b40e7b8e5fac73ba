"""Waiting for whatever comes first."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def wait_any(*events: asyncio.Event | asyncio.Future[Any], timeout: float | None = None) -> None:
    """Return when one of these happens, or after `timeout` seconds."""
    waits = [asyncio.ensure_future(e.wait()) if isinstance(e, asyncio.Event) else e for e in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event, wait in zip(events, waits, strict=True):
            if isinstance(event, asyncio.Event):
                wait.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await wait

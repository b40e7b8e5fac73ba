"""The quota of the log's stream, lowered so that nothing more fits, and lifted again, by the server's own API."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import nats
import nats.errors

from jobledger.adapters.nats.names import Names

_PAUSE = 0.2  # seconds between two tries while the server is away


class Quota:
    """Of one stream. Changes are made in the background, until the server takes them."""

    def __init__(self, url: str, names: Names, **login: str) -> None:
        self._url = url
        self._stream = names.log_stream
        self._login = login
        self._wanted = threading.Event()
        self._full = False
        self._is_full = False
        self._closed = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep()), daemon=True)
        self._thread.start()

    def fill(self) -> None:
        """Have the server refuse whatever would be written from now on."""
        self._full = True
        self._wanted.set()

    def lift(self) -> None:
        self._full = False
        self._wanted.set()

    @property
    def settled(self) -> bool:
        """Whether the server has taken what was asked for last."""
        return self._is_full == self._full

    def close(self) -> None:
        self._closed = True
        self._wanted.set()
        self._thread.join(10)

    async def _keep(self) -> None:
        while True:
            await asyncio.to_thread(self._wanted.wait)
            if self._closed:
                return
            self._wanted.clear()
            while not self.settled and not self._closed:
                full = self._full
                try:
                    await self._change(full=full)
                    self._is_full = full
                except (nats.errors.Error, OSError, _Refused):
                    await asyncio.sleep(_PAUSE)

    async def _change(self, *, full: bool) -> None:
        client = await nats.connect(
            self._url, connect_timeout=1, allow_reconnect=False, error_cb=_silent, **self._login
        )
        try:
            info = await self._asked(client, "INFO", {})
            settings = info["config"] | {"max_bytes": max(1, info["state"]["bytes"]) if full else -1}
            await self._asked(client, "UPDATE", settings)
        finally:
            await client.close()

    async def _asked(self, client: Any, what: str, request: dict[str, Any]) -> dict[str, Any]:
        subject = f"$JS.API.STREAM.{what}.{self._stream}"
        answer: dict[str, Any] = json.loads(
            (await client.request(subject, json.dumps(request).encode(), 2)).data
        )
        if "error" in answer:
            raise _Refused(answer["error"])
        return answer


class _Refused(Exception):
    """The server did not do what was asked."""


async def _silent(error: Exception) -> None:
    """It is tried again in any case."""

"""The JSON API as a program meets it that knows nothing but NATS and JSON, and a service that answers it."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import Future
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client

from jobledger.adapters.gateway.hosting import PATIENCE, run_api
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.portal import shared_portal
from support.waiting import eventually_async


class ApiError(Exception):
    """What `{"error": …}` said."""

    def __init__(self, code: str, message: str, field: str | None, temporary: bool) -> None:
        super().__init__(f"{code} ({field}): {message}")
        self.code = code
        self.message = message
        self.field = field
        self.temporary = temporary


class Api:
    """Sends requests over a connection of its own, and blocks for the replies."""

    def __init__(self, url: str, namespace: str, **login: Any) -> None:
        self._portal = shared_portal()
        self._prefix = f"jobledger.{namespace}.api"
        self.patience = 30.0  #: seconds
        self.nc: Client = self._portal.run(
            nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, **login)
        )

    def close(self) -> None:
        self._portal.run(self.nc.close())

    def __call__(self, operation: str, **fields: Any) -> Any:
        """Return what is `ok`. Errors: ApiError."""
        return self._portal.run(self.asking(operation, **fields))

    async def asking(self, operation: str, **fields: Any) -> Any:
        return _ok(await self.sending(f"v1.{operation}", json.dumps(fields, separators=(",", ":")).encode()))

    def send(self, operation: str, data: bytes) -> Any:
        """Return the whole reply to any bytes on the subject of an operation, such as v1.submit."""
        return self._portal.run(self.sending(operation, data))

    async def sending(self, operation: str, data: bytes) -> Any:
        async def replied() -> Any:
            try:
                return await self.nc.request(f"{self._prefix}.{operation}", data, timeout=self.patience)
            except nats.errors.NoRespondersError:
                return None  # the service has not begun yet

        return json.loads((await eventually_async(replied)).data)

    def begin(self, operation: str, **fields: Any) -> Future[Any]:
        """Send a request, and return what will be `ok`."""
        return asyncio.run_coroutine_threadsafe(self.asking(operation, **fields), self._portal.loop)

    def refused(self, operation: str, **fields: Any) -> ApiError:
        """Return why a request was not carried out."""
        try:
            found = self(operation, **fields)
        except ApiError as error:
            return error
        raise AssertionError(f"{operation} was carried out: {found}")


def _ok(reply: Any) -> Any:
    error = reply.get("error")
    if error is not None:
        raise ApiError(**error)
    return reply["ok"]


class ApiService:
    """The service of one namespace, on the shared event loop."""

    def __init__(self, url: str, namespace: str, *, patience: float = PATIENCE) -> None:
        self._portal = shared_portal()
        self._ready = threading.Event()
        self._task = self._portal.run(self._start(Endpoint(url), namespace, patience))

    async def _start(self, endpoint: Endpoint, namespace: str, patience: float) -> asyncio.Task[None]:
        self._stop = asyncio.Event()
        return asyncio.create_task(
            run_api(endpoint, namespace, stop=self._stop, on_ready=self._ready.set, patience=patience)
        )

    def wait_ready(self) -> ApiService:
        assert self._ready.wait(10), "the service was not ready in time"
        return self

    def stop(self) -> None:
        async def leave() -> None:
            self._stop.set()
            await self._task

        self._portal.run(leave(), timeout=10)

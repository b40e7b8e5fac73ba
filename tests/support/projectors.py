"""A projector on the shared event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from jobledger.adapters.client.query.viewing import ask_view
from jobledger.adapters.client.session import Session
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import Portal, shared_portal
from jobledger.adapters.views.protocol import FindJobs, JobPage, ViewStatus
from jobledger.adapters.views.run import run_projector
from jobledger.projections.jobs import JobFilter, JobRow

T = TypeVar("T")


class ProjectorHarness:
    """A projector of one namespace, from `start` to `stop`; it can be started again."""

    def __init__(self, url: str, names: Names, store_url: str) -> None:
        self._portal: Portal = shared_portal()
        self._endpoint = Endpoint(url)
        self._names = names
        self._store_url = store_url
        self._task: asyncio.Task[None] | None = None

    def start(self) -> ProjectorHarness:
        async def starting() -> None:
            self.begin()

        self._portal.run(starting())
        assert self._ready.wait(10), "the projector was not ready in time"
        return self

    def begin(self) -> None:
        """Start without waiting until it is ready. To be called on the loop."""
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._task = asyncio.create_task(
            run_projector(
                self._endpoint,
                self._names.namespace,
                self._store_url,
                stop=self._stop,
                on_ready=self._ready.set,
            )
        )

    def stop(self) -> None:
        async def leave(task: asyncio.Task[None]) -> None:
            self._stop.set()
            await task

        task, self._task = self._task, None
        if task is not None:
            self._portal.run(leave(task), timeout=10)


class Questions:
    """Asks the projectors of a namespace, as a client does."""

    def __init__(self, url: str, names: Names) -> None:
        endpoint = Endpoint(url)
        self.session = Session(lambda: endpoint, names, name="questions", patience=10.0)

    def run(self, op: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        """Run an operation of the client."""
        return shared_portal().run(op(self.session, *args, **kwargs))

    def rows(self, wanted: JobFilter | None = None, *, after: int = 0) -> list[JobRow]:
        """Return the newest page, as of this position of the log at least."""
        found: JobPage = self.run(
            ask_view, lambda wait: FindJobs(wanted or JobFilter(), after=after, wait=wait), JobPage
        )
        return found.rows

    def views(self) -> list[ViewStatus]:
        from jobledger.adapters.client.query.viewing import views

        return self.run(views)

    def close(self) -> None:
        shared_portal().run(self.session.close())

"""What a client needs of a server, answered by the inline engine."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from jobledger.core.errors import JobLedgerError

from ..client.session import Sealing, Session
from ..link import Link
from ..nats.endpoint import Endpoint
from ..nats.log import StoredCommit
from ..nats.names import Names
from ..protocol import Answer, CommandRequest, FollowJob, JobStatus
from ..sealing.keys import Keyring
from .engine import InlineEngine

_MAX_PAYLOAD = 8 * 1024 * 1024  # bytes, as the embedded server's


class NotInline(JobLedgerError, NotImplementedError):
    """An inline client has no server to do this with, and nothing that goes on in the background.

    Run the tasks before waiting for their job; use a `Client` for what needs a server, or leave it out of the test.

    >>> InlineClient().jobs().submit("greetings", Greet("world")).wait()
    Traceback (most recent call last):
    NotInline: job ... does not move by itself: nothing runs in the background of an inline client. ...
    """


class InlineSession(Session):
    """Asks the engine in this process. Nothing goes on in the background: what nobody runs stands still."""

    has_objects = False

    def __init__(self, engine: InlineEngine, names: Names, sealing: Sealing, keyring: Keyring) -> None:
        super().__init__(_no_server, names, name="inline", patience=0.0, sealing=sealing)
        self.engine = engine
        self.keyring = keyring

    def now(self) -> int:
        return self.engine.clock.micros

    async def link(self) -> Link:
        return cast(Link, _NoLink())

    async def close(self) -> None:
        pass

    async def ask(
        self, request: CommandRequest, *, timeout: float = 0.0, patience: float | None = None
    ) -> Answer:
        # On another thread: the log of a real server is written on this very event loop.
        answer = await asyncio.to_thread(self.engine.answer, request)
        if isinstance(request, FollowJob) and isinstance(answer, JobStatus) and not request.is_news(answer):
            raise NotInline(
                f"job {request.job_id} does not move by itself: nothing runs in the background of an inline client. "
                "Call client.runner(tasks=[…]).run_all() before you wait for it"
            )
        return answer

    async def read(
        self, job_id: str, after: StoredCommit | None = None, *, patience: float | None = None
    ) -> list[StoredCommit]:
        return await asyncio.to_thread(self.engine.read, job_id, after)

    async def written_at(self, position: int) -> int:
        return await asyncio.to_thread(self.engine.written_at, position)

    async def revive(self) -> None:
        pass

    async def max_payload(self) -> int:
        return _MAX_PAYLOAD


class _NoLink:
    """Stands where a connection would be."""

    @property
    def clusters(self) -> _EveryCluster:
        return _EveryCluster()

    def __getattr__(self, name: str) -> Any:
        raise NotInline(
            "this needs a server, and an inline client has none: use it with Client(), or leave it out of the test"
        )


class _EveryCluster:
    """Any cluster may be named inline."""

    async def check(self, slug: str, patience: float) -> None:
        pass


def _no_server() -> Endpoint:
    raise NotInline("an inline client has no server")

"""The service's line to the engine, on which a refusal is a problem with a code of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from .. import protocol as p
from ..client.requests import refusal
from ..client.session import Session
from .problems import Problem, code_of_refusal

_AT_ONCE = 4  # histories that are read at a time: a large one takes memory


class ApiSession(Session):
    """A session that tries as long as it has patience, and raises what the engine refuses as Problem."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.reading = asyncio.Semaphore(_AT_ONCE)

    async def ask(
        self, request: p.CommandRequest, *, timeout: float | None = None, patience: float | None = None
    ) -> p.Answer:
        """As `Session.ask`. Errors: Problem where the engine refuses; ServerUnavailable; DamagedLog."""
        timeout = self.patience if timeout is None else timeout
        answer = await super().ask(request, timeout=timeout, patience=patience)
        if isinstance(answer, p.Refused):
            error = await refusal(self, answer, request.job_id)
            raise Problem(code_of_refusal(answer.code), str(error)) from error
        return answer

    async def revive(self) -> None:
        with suppress(Problem):  # it asks for a job that there is not
            await super().revive()

"""Who waits for news of a job: told as soon as a commit is acknowledged, never by polling."""

from __future__ import annotations

import asyncio

from ..protocol import FollowJob, JobStatus


class Followers:
    """Open questions, by job."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[asyncio.Future[JobStatus], tuple[FollowJob, JobStatus]]] = {}

    async def wait(self, request: FollowJob, status: JobStatus) -> JobStatus:
        """Return the first status that is news to whoever asked, or the last one known when time is up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[JobStatus] = loop.create_future()
        waiting = self._waiting.setdefault(request.job_id, {})
        waiting[future] = (request, status)
        timer = loop.call_later(max(0.0, request.wait), self._answer, request.job_id, future)
        try:
            return await future
        finally:
            timer.cancel()
            waiting.pop(future, None)
            if not waiting and self._waiting.get(request.job_id) is waiting:
                del self._waiting[request.job_id]

    def tell(self, job_id: str, status: JobStatus) -> None:
        """A commit of the job is in the log."""
        waiting = self._waiting.get(job_id)
        if waiting is None:
            return
        for future, (request, _) in waiting.items():
            waiting[future] = (request, status)
            if request.is_news(status) and not future.done():
                future.set_result(status)

    def answer_all(self) -> None:
        """Answer everyone with what is known: the engine is leaving."""
        for job_id, waiting in self._waiting.items():
            for future in waiting:
                self._answer(job_id, future)

    def _answer(self, job_id: str, future: asyncio.Future[JobStatus]) -> None:
        if not future.done():
            future.set_result(self._waiting[job_id][future][1])

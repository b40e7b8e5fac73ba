"""Who waits for news of a job: told as soon as a commit is acknowledged, never by polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..protocol import FollowJob, JobStatus


class _Follower:
    """An open question. `answer` is called once, with the first status that is news, or the last one known."""

    def __init__(self, request: FollowJob, status: JobStatus, answer: Callable[[JobStatus], None]) -> None:
        self.request = request
        self.status = status
        self.answer = answer
        self.timer: asyncio.TimerHandle | None = None


class Followers:
    """Open questions, by job."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[_Follower]] = {}

    def hold(self, request: FollowJob, status: JobStatus, answer: Callable[[JobStatus], None]) -> None:
        """Have `answer` called with the first status that is news to whoever asked, or with the last one known when
        time is up."""
        follower = _Follower(request, status, answer)
        self._waiting.setdefault(request.job_id, set()).add(follower)
        loop = asyncio.get_running_loop()
        follower.timer = loop.call_later(max(0.0, request.wait), self._answer, follower)

    def wait_for(self, job_id: str) -> bool:
        """Whether anybody waits for news of the job."""
        return job_id in self._waiting

    def tell(self, job_id: str, status: JobStatus) -> None:
        """A commit of the job is in the log."""
        for follower in list(self._waiting.get(job_id, ())):
            follower.status = status
            if follower.request.is_news(status):
                self._answer(follower)

    def answer_all(self) -> None:
        """Answer everyone with what is known: the engine is leaving."""
        for waiting in list(self._waiting.values()):
            for follower in list(waiting):
                self._answer(follower)

    def _answer(self, follower: _Follower) -> None:
        waiting = self._waiting.get(follower.request.job_id, set())
        if follower not in waiting:
            return
        waiting.discard(follower)
        if not waiting:
            del self._waiting[follower.request.job_id]
        assert follower.timer is not None
        follower.timer.cancel()
        follower.answer(follower.status)

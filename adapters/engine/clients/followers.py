"""Who waits for news of a job: told as soon as a commit is acknowledged, never by polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jobledger.core.limits import LONGEST_WAIT

from ...protocol import FollowJob, JobStatus

#: open questions at a time: of more, the oldest ones are answered with what is known, and are asked again
_MOST = 100_000


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
        self._waiting: dict[str, dict[_Follower, None]] = {}  #: in the order in which they asked
        self._open: dict[_Follower, None] = {}  #: the same ones, whatever they ask about

    def hold(self, request: FollowJob, status: JobStatus, answer: Callable[[JobStatus], None]) -> None:
        """Have `answer` called with the first status that is news to whoever asked, or with the last one known when
        time is up."""
        if len(self._open) >= _MOST:
            self._answer(next(iter(self._open)))
        follower = _Follower(request, status, answer)
        self._open[follower] = None
        self._waiting.setdefault(request.job_id, {})[follower] = None
        loop = asyncio.get_running_loop()
        follower.timer = loop.call_later(min(max(0.0, request.wait), LONGEST_WAIT), self._answer, follower)

    @property
    def waiting(self) -> int:
        """How many questions are open."""
        return len(self._open)

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
        for follower in list(self._open):
            self._answer(follower)

    def _answer(self, follower: _Follower) -> None:
        if follower not in self._open:
            return
        del self._open[follower]
        waiting = self._waiting[follower.request.job_id]
        del waiting[follower]
        if not waiting:
            del self._waiting[follower.request.job_id]
        assert follower.timer is not None
        follower.timer.cancel()
        follower.answer(follower.status)

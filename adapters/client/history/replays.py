"""Stepping through the history of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobledger.core.errors import ArgumentError
from jobledger.projections.checkpoints import copied
from jobledger.projections.moments import Moment
from jobledger.projections.replaying import Replay

from .. import arguments
from ..arguments import JobOrId
from ..read.opening import opener_of
from ..read.reading import Reading
from ..requests import not_found
from .past import PastJob, PastReading

if TYPE_CHECKING:
    from jobledger.projections.sealed import Opener

    from ...nats.log import StoredCommit
    from ..session import Session


class JobReplay(Replay):
    """The history of a job, commit by commit, forwards and backwards, and the job as it was at each of them.

    From `job.replay()` and `client.jobs().replay(id)`. It begins before the first commit, and holds all there were when
    it was made; nothing is read any more. For one thread at a time.
    Errors of every move: DamagedLog, if a commit cannot follow what came before.

    >>> replay = job.replay()
    >>> for step in replay:
    ...     print(step.version, step.lines[0], replay.job.state.name)
    1 job 'greetings' submitted by ... with 1 root task SUBMITTED
    2 task 0 (Greet) claimed by runner ..., attempt 1 RUNNING
    3 task 0 (Greet) computed by attempt 1 in ... COMPLETED
    >>> replay.back().version, replay.view.state.name, len(replay)
    (2, 'RUNNING', 3)
    """

    def __init__(self, reading: Reading, commits: list[StoredCommit], opener: Opener) -> None:
        self._session = reading.session
        self._stored = commits
        super().__init__(reading.job_id, commits, fetch=reading.session.fetch, opener=opener)

    @property
    def job(self) -> PastJob:
        """The job as of the commit at which it stands: a copy, which stays as it is when the replay moves on.

        Errors: ArgumentError while it stands before the first commit.

        >>> replay = job.replay()
        >>> before = [replay.job for step in replay]
        >>> [past.tasks[0].state.name for past in before]
        ['QUEUED', 'RUNNING', 'COMPUTED']
        """
        if self.current is None:
            raise ArgumentError("the replay stands before the first commit: step() or seek(…) goes to one")
        moment = Moment(position=self.view.position)
        reading = PastReading(self._session, self.view.job.id, moment, name=self.view.job.name)
        reading.view, reading.commits = copied(self.view), self._stored[: self.version]
        return PastJob(reading)


async def replay(reading: Reading) -> JobReplay:
    """Return the history of the job to step through, as the log has it now.

    Errors: NotFoundError; DamagedLog; ServerUnavailable.

    >>> replay = job.replay()
    >>> replay.search(state=TaskState.RUNNING).version, replay.back().version
    (2, 1)
    """
    commits = await reading.session.read(reading.job_id)
    if not commits:
        raise not_found(reading.job_id)
    return JobReplay(reading, commits, await opener_of(reading.session, reading.job_id, commits))


async def replay_of(session: Session, job_or_id: JobOrId) -> JobReplay:
    """Return the history of a job to step through, as the log has it now: also of one that was deleted.

    Errors: NotFoundError if there never was one; ArgumentError if it is no id; DamagedLog.

    >>> client.jobs().replay(job.id).seek(version=-1).lines
    ['task 0 (Greet) computed by attempt 1 in ...', 'job completed']
    """
    return await replay(Reading(session, arguments.job_id(job_or_id)))

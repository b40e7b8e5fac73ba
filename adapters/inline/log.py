"""Where the commits of inline jobs are kept: in memory, or in the log of a real server."""

from __future__ import annotations

from typing import Protocol

from ..nats.endpoint import Endpoint
from ..nats.log import AppendConflict, LogWriter, StoredCommit, continued, read_job
from ..nats.moments import check_position, written_at
from ..nats.names import Names
from ..portal import Portal, shared_portal


class Log(Protocol):
    """Takes the commits of jobs in order, and gives them back."""

    def append(self, job_id: str, payload: bytes, *, after: int) -> int:
        """Store a commit behind the one at position `after`, and return its position."""

    def read(self, job_id: str, after: StoredCommit | None = None) -> list[StoredCommit]:
        """Return the commits of a job, or those behind one that was read before."""

    def written_at(self, position: int) -> int:
        """Return when the commit at a position was decided, in µs. Errors: ArgumentError beyond the end of the log."""

    def close(self) -> None: ...


class MemoryLog:
    """Keeps the same bytes that a server would."""

    def __init__(self) -> None:
        self._jobs: dict[str, list[StoredCommit]] = {}
        self._position = 0

    def append(self, job_id: str, payload: bytes, *, after: int) -> int:
        commits = self._jobs.setdefault(job_id, [])
        last = commits[-1] if commits else None
        if after != (last.position if last else 0):
            raise AppendConflict(f"the last position of job {job_id} is not {after}")
        commits.append(continued(job_id, last, self._position + 1, payload))
        self._position += 1
        return self._position

    def read(self, job_id: str, after: StoredCommit | None = None) -> list[StoredCommit]:
        return self._jobs.get(job_id, [])[after.version if after else 0 :]

    def written_at(self, position: int) -> int:
        check_position(position, self._position)
        every = (stored for commits in self._jobs.values() for stored in commits)
        return next(stored.commit.at for stored in every if stored.position == position)

    def close(self) -> None:
        pass


class ServerLog:
    """The log of a namespace on a real server, on which no engine serves."""

    def __init__(self, endpoint: Endpoint, names: Names) -> None:
        self._names = names
        self._portal: Portal = shared_portal()
        self._portal.run(self._open(endpoint))

    async def _open(self, endpoint: Endpoint) -> None:
        from ..nats.connection import connect
        from ..nats.streams import ensure_log

        self._client = await connect(endpoint, name=f"jobledger inline {self._names.namespace}")
        await ensure_log(self._client.jetstream(), self._names)
        self._writer = LogWriter(self._client, self._names)
        await self._writer.open()

    def append(self, job_id: str, payload: bytes, *, after: int) -> int:
        return self._portal.run(self._writer.append(job_id, payload, after=after))

    def read(self, job_id: str, after: StoredCommit | None = None) -> list[StoredCommit]:
        return self._portal.run(read_job(self._client, self._names, job_id, after=after))

    def written_at(self, position: int) -> int:
        return self._portal.run(written_at(self._client, self._names, position))

    def close(self) -> None:
        self._portal.run(self._client.close())

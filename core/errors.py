"""The errors a user of the project meets. Each says what was wrong, what came of it, and what to do next.

They are also subclasses of the builtin a caller would expect (`ConnectionError`, `KeyError`, `ValueError`), so that
code which never heard of this project handles them too.
"""

from __future__ import annotations


class JobLedgerError(Exception):
    """Base of every error raised on purpose."""


class ServerUnavailable(JobLedgerError, ConnectionError):
    """No usable answer from the server: it is away, refuses the credentials, or could not be started."""


class ServerAway(ServerUnavailable):
    """Nobody answers just now. A server may be starting, or starting again: whoever can wait, may."""


class ServerUnsuitable(JobLedgerError):
    """The server answers but lacks what is needed, such as JetStream or a recent enough version."""


class NotFoundError(JobLedgerError, KeyError):
    """What was asked for does not exist."""

    def __str__(self) -> str:
        # KeyError would show the repr of its argument: a sentence in quotes.
        return Exception.__str__(self)


class ArgumentError(JobLedgerError, ValueError):
    """What was passed in cannot be used."""


class DamagedLog(JobLedgerError):
    """A job's history cannot be read back as it was written."""

    def __init__(self, job_id: str, position: int, problem: str) -> None:
        super().__init__(
            f"the log is damaged at position {position}, in the history of job {job_id}: {problem}. "
            "Nothing is written to this job any more; other jobs are unaffected. Restore the log from a backup, or "
            "submit the job again"
        )
        self.job_id = job_id
        self.position = position
        self.problem = problem


class JobFailed(JobLedgerError):
    """A job that was waited for has failed."""

    def __init__(
        self, message: str, *, job_id: str = "", task_id: str = "", reason: str = "", detail: str = ""
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.task_id = task_id  #: the task that failed the job
        self.reason = reason  #: name of the type of the exception it raised
        self.message = detail  #: text of that exception


class JobCanceled(JobLedgerError):
    """A job that was waited for has been canceled."""

    def __init__(self, message: str, *, job_id: str = "", by: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id
        self.by = by  #: who canceled it, as user@host
        self.reason = reason  #: what they gave as the reason


class JobNotRetryable(ArgumentError):
    """Only a failed or canceled job can be retried; this one is running, waiting or completed."""

"""The errors a user of the project meets. Each says what was wrong, what came of it, and what to do next.

They are also subclasses of the builtin a caller would expect (`ConnectionError`, `KeyError`, `ValueError`), so that
code which never heard of this project handles them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType


class JobLedgerError(Exception):
    """Base of every error raised on purpose: catch it where any of them ends what was tried. Its text says what to do.

    >>> try:
    ...     client.jobs().find("yesterday's job")
    ... except JobLedgerError as error:
    ...     print(type(error).__name__, error)
    ArgumentError "yesterday's job" is not a job, nor the id of one: pass a Job, its id (a uuid.UUID), or ...
    """


class ServerUnavailable(JobLedgerError, ConnectionError):
    """No usable answer from the server: it is away, refuses the credentials, or could not be started.

    Requests wait for a server that is away for the `patience` of their client before this is raised. What was asked for
    may have happened, if only the answer was lost; asking again is safe. Jobs go on without their client.

    >>> Client(namespace="nobody-serves-this", patience=0).jobs().submit("greetings", Greet("world"))
    Traceback (most recent call last):
    ServerUnavailable: no answer from the engine for 0 s: no engine serves this namespace...
    """


class ServerAway(ServerUnavailable):
    """Nobody answers just now. A server may be starting, or starting again: whoever can wait, may."""


class NoQuorum(ServerAway):
    """Too few of the NATS servers that hold the log run, or reach each other, for it to take or tell anything.

    Nothing that was acknowledged is lost, and what was asked for goes on by itself once most of them are back: those named
    in `missing` did not take a connection. Requests wait for them for the `patience` of their client.

    >>> try:
    ...     job = client.jobs().submit("greetings", Greet("world"))
    ... except NoQuorum as error:
    ...     raise SystemExit(f"start these again: {', '.join(error.missing)}")
    """

    def __init__(self, message: str, *, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)  #: addresses, as host:port; none where all answer and cannot agree


class ServerUnsuitable(JobLedgerError):
    """The server answers but lacks what is needed, such as JetStream or a recent enough version.

    Trying again does not help: change the server as the message says, or use another one.

    >>> try:
    ...     found = client.jobs().find(job)
    ... except ServerUnsuitable as error:
    ...     raise SystemExit(f"ask the administrator: {error}")
    """


class NotFoundError(JobLedgerError, KeyError):
    """What was asked for does not exist: a job, a task, a cluster, a value that was removed from the server.

    The message says what there is instead, or when it was deleted and by whom. Check the id, and that the client uses
    the server and the namespace it belongs to.

    >>> client.jobs().find("018dd029-58ca-74e5-8b58-b4f99d610f9a")
    Traceback (most recent call last):
    NotFoundError: there is no job 018dd029-58ca-74e5-8b58-b4f99d610f9a in this log: check the id, and that the ...
    """

    def __str__(self) -> str:
        # KeyError would show the repr of its argument: a sentence in quotes.
        return Exception.__str__(self)


class LogFull(JobLedgerError):
    """The log has no room for anything new: what is left of it is kept so that jobs that are not over can end.

    Nothing was submitted, forked or retried. A log forgets nothing, so that waiting helps little: whoever runs the server
    has to raise its limit, as the message says. Until then what runs goes on, and everything can be read.

    >>> try:
    ...     job = client.jobs().submit("greetings", Greet("world"))
    ... except LogFull as error:
    ...     raise SystemExit(f"ask the administrator for room: {error}")
    """


class ErasedError(NotFoundError):
    """An input, a result or an error text cannot be read any more: its job was deleted, and its key destroyed.

    There is no way back: no backup of the log helps. What happened, and when, still is in the job's history.

    >>> job = client.jobs().submit("greetings", Greet("world"), encrypt=True)
    >>> task = job.tasks[0]
    >>> client.jobs().delete(job, force=True)
    >>> try:
    ...     client.jobs().find(job)
    ... except NotFoundError as error:
    ...     print(error)
    job 'greetings' (...) was deleted at ... by .... Its history stays in the log; its key was destroyed
    """


class KeyUnavailable(JobLedgerError):
    """The key of a sealed job cannot be had here: this user may not read keys, or they are kept where this program
    does not look. States, times and counts of the job can be read without it.

    Pass the key store that has it, `Client(keys=…)`, or have the server's administrator grant the keys to this user.

    >>> from jobledger.sealing import MemoryKeys
    >>> job = Client(keys=MemoryKeys("elsewhere")).jobs().submit("greetings", Greet("world"), encrypt=True)
    Traceback (most recent call last):
    ArgumentError: the engine of this namespace has no key store 'elsewhere', ...
    """


class SealBroken(JobLedgerError):
    """What is encrypted is not what was sealed at this place: it was changed, or put there from elsewhere.

    Verify the log, and restore what was changed from a backup.

    >>> try:
    ...     result = job.result
    ... except SealBroken as error:
    ...     raise SystemExit(f"somebody has changed the log: {error}")
    """


class ArgumentError(JobLedgerError, ValueError):
    """What was passed in cannot be used. The message names the argument and the value, and says what can be passed.

    It is raised before anything is sent, or by an engine that changed nothing because of it.

    >>> client.jobs().cancel(job, grace="soon")
    Traceback (most recent call last):
    ArgumentError: grace='soon' is no length of time: pass seconds or a timedelta
    """


class DamagedLog(JobLedgerError):
    """A job's history cannot be read back as it was written.

    Raised for every request about this job. Restore the log from a backup, or submit the job again.

    >>> error = DamagedLog("018dd029-58ca-74e5-8b58-b4f99d610f9a", 7, "its checksum does not fit its bytes")
    >>> error.job_id, error.position
    ('018dd029-58ca-74e5-8b58-b4f99d610f9a', 7)
    >>> print(error)
    the log is damaged at position 7, in the history of job 018dd029-58ca-74e5-8b58-b4f99d610f9a: its checksum ...
    """

    def __init__(self, job_id: str, position: int, problem: str) -> None:
        super().__init__(
            f"the log is damaged at position {position}, in the history of job {job_id}: {problem}. "
            "Nothing is written to this job any more; other jobs are unaffected. Restore the log from a backup, or "
            "submit the job again"
        )
        self.job_id = job_id
        self.position = position
        self.problem = problem


class NotAllSubmitted(JobLedgerError):
    """Some of many jobs were not submitted; the others were. Each of `errors` says what to do about its job.

    >>> first = client.jobs().submit("greetings", Greet("Ada"), idempotency_key="first")
    >>> try:
    ...     client.jobs().submit_many(
    ...         [NewJob("greetings", Greet("Ada")), NewJob("greetings", Greet("Grace"), idempotency_key="first")]
    ...     )
    ... except NotAllSubmitted as error:
    ...     print([job_id is not None for job_id in error.job_ids], error.errors)
    [True, False] {1: ArgumentError(...)}
    """

    def __init__(
        self,
        message: str,
        *,
        job_ids: Sequence[str | None] = (),
        errors: Mapping[int, JobLedgerError] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.job_ids = list(job_ids)  #: in the order given; None for those that were not submitted
        self.errors = dict(errors)  #: of those, by their places


class JobFailed(JobLedgerError):
    """A job that was waited for has failed. `wait(raise_on_failure=False)` returns it instead.

    Mend the cause, then `retry` it: what is computed is kept. `str(error)` says which task failed, and how.

    >>> class Copy(Task):
    ...     def execute(self, context: ExecutionContext) -> None:
    ...         raise OSError("the disk is full")
    >>> job = client.jobs().submit("copying", Copy())
    >>> client.runner(tasks=[Copy]).run_all()
    ERROR: Task Copy failed with exception: OSError('the disk is full') ...
    >>> try:
    ...     job.wait()
    ... except JobFailed as error:
    ...     print(error.job_id == str(job.id), error.task_id == job.tasks[0].id, error.reason, error.message)
    True True OSError the disk is full
    """

    def __init__(
        self, message: str, *, job_id: str = "", task_id: str = "", reason: str = "", detail: str = ""
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.task_id = task_id  #: the task that failed the job
        self.reason = reason  #: name of the type of the exception it raised
        self.message = detail  #: text of that exception


class JobCanceled(JobLedgerError):
    """A job that was waited for has been canceled. `wait(raise_on_cancel=False)` returns it instead; `retry` resumes it.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.jobs().cancel(job, reason="not in the mood")
    True
    >>> try:
    ...     job.wait()
    ... except JobCanceled as error:
    ...     print(error.job_id == str(job.id), error.by != "", error.reason)
    True True not in the mood
    """

    def __init__(self, message: str, *, job_id: str = "", by: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id
        self.by = by  #: who canceled it, as user@host
        self.reason = reason  #: what they gave as the reason


class JobNotRetryable(ArgumentError):
    """Only a failed or canceled job, or task, can be retried; this one is running, waiting or completed.

    Wait for it, or cancel it first. To run what is completed, submit it again.

    >>> client.jobs().retry(job)
    Traceback (most recent call last):
    JobNotRetryable: job ... is COMPLETED; only a FAILED or CANCELED job is retried, ...: submit it again to run it anew
    """


class JobNotDeletable(ArgumentError):
    """Only a settled job can be deleted; something of this one is queued or running.

    Wait for it, cancel it first, or delete it with `force=True`. `job.deletable` tells without trying.

    >>> job = client.jobs().submit("greetings", Greet("world"))
    >>> client.jobs().delete(job)
    Traceback (most recent call last):
    JobNotDeletable: job ... cannot be deleted: it is SUBMITTED. Cancel it and wait until it is settled, or delete ...
    """

"""What can go wrong with a request: the codes, which are promised, and what the errors of the client are among them."""

from __future__ import annotations

from typing import NamedTuple

from jobledger.core.errors import (
    ArgumentError,
    DamagedLog,
    ErasedError,
    JobLedgerError,
    JobNotDeletable,
    JobNotRetryable,
    KeyUnavailable,
    LogFull,
    NotFoundError,
    SealBroken,
    ServerUnavailable,
)

from ..objects import MissingObject, ObjectRefused


class Code(NamedTuple):
    """One kind of error."""

    status: int  #: the HTTP status that means about the same: NATS micro services tell it in a header
    temporary: bool  #: the same request may succeed later
    meaning: str


CODES: dict[str, Code] = {
    "invalid_json": Code(400, False, "The request is no JSON, or no JSON object."),
    "invalid_argument": Code(
        400, False, "A field is missing, not known, or has a value that cannot be used: see `field`."
    ),
    "unknown_operation": Code(404, False, "There is no operation of the name in the subject."),
    "job_not_found": Code(404, False, "There is no such job, or not any more."),
    "task_not_found": Code(404, False, "The job has no task of this number, or not yet."),
    "cluster_not_found": Code(404, False, "There is no such cluster: no runner could take the task."),
    "value_not_found": Code(404, False, "A large value is not in the object store any more."),
    "key_unavailable": Code(
        403, False, "The job is encrypted, and its key is kept where this service cannot read it."
    ),
    "conflict": Code(409, False, "The idempotency key stands for another job: nothing was submitted."),
    "not_retryable": Code(409, False, "Nothing of the job, or of the task, failed or was canceled."),
    "not_deletable": Code(409, False, "The job is not settled: cancel it first, or use `force`."),
    "no_result": Code(409, False, "The job is not COMPLETED, or the task is not COMPUTED: it has no result."),
    "too_large": Code(413, False, "The request, or its reply, does not fit a message of the server."),
    "busy": Code(429, True, "Too many requests of this kind are open: send it again a little later."),
    "internal": Code(500, False, "The service failed on this request. Its log says why."),
    "damaged": Code(500, False, "The history of the job cannot be read: restore the log from a backup."),
    "unavailable": Code(
        503,
        True,
        "No answer from the server, an engine or a projector just now. What was asked for may or may not have happened: "
        "send it again, with its `idempotency_key`.",
    ),
    "log_full": Code(
        507,
        True,
        "The log has no room for anything new until its limit is raised. Nothing was done; what runs goes on.",
    ),
    "storage_full": Code(507, False, "The server's object store has no room for a large input."),
}


class Problem(JobLedgerError):
    """A request that is not carried out."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


#: the code of an error that is raised on purpose; the first that fits
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (MissingObject, "value_not_found"),
    (ErasedError, "value_not_found"),
    (NotFoundError, "job_not_found"),
    (JobNotRetryable, "not_retryable"),
    (JobNotDeletable, "not_deletable"),
    (ObjectRefused, "storage_full"),
    (ServerUnavailable, "unavailable"),
    (DamagedLog, "damaged"),
    (SealBroken, "damaged"),
    (KeyUnavailable, "key_unavailable"),
    (LogFull, "log_full"),
    (ArgumentError, "invalid_argument"),
)


_REFUSALS = {
    "unknown_job": "job_not_found",
    "unknown_task": "task_not_found",
    "invalid": "invalid_argument",
}


def code_of_refusal(code: str) -> str:
    """Return the code of what the engine refuses with one of its own codes."""
    code = _REFUSALS.get(code, code)
    return code if code in CODES else "internal"


def problem_of(error: Exception) -> Problem | None:
    """Return what an error of the client is to whoever asked; None for one that nobody foresaw."""
    if isinstance(error, Problem):
        return error
    code = next((code for kind, code in _KINDS if isinstance(error, kind)), None)
    return None if code is None else Problem(code, str(error))

"""What can be raised on purpose. Each says what was wrong, what came of it, and what to do next."""

from .core.errors import (
    ArgumentError,
    DamagedLog,
    JobCanceled,
    JobFailed,
    JobLedgerError,
    JobNotRetryable,
    NotFoundError,
    ServerUnavailable,
    ServerUnsuitable,
)
from .core.inputs import InputError

__all__ = [
    "ArgumentError",
    "DamagedLog",
    "InputError",
    "JobCanceled",
    "JobFailed",
    "JobLedgerError",
    "JobNotRetryable",
    "NotFoundError",
    "ServerUnavailable",
    "ServerUnsuitable",
]

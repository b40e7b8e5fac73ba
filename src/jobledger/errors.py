"""What can be raised on purpose. Each says what was wrong, what came of it, and what to do next.

>>> from jobledger.errors import NotFoundError
>>> try:
...     client.jobs().find("018dd029-58ca-74e5-8b58-b4f99d610f9a")
... except NotFoundError as error:
...     print(error)
there is no job 018dd029-58ca-74e5-8b58-b4f99d610f9a in this log: check the id, and that the client uses ...
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.objects import DamagedObject, ObjectRefused
    from .adapters.runner.caches.cache import CacheError, CacheNotConfigured
    from .adapters.runner.processes.death import WorkerDied
    from .core.context import TaskCanceled
    from .core.errors import (
        ArgumentError,
        DamagedLog,
        ErasedError,
        JobCanceled,
        JobFailed,
        JobLedgerError,
        JobNotDeletable,
        JobNotRetryable,
        KeyUnavailable,
        LogFull,
        NoQuorum,
        NotAllSubmitted,
        NotFoundError,
        SealBroken,
        ServerUnavailable,
        ServerUnsuitable,
    )
    from .core.inputs import InputError
    from .core.results import ResultError

_HOMES = {
    "ArgumentError": "jobledger.core.errors",
    "CacheError": "jobledger.adapters.runner.caches.cache",
    "CacheNotConfigured": "jobledger.adapters.runner.caches.cache",
    "DamagedLog": "jobledger.core.errors",
    "DamagedObject": "jobledger.adapters.objects",
    "ErasedError": "jobledger.core.errors",
    "InputError": "jobledger.core.inputs",
    "JobCanceled": "jobledger.core.errors",
    "JobFailed": "jobledger.core.errors",
    "JobLedgerError": "jobledger.core.errors",
    "JobNotDeletable": "jobledger.core.errors",
    "JobNotRetryable": "jobledger.core.errors",
    "KeyUnavailable": "jobledger.core.errors",
    "LogFull": "jobledger.core.errors",
    "NoQuorum": "jobledger.core.errors",
    "NotAllSubmitted": "jobledger.core.errors",
    "NotFoundError": "jobledger.core.errors",
    "ObjectRefused": "jobledger.adapters.objects",
    "ResultError": "jobledger.core.results",
    "SealBroken": "jobledger.core.errors",
    "ServerUnavailable": "jobledger.core.errors",
    "ServerUnsuitable": "jobledger.core.errors",
    "TaskCanceled": "jobledger.core.context",
    "WorkerDied": "jobledger.adapters.runner.processes.death",
}
__getattr__ = lazy_names(globals(), _HOMES)
__all__ = [
    "ArgumentError",
    "CacheError",
    "CacheNotConfigured",
    "DamagedLog",
    "DamagedObject",
    "ErasedError",
    "InputError",
    "JobCanceled",
    "JobFailed",
    "JobLedgerError",
    "JobNotDeletable",
    "JobNotRetryable",
    "KeyUnavailable",
    "LogFull",
    "NoQuorum",
    "NotAllSubmitted",
    "NotFoundError",
    "ObjectRefused",
    "ResultError",
    "SealBroken",
    "ServerUnavailable",
    "ServerUnsuitable",
    "TaskCanceled",
    "WorkerDied",
]


def __dir__() -> list[str]:
    return __all__

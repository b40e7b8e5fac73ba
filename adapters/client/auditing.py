"""Auditing the log, as two classes: `AuditClient` blocks, `AsyncAuditClient` is awaited. No engine takes part."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from jobledger.core.errors import ArgumentError

from .arguments import JobOrId, job_id
from .facade import awaited, blocking, same
from .read.facts import JobFacts
from .session import Session

if TYPE_CHECKING:
    from jobledger.projections.audit import AuditReport

    from ..audit.checkpoints import Checkpoint
    from ..audit.exporting import Exported


async def export(
    session: Session,
    to: str | os.PathLike[str],
    *,
    jobs: JobOrId | Iterable[JobOrId] | None = None,
    start: int | datetime | None = None,
    end: int | datetime | None = None,
    key: str | os.PathLike[str] | None = None,
) -> Exported:
    """Write the commits of the log, or of some jobs, to one file that can be verified without a server: a bundle.

    Two exports of the same range are the same, byte for byte, on any machine. The file is there as a whole or not at all.

    Shape:  `start` and `end` are positions of the log, or aware times by the server's clock; both are included, None is
            the first and the last commit there is. `key` is the file of a private Ed25519 key to sign with.
    Errors: ArgumentError for a range without commits, a key that cannot be used, a file that cannot be written;
            NotFoundError for a job without commits in the range.

    >>> exported = client.audit().export("greetings.bundle", jobs=job)
    >>> exported.jobs, exported.commits == job.history[-1].version
    (1, True)
    """
    from ..audit import exporting
    from ..audit.keys import load_private

    export = partial(
        exporting.export,
        names=session.names,
        to=to,
        jobs=_jobs(jobs),
        start=_place("start", start),
        last=_place("end", end),
        key=load_private(key) if key is not None else None,
    )
    return await (await session.link()).work(export, patience=session.patience)


async def verify(
    session: Session,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    public_key: str | os.PathLike[str] | None = None,
) -> AuditReport:
    """Verify the whole log as it is now, and return what is wrong with it. `jobledger.audit.verify` verifies bundles.

    Shape:  `checkpoint` is the file of one that was taken earlier; `public_key` that of the key that has to have signed it.
    Errors: UnusableInput for a checkpoint, or a key, that is of no use here.

    >>> report = client.audit().verify()
    >>> report.ok, report.first
    (True, None)
    """
    from ..audit.keys import load_public
    from ..audit.live import verify_log

    known = load_public(public_key) if public_key is not None else None
    verify = partial(verify_log, names=session.names, known=known, checkpoint=checkpoint)
    return await (await session.link()).work(verify, patience=session.patience)


async def checkpoint(
    session: Session, to: str | os.PathLike[str], *, key: str | os.PathLike[str] | None = None
) -> Checkpoint:
    """Write down how the log stands now, in a small file: with it, `verify` finds out if the log was rewritten later.

    The log is verified first. Keep the file where who could change the log cannot change it.

    Shape:  `key` is the file of a private Ed25519 key to sign with.
    Errors: JobLedgerError for a log that is not sound; ArgumentError for an empty one, and as `export`.

    >>> checkpoint = client.audit().checkpoint("log.checkpoint")
    >>> client.audit().verify(checkpoint="log.checkpoint").vouched == checkpoint.jobs
    True
    """
    from ..audit.keys import load_private
    from ..audit.live import take_checkpoint

    private = load_private(key) if key is not None else None
    take = partial(take_checkpoint, names=session.names, to=to, key=private)
    return await (await session.link()).work(take, patience=session.patience)


def _jobs(given: Any) -> list[str]:
    if given is None:
        return []
    several = isinstance(given, Iterable) and not isinstance(given, JobFacts | str)
    some = list(given) if several else [given]
    if not some:
        raise ArgumentError("jobs=[] names no job: leave it out for all of them")
    return [job_id(one) for one in some]


def _place(argument: str, given: int | datetime | None) -> int | datetime | None:
    """Return a position or a time, checked. Errors: ArgumentError."""
    if given is None:
        return None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ArgumentError(
                f"{argument}={given!r} has no time zone: write {given.isoformat()}+00:00 if it is UTC"
            )
        return given
    if isinstance(given, bool) or not isinstance(given, int):
        raise ArgumentError(
            f"{argument}={given!r:.100} is neither a position of the log (int) nor a time (datetime)"
        )
    if given < 1:
        raise ArgumentError(f"{argument}={given} is no position of the log: positions count from 1")
    return given


class _Audit:
    """What both have in common."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of namespace {self._session.names.namespace!r}>"


class AuditClient(_Audit):
    """Exports and verifies the log; from `client.audit()`. What needs no server is in `jobledger.audit`.

    >>> audit = client.audit()
    >>> audit.export("all.bundle").commits == audit.verify().commits
    True
    """

    export = blocking(export, same)
    verify = blocking(verify, same)
    checkpoint = blocking(checkpoint, same)


class AsyncAuditClient(_Audit):
    """Exports and verifies the log; from `client.audit()` of an `AsyncClient`. Every method is awaited.

    Methods and errors are those of `AuditClient`.

    >>> async def sound() -> bool:
    ...     async with AsyncClient() as client:
    ...         return (await client.audit().verify()).ok
    >>> asyncio.run(sound())
    True
    """

    export = awaited(export, same)
    verify = awaited(verify, same)
    checkpoint = awaited(checkpoint, same)

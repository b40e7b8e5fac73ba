"""Taking the result of an earlier success instead of running a task once more."""

from __future__ import annotations

import hashlib
import logging

import msgspec

from jobledger.core.errors import JobLedgerError
from jobledger.core.task import Task, identifier_of

from ...objects import digest_of
from ...successes import Success
from ..assignment import Assignment
from ..fingerprint import fingerprint
from .values import Values

log = logging.getLogger(__name__)


def reuse_key(assignment: Assignment, cls: type[Task]) -> bytes | None:
    """Return what a success must have in common with this attempt to stand for it: code, its version, and input.

    None in a sealed job: whoever can guess an input would find by it that it was one.
    """
    if assignment.sealed:
        return None
    name, major, minor = msgspec.structs.astuple(identifier_of(cls))
    data = assignment.input
    digest = digest_of(data.decode()) if assignment.by_reference else hashlib.sha256(data).digest()
    return hashlib.sha256(msgspec.msgpack.encode([name, major, minor, fingerprint(cls), digest])).digest()


def earlier_success(assignment: Assignment, values: Values, key: bytes) -> Success | None:
    """Return a success that may be taken for this attempt, its result held by the job of the attempt; None to run it.

    Nothing that goes wrong here is worth a failure: the task can be run.
    """
    if assignment.force:
        return None
    try:
        found = values.recall(key)
        if found is None or found.job_id == assignment.job_id:
            return found
        return Success(found.job_id, found.task, values.adopt(assignment.job_id, found.value))
    except JobLedgerError as error:
        log.info("the success found for %r is not reused: %s", assignment, error)
        return None

"""Everything that is looked at, in the order in which it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import nats.errors

from jobledger.core.errors import JobLedgerError

from . import (
    acknowledgements,
    clocks,
    commits,
    engines,
    followers,
    host,
    replication,
    settings,
    space,
    versions,
)
from .findings import Health, HealthFinding, HealthReport
from .patient import Patient

Check: TypeAlias = Callable[[Patient], Awaitable[list[HealthFinding]]]

#: what is looked at first is what the others would be worth nothing without
_CHECKS: dict[str, Check] = {
    "acknowledgements": acknowledgements.check,
    "stream settings": settings.check,
    "replication": replication.check,
    "file system": host.check,
    "server version": versions.check,
    "newest commits": commits.check,
    "engines": engines.check,
    "views and feed": followers.check,
    "space": space.check,
    "clocks": clocks.check,
}


async def examine(patient: Patient) -> HealthReport:
    """Return all findings. What cannot be looked at is a finding, too."""
    found: list[HealthFinding] = []
    for name, check in _CHECKS.items():
        try:
            found += await check(patient)
        except (JobLedgerError, nats.errors.Error, OSError) as error:
            told = f"it could not be looked at: {error or type(error).__name__}"
            found.append(HealthFinding(name, Health.UNKNOWN, told))
    return HealthReport(patient.names.namespace, tuple(found))

"""Whether the newest commits can be read. All of them are what `jobledger audit verify` is for."""

from __future__ import annotations

from ..nats.log import scan
from .findings import Health, HealthFinding
from .patient import Patient

_CHECK = "newest commits"
_WHY = "a job with a commit that cannot be read goes no further, and answers to nobody"
_LOOKED_AT = 500


async def check(patient: Patient) -> list[HealthFinding]:
    if not patient.last:
        return []
    damaged, number = [], 0
    async for commit in scan(patient.client, patient.names, after=max(0, patient.last - _LOOKED_AT)):
        number += 1
        if commit.settled is None:
            damaged.append(commit)
    if damaged:
        told = ", ".join(f"#{commit.position} of job {commit.job_id}" for commit in damaged[:5])
        found = f"{len(damaged)} of the newest {number:,} cannot be decoded: {told}"
        remedy = "`jobledger audit verify` says what is wrong with them, and with all others"
        return [HealthFinding(_CHECK, Health.FAILED, found, _WHY, remedy, promise=True)]
    return [HealthFinding(_CHECK, Health.OK, f"the newest {number:,} can be decoded", _WHY, promise=True)]

"""Whether streams are set to keep what they are given."""

from __future__ import annotations

from typing import Any

from ..nats.buckets import key_value, object_store
from ..nats.names import Names
from ..nats.streams import stored_differences
from .findings import Health, HealthFinding
from .patient import Patient

_CHECK = "stream settings"
_WHY = "a stream with other settings forgets, or lets others delete, what was acknowledged"
_WHY_BESIDE = (
    "jobs refer to what is in these streams: they have to keep it for as long as the log keeps the jobs"
)
_REMEDY = "`nats stream edit STREAM`; what a setting had lost before is not brought back"
#: as a server stores them; what is left out is 0
_KEEPING = {"storage": "file", "retention": "limits", "max_age": 0, "max_msgs": -1}


async def check(patient: Patient) -> list[HealthFinding]:
    return [_log(patient), _beside(patient)]


def _log(patient: Patient) -> HealthFinding:
    if patient.log is None:
        return HealthFinding(_CHECK, Health.UNKNOWN, "there is no log", _WHY, promise=True)
    differences = stored_differences(patient.names, patient.log["config"])
    if differences:
        found = f"the log {patient.names.log_stream} has {'; '.join(differences)}"
        return HealthFinding(_CHECK, Health.FAILED, found, _WHY, _REMEDY, promise=True)
    found = "the log keeps every commit: in files, of any age, and nobody may delete or purge"
    return HealthFinding(_CHECK, Health.OK, found, _WHY, promise=True)


def _beside(patient: Patient) -> HealthFinding:
    forgetful = []
    for stream in _kept(patient.names):
        config: dict[str, Any] = patient.streams.get(stream, {}).get("config") or dict(_KEEPING)
        forgetful += [
            f"{stream} has {setting} = {config.get(setting, 0)!r} instead of {want!r}"
            for setting, want in _KEEPING.items()
            if config.get(setting, 0) != want
        ]
    if forgetful:
        return HealthFinding(_CHECK, Health.FAILED, "; ".join(forgetful), _WHY_BESIDE, _REMEDY, promise=True)
    found = "what jobs refer to (large values, keys, clusters) is kept as long as they are"
    return HealthFinding(_CHECK, Health.OK, found, _WHY_BESIDE, promise=True)


def _kept(names: Names) -> tuple[str, ...]:
    return names.clusters_stream, object_store(names.objects_bucket), key_value(names.keys_bucket)

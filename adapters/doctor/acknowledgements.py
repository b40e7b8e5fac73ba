"""Whether what is acknowledged is on the disk: the setting that a log is worth as much as."""

from __future__ import annotations

from .findings import Health, HealthFinding
from .patient import Patient
from .replication import holders

_CHECK = "acknowledgements"
_WHY = (
    "a server that acknowledges before it syncs loses what it acknowledged last when its power fails or its kernel crashes. "
    "Other replicas do not save it for certain: https://github.com/nats-io/nats-server/issues/7567"
)
_REMEDY = (
    "set `sync_interval: always` in the jetstream block of every server and restart them, one after the other"
)
_ASK = (
    "name a user of the system account (--system-user and --system-password, or --system-creds), or the monitoring address "
    "of each server (--monitor http://host:8222)"
)


async def check(patient: Patient) -> list[HealthFinding]:
    return [_found(patient)]


def _found(patient: Patient) -> HealthFinding:
    servers = patient.servers
    relaxed = [server for server in servers.facts if not server.synced]
    if relaxed:
        told = ", ".join(f"{server.name} up to {server.interval:g} s" for server in relaxed)
        remedy = _REMEDY
        if patient.folder is not None:
            remedy = "stop the server, and start it with `jobledger server start --sync-interval 0`"
        return HealthFinding(
            _CHECK, Health.FAILED, f"acknowledged before the fsync: by {told}", _WHY, remedy, promise=True
        )
    asked = {server.name for server in servers.facts}
    missing = sorted(holders(patient) - asked)
    if not asked or missing:
        what = f"of {', '.join(missing)} " if asked else ""
        why_not = servers.why_not or "they did not answer"
        found = f"it is not known {what}whether servers sync before they acknowledge: {why_not}"
        return HealthFinding(_CHECK, Health.UNKNOWN, found, _WHY, _ASK, promise=True)
    found = f"on disk (fsync) before they are sent: sync_interval is always on {', '.join(sorted(asked))}"
    return HealthFinding(_CHECK, Health.OK, found, _WHY, promise=True)

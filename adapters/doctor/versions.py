"""Whether servers are of a version that is known to keep what it is given."""

from __future__ import annotations

from ..nats.suitability import MINIMUM_VERSION
from .defects import Defect, defects_of, version_of
from .findings import Health, HealthFinding
from .patient import Patient

_CHECK = "server version"
_WHY = "defects of a server are known only later: what it acknowledged may be lost by then"


async def check(patient: Patient) -> list[HealthFinding]:
    return [_found(patient)]


def _found(patient: Patient) -> HealthFinding:
    servers = patient.servers.facts
    told = {server.version for server in servers} or {_connected(patient)}
    versions = {text: version_of(text) for text in told}
    replicated = ((patient.log or {}).get("config") or {}).get("num_replicas", 1) > 1
    relaxed = not servers or not all(server.synced for server in servers)
    known: dict[int, Defect] = {}
    for text, version in versions.items():
        if version is None:
            return HealthFinding(_CHECK, Health.UNKNOWN, f"a server calls its version {text!r}", _WHY)
        if version < MINIMUM_VERSION:
            needed = ".".join(map(str, MINIMUM_VERSION))
            return HealthFinding(
                _CHECK, Health.FAILED, f"{text} is too old", _WHY, f"use {needed} or newer", promise=True
            )
        known |= {
            defect.number: defect for defect in defects_of(version, replicated=replicated, relaxed=relaxed)
        }
    shown = ", ".join(sorted(told))
    if known:
        listed = "; ".join(f"{defect.what} ({defect.source})" for defect in known.values())
        newest = ".".join(map(str, max(defect.fixed for defect in known.values())))
        found = f"nats-server {shown} has known defects: {listed}"
        return HealthFinding(_CHECK, Health.WARNING, found, _WHY, f"use nats-server {newest} or newer")
    if len(told) > 1:
        found = f"servers of one cluster have different versions: {shown}"
        return HealthFinding(_CHECK, Health.WARNING, found, _WHY, "bring all of them to the newest")
    return HealthFinding(
        _CHECK, Health.OK, f"nats-server {shown}: no defect is known here that loses data", _WHY
    )


def _connected(patient: Patient) -> str:
    version = patient.client.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"

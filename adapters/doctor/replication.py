"""By how many servers the streams are held, and whether all of them have what the leader has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .findings import Health, HealthFinding
from .patient import Patient

_CHECK = "replication"
_WHY_LEADER = (
    "without a leader, which takes most of a stream's servers, nothing is stored and everybody waits"
)
_WHY_DENIED = "whether streams keep what they are given, and who holds them, is told by JetStream alone"
_WHY_COPIES = "what is on fewer servers than the log is lost or away before the log is"
_WHY_ONE = "a log on one server is lost with that server's disk, and away while the server is"
_AWAY = 5.0  # seconds without a word from a replica
_WHY_BEHIND = "while a replica lacks something, one loss fewer can be borne"


async def check(patient: Patient) -> list[HealthFinding]:
    return [_leaders(patient), _copies(patient), *_replicas(patient)]


def holders(patient: Patient) -> set[str]:
    """Return the names of the servers that hold the log; none where it is on a server without a cluster."""
    cluster = (patient.log or {}).get("cluster") or {}
    names = {cluster.get("leader", ""), *(replica["name"] for replica in cluster.get("replicas") or ())}
    return names - {""}


def _leaders(patient: Patient) -> HealthFinding:
    log = patient.names.log_stream
    leaderless = [
        name
        for name, info in patient.streams.items()
        if "cluster" in info and not info["cluster"].get("leader")
    ]
    if patient.silent or leaderless:
        told = "; ".join([f"{name}: {why}" for name, why in patient.silent.items()] + leaderless)
        return HealthFinding(
            _CHECK,
            Health.FAILED,
            f"streams without an answer of a leader: {told}",
            _WHY_LEADER,
            "start the servers that are away",
        )
    if patient.denied:
        return HealthFinding(
            _CHECK,
            Health.UNKNOWN,
            f"this user may not be told of {', '.join(patient.denied)}",
            _WHY_DENIED,
            "ask as a user who may, such as one made by `jobledger access create --role operator --name ops`",
            promise=True,
        )
    if patient.log is None:
        return HealthFinding(
            _CHECK,
            Health.FAILED,
            f"there is no stream {log}: nothing has been stored in namespace {patient.names.namespace!r}",
            "without a log nothing can be promised",
            "check the namespace and the address; the first engine makes the log",
        )
    return HealthFinding(_CHECK, Health.OK, f"every stream has a leader ({len(patient.streams)} streams)")


def _copies(patient: Patient) -> HealthFinding:
    if patient.log is None:
        return HealthFinding(_CHECK, Health.UNKNOWN, "there is no log to compare streams with")
    wanted = _number(patient.log)
    fewer = {name: _number(info) for name, info in patient.streams.items() if _number(info) < wanted}
    if fewer:
        told = ", ".join(f"{name} by {number}" for name, number in fewer.items())
        return HealthFinding(
            _CHECK,
            Health.FAILED,
            f"held by fewer servers than the log, which {wanted} hold: {told}",
            _WHY_COPIES,
            f"`nats stream edit STREAM --replicas {wanted}`",
        )
    clustered = len(patient.servers.facts) > 1
    if wanted == 1 and clustered:
        return HealthFinding(
            _CHECK,
            Health.WARNING,
            f"the log is held by one of {len(patient.servers.facts)} servers",
            _WHY_ONE,
            f"`nats stream edit {patient.names.log_stream} --replicas 3`, and the other streams of the namespace likewise",
        )
    return HealthFinding(
        _CHECK, Health.OK, f"every stream is held by {wanted} server{'s' * (wanted > 1)}", _WHY_ONE
    )


def _replicas(patient: Patient) -> Iterator[HealthFinding]:
    behind = {name: lagging for name, info in patient.streams.items() if (lagging := list(_lagging(info)))}
    if not behind:
        return
    told = "; ".join(f"{name}: {', '.join(lagging)}" for name, lagging in behind.items())
    lost = any(len(lagging) > (_number(patient.streams[name]) - 1) // 2 for name, lagging in behind.items())
    yield HealthFinding(
        _CHECK,
        Health.FAILED if lost else Health.WARNING,
        f"replicas that do not have everything: {told}",
        _WHY_BEHIND,
        "start the servers that are away and wait: replicas catch up by themselves",
    )


def _lagging(info: dict[str, Any]) -> Iterator[str]:
    for replica in (info.get("cluster") or {}).get("replicas") or ():
        silence = replica.get("active", 0) / 1e9
        if replica.get("offline") or (not replica.get("current") and silence > _AWAY):
            yield f"{replica['name']} is away, for {silence:.0f} s"
        elif not replica.get("current"):
            yield f"{replica['name']} is {replica.get('lag', 0):,} messages behind"


def _number(info: dict[str, Any]) -> int:
    return int(info["config"].get("num_replicas") or 1)

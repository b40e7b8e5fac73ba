"""Whether the clocks of clients, servers and engines show the same time.

Nothing is decided by comparing two of them: leases run on each process's own clock, order is that of the log. But times in
histories, deadlines, starts at a time and delays before a retry are those of the engine.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import datetime

from jobledger.core.codec import CodecError, decode_commit
from jobledger.core.errors import JobLedgerError

from ..nats.asking import jetstream
from ..nats.records import RecordError, decode_record
from .findings import Health, HealthFinding
from .patient import Patient

_CHECK = "clocks"
_WHY = "deadlines, delays before retries and jobs that start at a time are early or late by as much; histories show it"
_REMEDY = "keep the clocks of all machines together, by NTP or PTP"
_MOST = 1.0  # seconds that nobody minds
_LATEST = 5.0  # seconds that a commit may take from its decision to the log


async def check(patient: Patient) -> list[HealthFinding]:
    apart = list(_servers(patient))
    engine = await _engine(patient)
    findings = [
        HealthFinding(_CHECK, Health.WARNING, told, _WHY, _REMEDY)
        for told in (*apart, *filter(None, [engine]))
    ]
    if findings:
        return findings
    clocks = [server.clock for server in patient.servers.facts] or list(filter(None, [patient.clock]))
    if not clocks:
        return [HealthFinding(_CHECK, Health.UNKNOWN, "no server told what time it is", _WHY)]
    bound = max(clock.answered - clock.asked for clock in clocks)
    found = f"this machine and {len(clocks)} server{'s' * (len(clocks) > 1)} show the same time, within {bound:.3f} s"
    return [HealthFinding(_CHECK, Health.OK, found, _WHY)]


def _servers(patient: Patient) -> Iterator[str]:
    clocks = {server.name: server.clock for server in patient.servers.facts}
    if not clocks and patient.clock is not None:
        clocks = {"the server": patient.clock}
    for name, clock in clocks.items():
        if abs(clock.ahead) > _MOST:
            ahead = "ahead of" if clock.ahead > 0 else "behind"
            yield f"{name} is at least {abs(clock.ahead):.1f} s {ahead} this machine"


async def _engine(patient: Patient) -> str | None:
    """Return by how much the engine that wrote the newest commit is apart from the server that stored it."""
    if not patient.last:
        return None
    request = {"seq": patient.last}
    try:
        message = (await jetstream(patient.client, f"STREAM.MSG.GET.{patient.names.log_stream}", request))[
            "message"
        ]
        stored = datetime.fromisoformat(message["time"]).timestamp()
        commit = decode_commit(decode_record(base64.b64decode(message["data"])).state)
    except (JobLedgerError, RecordError, CodecError, KeyError, ValueError):
        return None  # what is wrong with it is another check's business
    late = stored - commit.at / 1e6
    if -_MOST <= late <= _LATEST or stored > time.time() + _MOST:
        return None
    ahead = "ahead of" if late < 0 else "behind"
    return f"engine {commit.writer} was {abs(late):.1f} s {ahead} the server that stored its newest commit"

"""Whether every partition of the log has an engine, and how much the next one would have to read."""

from __future__ import annotations

import asyncio
import base64
import time
from datetime import UTC, datetime

import msgspec

from jobledger.core.undecodable import UNDECODABLE

from ..engine.partitions.fleet import look
from ..engine.partitions.ownership import TTL
from ..engine.partitions.recovery import MANY, Checkpoint
from ..nats.asking import JetStreamError, jetstream
from ..nats.buckets import key_value
from ..nats.stored import StreamMissing
from ..nats.streams import read_partitions
from .findings import Health, HealthFinding
from .patient import Patient

_ENGINES, _CHECKPOINTS = "engines", "checkpoints"
_WHY_ENGINES = "the jobs of a partition without an engine stand still: they go on when there is one"
_WHY_CHECKPOINTS = (
    "a checkpoint saves whoever takes a partition over from reading the newest commit of every job"
)

_LOOK = 0.1  # seconds between two looks at who owns what


async def check(patient: Patient) -> list[HealthFinding]:
    if patient.log is None:
        return [HealthFinding(_ENGINES, Health.UNKNOWN, "there is no log", _WHY_ENGINES)]
    number = await read_partitions(patient.client, patient.names)
    return [await _owners(patient, number), await _checkpoints(patient, number)]


async def _owners(patient: Patient, number: int) -> HealthFinding:
    owners = await _owners_of(patient, set(range(number)))
    unowned = sorted(set(range(number)) - owners.keys())
    if unowned:
        told = f"partitions without an engine: {', '.join(map(str, unowned))}, of {number}"
        if number == 1:
            told = "no engine serves this namespace"
        return HealthFinding(_ENGINES, Health.FAILED, told, _WHY_ENGINES, "start one: `jobledger engine`")
    by_engine: dict[str, int] = {}
    for engine in owners.values():
        by_engine[engine] = by_engine.get(engine, 0) + 1
    told = ", ".join(f"{engine} has {count}" for engine, count in sorted(by_engine.items()))
    return HealthFinding(_ENGINES, Health.OK, f"all {number} partitions are served: {told}", _WHY_ENGINES)


async def _owners_of(patient: Patient, partitions: set[int]) -> dict[int, str]:
    """Return who owns which partition. One that is being taken over just now is waited for."""
    until = time.monotonic() + 2 * TTL
    while True:
        try:
            owners = (await look(patient.client, patient.names)).owners
        except StreamMissing:  # there never was an engine
            return {}
        if owners.keys() >= partitions or time.monotonic() > until:
            return owners
        await asyncio.sleep(_LOOK)


async def _checkpoints(patient: Patient, number: int) -> HealthFinding:
    oldest, behind = 0.0, 0
    for names in patient.names.parts(number):
        stream = key_value(names.checkpoints_bucket)
        subject = f"$KV.{names.checkpoints_bucket}.{names.checkpoint_key}"
        try:
            answer = await jetstream(patient.client, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
            message = answer["message"]
            position = msgspec.msgpack.decode(base64.b64decode(message["data"]), type=Checkpoint).position
            written = datetime.fromisoformat(message["time"])
        except (KeyError, ValueError, JetStreamError, *UNDECODABLE):
            behind = patient.last  # there is none, or it is damaged
            continue
        behind = max(behind, patient.last - position)
        oldest = max(oldest, (datetime.now(UTC) - written).total_seconds())
    told = (
        f"the next engine has {behind:,} commits to read at most; the oldest checkpoint is {oldest:.0f} s old"
    )
    if behind > 5 * MANY:
        remedy = "see in the engine's log why it writes none"
        return HealthFinding(_CHECKPOINTS, Health.WARNING, told, _WHY_CHECKPOINTS, remedy)
    return HealthFinding(_CHECKPOINTS, Health.OK, told, _WHY_CHECKPOINTS)

"""How full what the log is kept in is, and when it will be full if it goes on like this."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from jobledger.core.errors import JobLedgerError

from ..nats.asking import jetstream
from .findings import Health, HealthFinding
from .patient import Patient

_CHECK = "space"
_WHY = "a log that is full takes no commits: nothing is lost, but jobs stand still"
_REMEDY = "raise the limit, give the disk more room, or delete jobs that are no longer needed"
_FULL, _MUCH = 0.98, 0.8  # of the room
_SOON = 7 * 86_400  # seconds until it is full, of which to warn
_SAMPLE = 10_000  # commits that the rate is taken from


class Room(NamedTuple):
    """Something that can be full. Units: bytes."""

    what: str
    used: int
    limit: int


async def check(patient: Patient) -> list[HealthFinding]:
    rooms = [*_rooms(patient), *await _account(patient)]
    rate = await _rate(patient)
    found = [_judged(room, rate) for room in rooms if room.limit > 0]
    return found or [HealthFinding(_CHECK, Health.OK, "neither the log nor the account has a limit", _WHY)]


def _rooms(patient: Patient) -> Iterator[Room]:
    if patient.log is not None:
        state, config = patient.log["state"], patient.log["config"]
        yield Room("the log", state["bytes"], config.get("max_bytes", -1))
    for server in patient.servers.facts:
        yield Room(f"what JetStream may use on {server.name}", server.used, server.limit)
    if patient.folder is not None and patient.folder.store.is_dir():
        disk = shutil.disk_usage(patient.folder.store)
        yield Room(f"the disk of {patient.folder.store}", disk.total - disk.free, disk.total)


async def _account(patient: Patient) -> list[Room]:
    try:
        told = await jetstream(patient.client, "INFO", {})
    except JobLedgerError:
        return []
    limits: dict[str, Any] = told.get("limits") or {}
    return [Room("the account's storage", told.get("storage", 0), limits.get("max_storage", -1))]


async def _rate(patient: Patient) -> float:
    """Return how many bytes a second the log has grown by lately; 0 if that cannot be told."""
    if patient.log is None or not patient.last:
        return 0.0
    state = patient.log["state"]
    first = max(state["first_seq"], patient.last - _SAMPLE)
    try:
        message = await jetstream(
            patient.client, f"STREAM.MSG.GET.{patient.names.log_stream}", {"seq": first}
        )
        since = datetime.fromisoformat(message["message"]["time"]).timestamp()
    except (JobLedgerError, KeyError, ValueError):
        return 0.0
    return float(state["bytes"] / state["messages"] * (patient.last - first) / max(1.0, time.time() - since))


def _judged(room: Room, rate: float) -> HealthFinding:
    share = room.used / room.limit
    left = (room.limit - room.used) / rate if rate else None
    when = "" if left is None else f", full in {_days(left)} at the rate of late"
    found = f"{room.what} is {share:.0%} full: {_size(room.used)} of {_size(room.limit)}{when}"
    if share >= _FULL:
        return HealthFinding(_CHECK, Health.FAILED, found, _WHY, _REMEDY)
    if share >= _MUCH or (left is not None and left < _SOON):
        return HealthFinding(_CHECK, Health.WARNING, found, _WHY, _REMEDY)
    return HealthFinding(_CHECK, Health.OK, found, _WHY)


def _size(number: float) -> str:
    """Return a number of bytes as people read it.

    >>> _size(512), _size(5 * 1024**3)
    ('512 B', '5.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def _days(seconds: float) -> str:
    """Return a length of time as people read it.

    >>> _days(3 * 3600), _days(90 * 86400), _days(1e12)
    ('3 hours', '90 days', 'more than ten years')
    """
    if seconds > 3650 * 86_400:
        return "more than ten years"
    return f"{seconds / 86_400:.0f} days" if seconds >= 2 * 86_400 else f"{seconds / 3600:.0f} hours"

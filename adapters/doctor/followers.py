"""Whether those who follow the log keep up with it: views, the feed, and consumers that somebody made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from jobledger.core.errors import JobLedgerError

from ..metrics.log import lag_samples
from ..nats.asking import jetstream
from .findings import Health, HealthFinding
from .patient import Patient

_VIEWS, _FEED, _CONSUMERS = "views", "feed", "consumers"
_WHY_VIEWS = "questions across jobs are answered from a view, which waits until it has come as far as the log"
_WHY_FEED = "services that subscribe to the feed hear of nothing that is not published"
_WHY_CONSUMERS = (
    "a consumer that nobody reads from any more costs the server memory and work for every message"
)
_SLOW = 10.0  # seconds that somebody may be behind
_STALE = 86_400.0  # seconds after which a consumer with messages waiting is taken for forgotten


async def check(patient: Patient) -> list[HealthFinding]:
    return [*await _views(patient), *await _feed(patient), await _consumers(patient)]


async def _views(patient: Patient) -> list[HealthFinding]:
    if not patient.following.views:
        return [
            HealthFinding(
                _VIEWS, Health.WARNING, "no projector answers", _WHY_VIEWS, "start one: `jobledger projector`"
            )
        ]
    found = []
    for view in patient.following.views:
        behind, seconds = await _lag(patient, view.position)
        if behind and seconds > _SLOW:
            told = f"{view.store} is {behind:,} commits behind, of {seconds:.0f} s"
            remedy = f"look at the log of projector {view.projector}: it may be rebuilding, or its disk slow"
            found.append(HealthFinding(_VIEWS, Health.WARNING, told, _WHY_VIEWS, remedy))
        else:
            found.append(HealthFinding(_VIEWS, Health.OK, f"{view.store} is up to date", _WHY_VIEWS))
    return found


async def _feed(patient: Patient) -> list[HealthFinding]:
    if patient.names.feed_stream not in patient.streams:
        return []  # it was never turned on
    publishers = patient.following.publishers
    problems = [f"{one.publisher}: {one.problem}" for one in publishers if one.problem]
    if problems:
        told = f"it is not published: {'; '.join(problems)}"
        return [
            HealthFinding(_FEED, Health.WARNING, told, _WHY_FEED, "mend what it says, or look at its log")
        ]
    if not publishers:
        told = "there is a feed, and nobody publishes it"
        remedy = "`jobledger feed on`, or `jobledger feed run` where NATS runs elsewhere; delete the stream if it is not needed"
        return [HealthFinding(_FEED, Health.WARNING, told, _WHY_FEED, remedy)]
    behind, seconds = await _lag(patient, patient.following.feed_position)
    if behind and seconds > _SLOW:
        told = f"it is {behind:,} commits behind, of {seconds:.0f} s"
        return [HealthFinding(_FEED, Health.WARNING, told, _WHY_FEED, "look at the log of its publisher")]
    return [HealthFinding(_FEED, Health.OK, "it is up to date", _WHY_FEED)]


async def _lag(patient: Patient, position: int) -> tuple[int, float]:
    """Return by how many commits, and for how many seconds, something is behind the log."""
    if patient.log is None:
        return 0, 0.0
    lag = await lag_samples(patient.client, patient.names, position)
    return int(lag.get("lag_positions", 0)), lag.get("lag_seconds", 0.0)


async def _consumers(patient: Patient) -> HealthFinding:
    stale, number = [], 0
    for stream in (patient.names.log_stream, patient.names.feed_stream):
        if stream in patient.streams:
            async for consumer in _listed(patient, stream):
                number += 1
                if _is_stale(consumer):
                    stale.append(
                        f"{consumer['name']} of {stream}, {consumer['num_pending']:,} messages behind"
                    )
    if stale:
        told = f"consumers that nobody has read from for a day: {'; '.join(stale)}"
        remedy = "`nats consumer rm STREAM NAME`, unless somebody will come back for them"
        return HealthFinding(_CONSUMERS, Health.WARNING, told, _WHY_CONSUMERS, remedy)
    return HealthFinding(
        _CONSUMERS, Health.OK, f"{number} on the log and the feed, none forgotten", _WHY_CONSUMERS
    )


async def _listed(patient: Patient, stream: str) -> AsyncIterator[dict[str, Any]]:
    offset = 0
    while True:
        try:
            answer = await jetstream(patient.client, f"CONSUMER.LIST.{stream}", {"offset": offset})
        except JobLedgerError:
            return  # not for this user to see
        consumers = answer.get("consumers") or []
        for consumer in consumers:
            yield consumer
        offset += len(consumers)
        if not consumers or offset >= answer.get("total", 0):
            return


def _is_stale(consumer: dict[str, Any]) -> bool:
    if not consumer["config"].get("durable_name") or not consumer.get("num_pending"):
        return False  # the server itself drops others once they are not used
    active = consumer.get("delivered", {}).get("last_active") or consumer["created"]
    idle = (datetime.now(UTC) - datetime.fromisoformat(active)).total_seconds()
    return idle > _STALE and not consumer.get("num_waiting") and not consumer.get("push_bound")

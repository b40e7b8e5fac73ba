"""What the log is like: asked of the server, by whoever is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import nats.errors

from jobledger.core.errors import JobLedgerError

from ..nats.asking import ask, jetstream
from ..nats.names import Names
from ..nats.wire import Wire
from .figures import Sample, Samples


async def log_samples(client: Wire, names: Names) -> Samples:
    """Return the size of the log, its limit, and its newest position.

    Errors: ServerAway; JetStreamError, such as for a log there is not.
    """
    info = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    state, limit = info["state"], info["config"].get("max_bytes", -1)
    figures = {
        "jobledger_log_messages": state["messages"],
        "jobledger_log_bytes": state["bytes"],
        "jobledger_log_last_position": state["last_seq"],
    }
    if limit > 0:
        figures["jobledger_log_limit_bytes"] = limit
    return {name: [Sample((), float(figure))] for name, figure in figures.items()}


async def lag_samples(client: Wire, names: Names, position: int) -> dict[str, float]:
    """Return how far something is behind that has come to this position: in commits and in seconds.

    Where the log cannot be asked just now, only the position.
    """
    figures = {"position": float(position)}
    try:
        positions, seconds = await _lag(client, names, position)
    except (JobLedgerError, nats.errors.Error):
        return figures
    return {**figures, "lag_positions": float(positions), "lag_seconds": seconds}


async def _lag(client: Wire, names: Names, position: int) -> tuple[int, float]:
    """Return how many commits of the log are behind a position, and for how many seconds the first of them has been.

    Errors: ServerAway; JetStreamError; NoRespondersError.
    """
    info = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    behind = max(0, info["state"]["last_seq"] - position)
    if not behind:
        return 0, 0.0
    request = {"seq": position + 1, "next_by_subj": names.log_subjects}
    answer = await ask(client, f"$JS.API.DIRECT.GET.{names.log_stream}", msgspec.json.encode(request))
    stored = (answer.headers or {}).get("Nats-Time-Stamp")
    if stored is None:  # it is not on this replica yet
        return behind, 0.0
    return behind, max(0.0, (datetime.now(UTC) - datetime.fromisoformat(stored)).total_seconds())

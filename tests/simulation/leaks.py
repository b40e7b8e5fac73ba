"""What an engine still has in memory when nothing is left to be done: it should be nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobledger.adapters.engine import run
from jobledger.adapters.engine.service import Engine


@contextmanager
def noted(engines: list[Engine]) -> Iterator[None]:
    """Note every engine that is made while inside."""

    class Noted(Engine):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            engines.append(self)

    seen = vars(run)
    seen["Engine"] = Noted
    try:
        yield
    finally:
        seen["Engine"] = Engine


def left_in(engine: Engine) -> str:
    """Return what an engine that serves has kept; "" if it is nothing."""
    if engine._stopped or engine._client.is_closed or not engine._subscriptions:
        return ""
    ledger = engine._ledger
    jobs, leases = ledger.jobs, ledger.leases
    committer, dispatcher = ledger._committer, ledger.dispatcher
    kept = {
        "jobs": jobs.ids(),
        "jobs to be read": jobs._absent | jobs._loading.keys(),
        "slots": ledger.slots._keys,
        "ready tasks": [key for key, listed in dispatcher._ready.items() if listed],
        "claims under a lease": [one for one in list(leases._jobs) if any(leases.held(one))],
        "open questions": ledger.followers._waiting,
        "commits to be written": committer._due,
        "commits on their way": committer._single + committer._batches,
    }
    return ", ".join(f"{what}: {left}" for what, left in kept.items() if left)

"""Where a user who may not ask JetStream asks the engine instead: which engine, where there are several."""

from __future__ import annotations

from collections.abc import Callable

from ..nats.gated import Gate
from ..nats.names import Names, names_of
from .gatekeeping import Denied, bound_job, wanted
from .identity import Identity, Role
from .rights import streams


def passage(names: Names, who: Identity, parts: Callable[[], tuple[Names, ...] | None]) -> Gate:
    """Return what tells for each subject where to ask.

    Shape:  `parts` returns the names within each partition, as far as they are known. What a runner asks for a job, the
            engine has to be asked that knows who runs it; everything else, the one of the first partition.
    """
    asked_there = ("$JS.API.", *(stream.prefix for stream in streams(names).values()))
    of_user = f".{who.tokens}"

    def gate(subject: str, payload: bytes) -> str | None:
        if not subject.startswith(asked_there):
            return None
        known = parts()
        if who.role is Role.RUNNER and known is not None and len(known) > 1:
            job_id = _job_of(subject, payload)
            if job_id is not None:
                return names_of(known, job_id).gate + of_user
        return names.gate + of_user

    def _job_of(subject: str, payload: bytes) -> str | None:
        try:
            asked = wanted(names, subject, payload)
            return None if asked is None else bound_job(asked)
        except Denied:
            return None  # the engine says so

    return gate

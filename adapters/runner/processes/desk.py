"""Answers what a worker process asks for, with the runner's own connection and cache."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from jobledger.core.context import JobCache

from ...sealing.seal import UNSEALED
from ..attempt.context import Equipment
from . import messages as m
from .messages import encode


class Desk:
    """Each question has a thread (60 us, where its answer takes a millisecond): who hears the process must not wait."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment

    def answer(self, call: m.Call, reply: Callable[[m.Answer], None]) -> None:
        """Have the answer given to `reply`, on another thread."""
        threading.Thread(
            target=lambda: reply(self._answered(call)), name="jobledger-desk", daemon=True
        ).start()

    def _answered(self, call: m.Call) -> m.Answer:
        try:
            return m.Answer(call.call, msgspec.Raw(encode(self._answer(call.ask))))
        except Exception as error:  # noqa: BLE001  raised again where it was asked for
            return m.Answer(call.call, msgspec.Raw(encode(None)), _raised(error))

    def _answer(self, ask: m.Ask) -> Any:
        values = self._equipment.values
        match ask:
            case m.Keep():
                return values.keep(ask.job_id, ask.data)
            case m.Refer():
                return values.refer(ask.job_id, ask.data, UNSEALED)
            case m.Load():
                return values.load(ask.name)
            case m.Returned():
                return values.returned(ask.job_id, ask.task)
            case m.Recall():
                return values.recall(ask.key)
            case m.Adopt():
                return values.adopt(ask.job_id, ask.value)
            case m.FindCluster():
                return self._equipment.check_cluster(ask.slug)
            case m.FetchKey():
                return self._equipment.key_of(ask.job_id, ask.key)
            case m.CacheHas():
                return ask.key in self._cache(ask.groups)
            case m.CacheGet():
                return self._cache(ask.groups)[ask.key]
            case m.CacheSet():
                self._cache(ask.groups)[ask.key] = ask.value
            case m.CacheDelete():
                del self._cache(ask.groups)[ask.key]
            case m.CacheList():
                return list(self._cache(ask.groups))
        return None

    def _cache(self, groups: list[str]) -> JobCache:
        cache = self._equipment.cache
        for group in groups:
            cache = cache.group(group)
        return cache


def _raised(error: Exception) -> m.Raised:
    """Return an exception as it travels: arguments that are no plain data become text."""
    kind = type(error)
    try:
        encode(error.args)
        arguments = list(error.args)
    except Exception:  # noqa: BLE001  arguments may be objects of users
        arguments = [str(error)]
    return m.Raised(f"{kind.__module__}:{kind.__qualname__}", arguments)

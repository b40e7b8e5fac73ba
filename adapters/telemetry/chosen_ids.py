"""Ids for spans of which everyone must come to the same: OpenTelemetry's SDK makes up its own otherwise."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .trace_context import SpanRef

#: whether the process's provider takes chosen ids: one that the program set up itself does not
honoured = False


class _Chosen(threading.local):
    ref: SpanRef | None = None


_chosen = _Chosen()


@contextmanager
def chosen(ref: SpanRef) -> Iterator[None]:
    """Have the span that is started inside get these ids, where they are honoured."""
    _chosen.ref = ref
    try:
        yield
    finally:
        _chosen.ref = None


def current() -> SpanRef | None:
    return _chosen.ref

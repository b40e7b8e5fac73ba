"""Which trace a job is, and which spans in it: ids everyone comes to alone, so that nobody has to be told them.

A job's trace is given by the W3C traceparent of its submission, which names the span that was open there. A job
submitted outside of any span has a trace of its own: its id is the job's UUID, and that of its root span the first 8
bytes of the SHA-256 of the job's id. The span of an attempt has the first 8 bytes of the SHA-256 of `job/task/attempt`.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class SpanRef(NamedTuple):
    """One span of one trace."""

    trace: bytes  #: 16 bytes
    span: bytes  #: 8 bytes

    @property
    def traceparent(self) -> str:
        """As W3C headers have it, marked as sampled: it is recorded.

        >>> SpanRef(bytes(15) + b"1", b"spanspan").traceparent
        '00-00000000000000000000000000000031-7370616e7370616e-01'
        """
        return f"00-{self.trace.hex()}-{self.span.hex()}-01"


def own_root(job_id: str) -> SpanRef:
    """Return the root span of the trace that is the job's own."""
    digest = sha256(job_id.encode()).digest()
    try:
        trace = UUID(job_id).bytes
    except ValueError:  # engines take any id
        trace = b""
    return SpanRef(trace if any(trace) else digest[16:], digest[:8])


def parent_of_attempts(job_id: str, traceparent: str) -> SpanRef:
    """Return the span that the attempts of a job are children of, from the traceparent of its submission.

    >>> parent_of_attempts("0190", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").span.hex()
    'b7ad6b7169203331'
    >>> parent_of_attempts("0190", "") == own_root("0190")
    True
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is not None:
        ref = SpanRef(bytes.fromhex(found[1]), bytes.fromhex(found[2]))
        if any(ref.trace) and any(ref.span):
            return ref
    return own_root(job_id)


def attempt_span(job_id: str, task: int, attempt: int) -> bytes:
    """Return the id of the span that is this attempt."""
    return sha256(f"{job_id}/{task}/{attempt}".encode()).digest()[:8]

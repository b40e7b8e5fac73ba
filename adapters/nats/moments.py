"""When the commit at a position of the log was decided."""

from __future__ import annotations

from jobledger.core.codec import CodecError, decode_commit
from jobledger.core.errors import ArgumentError

from . import leader
from .names import Names
from .records import RecordError, decode_record
from .tail import last_position
from .wire import Wire


async def written_at(client: Wire, names: Names, position: int) -> int:
    """Return the time in µs; 0 if what is at that position cannot be read.

    Errors: ArgumentError for a position beyond the end of the log; ServerAway; StreamMissing.
    """
    stored = await leader.first_behind(client, names.log_stream, names.log_subjects, position - 1)
    if stored is None or stored.position != position:
        check_position(position, await last_position(client, names.log_stream))
        return 0
    try:
        return decode_commit(decode_record(stored.payload).state).at
    except (RecordError, CodecError):
        return 0


def check_position(position: int, end: int, *, argument: str = "at") -> None:
    """Errors: ArgumentError for a position beyond the end of the log."""
    if position > end:
        newest = f"its newest commit is at position {end}" if end else "it is empty"
        raise ArgumentError(f"{argument}={position} is beyond the end of the log: {newest}")

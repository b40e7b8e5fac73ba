"""When the commit at a position of the log was decided."""

from __future__ import annotations

import msgspec
import nats.errors

from jobledger.core.codec import CodecError, decode_commit
from jobledger.core.errors import ArgumentError

from .asking import ask
from .names import Names
from .records import RecordError, decode_record
from .stored import StreamMissing
from .tail import last_position
from .wire import Wire


async def written_at(client: Wire, names: Names, position: int) -> int:
    """Return the time in µs; 0 if what is at that position cannot be read.

    Errors: ArgumentError for a position beyond the end of the log; ServerAway; StreamMissing.
    """
    request = msgspec.json.encode({"seq": position})
    try:
        answer = await ask(client, f"$JS.API.DIRECT.GET.{names.log_stream}", request)
    except nats.errors.NoRespondersError:
        raise StreamMissing(f"the stream {names.log_stream} does not exist on this server") from None
    if (answer.headers or {}).get("Status") is not None:
        check_position(position, await last_position(client, names.log_stream))
        return 0
    try:
        return decode_commit(decode_record(answer.data).state).at
    except (RecordError, CodecError):
        return 0


def check_position(position: int, end: int, *, argument: str = "at") -> None:
    """Errors: ArgumentError for a position beyond the end of the log."""
    if position > end:
        newest = f"its newest commit is at position {end}" if end else "it is empty"
        raise ArgumentError(f"{argument}={position} is beyond the end of the log: {newest}")

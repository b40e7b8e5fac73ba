"""How large the log of a data folder may become."""

from __future__ import annotations

from .. import loops
from ..nats.connection import connect
from ..nats.endpoint import Endpoint
from ..nats.names import DEFAULT_NAMESPACE, Names
from ..nats.streams import limit_log


def limit_server(endpoint: Endpoint, max_bytes: int) -> None:
    """Let the log of a folder whose server runs there take so many bytes, from now on; 0: as many as there is room for.

    Errors: StreamSettingsError; those of `connect`.
    """

    async def limit() -> None:
        client = await connect(endpoint, name="jobledger server start")
        try:
            await limit_log(client.jetstream(), Names(DEFAULT_NAMESPACE), max_bytes)
        finally:
            await client.close()

    loops.run(limit())

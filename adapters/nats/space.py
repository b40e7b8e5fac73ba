"""How much more the log may hold: what its stream, the account and the disk beside it leave."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple

from .asking import jetstream
from .names import Names
from .wire import Wire

#: bytes of the disk that are left to everything else: a server that finds it full takes nothing more until it is restarted
_SPARE = 64 * 1024 * 1024


class Space(NamedTuple):
    """In bytes, of the one limit that is reached first."""

    limit: int
    left: int


async def find_space(
    client: Wire, names: Names, folder: str | os.PathLike[str] | None = None
) -> Space | None:
    """Return what the log may hold and what is left of it; None where nothing is known to limit it.

    Shape:  `folder` is where the server keeps it, for who runs beside the server: then the disk counts, too.
    Errors: ServerUnavailable; JetStreamError.
    """
    log = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    used, replicas = log["state"]["bytes"], max(1, log["config"].get("num_replicas", 1))
    found = []
    if (most := log["config"].get("max_bytes", -1)) > 0:
        found.append(Space(most, max(0, most - used)))
    account = await jetstream(client, "INFO", {})
    tier = account.get("tiers", {}).get(f"R{replicas}", account)
    if (most := tier.get("limits", {}).get("max_storage", -1)) > 0:
        # Where there are no tiers, each server that holds the log counts.
        share = 1 if tier is not account else replicas
        found.append(Space(most // share, max(0, most - tier.get("storage", 0)) // share))
    if folder is not None:
        disk = shutil.disk_usage(folder)
        found.append(Space(used + disk.free, max(0, disk.free - _SPARE)))
    return min(found, key=lambda space: space.left, default=None)

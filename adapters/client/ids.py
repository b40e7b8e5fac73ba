"""Ids made by clients: whoever names a thing can ask for it again without making a second one."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from functools import cache
from uuid import UUID


def new_id() -> UUID:
    """Return a fresh UUID of version 7: later ones sort behind earlier ones, to a quarter of a microsecond."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62))


@cache
def whoami() -> str:
    """Return who runs this process, as user@host: what the log shows beside a command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user need not have a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return _sendable(f"{user}@{socket.gethostname()}")


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

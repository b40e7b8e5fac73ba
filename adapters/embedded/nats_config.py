"""What the folder's nats-server is told: who may log in, where it listens, and that an acknowledgement means fsync."""

from __future__ import annotations

import os
import random
import socket

from jobledger.core.errors import ServerUnavailable

from .folder import Credentials, DataFolder
from .probe import CLIENT, HOST, server_name

ENGINE = "engine"
SYSTEM = "system"
ACCOUNT = "JOBS"
SYNCED = "every commit is on disk (fsync) before it is acknowledged"

# Outside the range systems hand out for outgoing connections (32768 and up on Linux, 49152 and up on macOS): a client
# that keeps reconnecting to such a port while nobody listens ends up connected to itself, and holds the port.
_PORTS = range(20_000, 32_000)


def durability(sync_interval: float) -> str:
    """Return what an acknowledgement promises. Units: as `DataFolder.sync_interval`.

    >>> durability(0.0)
    'every commit is on disk (fsync) before it is acknowledged'
    >>> durability(2.5)
    'RELAXED: commits are acknowledged up to 2.5 s before they are on disk (fsync); a power failure loses those'
    """
    if not sync_interval:
        return SYNCED
    return (
        f"RELAXED: commits are acknowledged up to {sync_interval:g} s before they are on disk (fsync); a power failure "
        "loses those"
    )


def configuration(folder: DataFolder, credentials: Credentials, port: int) -> str:
    """Return the text of the configuration file.

    There is no monitoring port: inspection goes through the system account, behind a password.
    """
    return f"""\
# Written by jobledger at each start of the server: changes made here are lost.
server_name: {_quoted(server_name(credentials))}
listen: "{HOST}:{port}"
max_payload: 8MB

jetstream {{
  store_dir: {_quoted(str(folder.path))}  # the server adds /jetstream
  sync_interval: {_interval(folder.sync_interval())}  # the default acknowledges up to two minutes before the fsync
}}

accounts {{
  {ACCOUNT} {{
    jetstream: enabled
    users: [
      {{ user: {CLIENT}, password: {_quoted(credentials.client)} }}
      {{ user: {ENGINE}, password: {_quoted(credentials.engine)} }}
    ]
  }}
  SYS {{
    users: [ {{ user: {SYSTEM}, password: {_quoted(credentials.system)} }} ]
  }}
}}
system_account: SYS
"""


def is_configured(folder: DataFolder, credentials: Credentials, port: int) -> bool:
    """Return whether the configuration file is the one that would be written now."""
    try:
        return folder.config.read_text(encoding="utf-8") == configuration(folder, credentials, port)
    except (OSError, ValueError):
        return False


def port_used_last(folder: DataFolder) -> int | None:
    try:
        port = int(folder.port.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return port if 1024 <= port <= 65535 else None


def choose_port(folder: DataFolder) -> int:
    """Return a free port: the one used last if possible, so that clients find the server again.

    Errors: ServerUnavailable when none is free.
    """
    last = port_used_last(folder)
    if last is not None and is_free(last):
        return last
    for port in random.sample(_PORTS, 200):
        if is_free(port):
            return port
    raise ServerUnavailable(f"no free port found from {_PORTS.start} to {_PORTS.stop} on {HOST}")


def is_free(port: int) -> bool:
    with socket.socket() as trial:
        # As nats-server does: connections of a server that just ended do not keep its port.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True


def _interval(seconds: float) -> str:
    return f'"{round(seconds * 1000)}ms"' if seconds else "always"


def _quoted(text: str) -> str:
    r"""Return the text as a string of the configuration language: whatever is not plain, as \x and two digits.

    >>> _quoted('a "b"')
    '"a\\x20\\x22b\\x22"'
    """
    plain = b"-_./" + bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))
    return '"' + "".join(chr(byte) if byte in plain else f"\\x{byte:02x}" for byte in os.fsencode(text)) + '"'

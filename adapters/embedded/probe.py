"""Asking whether a folder's own server answers on a port: one login by hand, in about a millisecond."""

from __future__ import annotations

import json
import socket

from .folder import Credentials

HOST = "127.0.0.1"
CLIENT = "client"
_LONGEST_LINE = 65536  # bytes


def server_name(credentials: Credentials) -> str:
    return f"jobledger-{credentials.identity}"


def server_version(port: int, credentials: Credentials, *, timeout: float = 1.0) -> str | None:
    """Return the version of the nats-server that answers on this port and is this folder's own; None without one.

    The password is sent only to a server that names itself after the folder. Units: `timeout` is seconds per read.
    """
    try:
        with (
            socket.create_connection((HOST, port), timeout=timeout) as connection,
            connection.makefile("rb") as lines,
        ):
            info = json.loads(lines.readline(_LONGEST_LINE).removeprefix(b"INFO "))
            if info["server_name"] != server_name(credentials):
                return None
            login = {
                "verbose": False,
                "pedantic": False,
                "lang": "python3",
                "version": "0",
                "name": "jobledger-probe",
                "user": CLIENT,
                "pass": credentials.client,
            }
            connection.sendall(b"CONNECT " + json.dumps(login).encode() + b"\r\nPING\r\n")
            while (line := lines.readline(_LONGEST_LINE)).startswith(b"INFO"):
                pass
            return str(info["version"]) if line.startswith(b"PONG") else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):  # nobody, or nobody who speaks NATS
        return None

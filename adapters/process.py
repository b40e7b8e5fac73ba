"""By what a process is known to others."""

from __future__ import annotations

import os
import socket


def process_id() -> str:
    """Return host, number, and a few characters that no other start has."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"

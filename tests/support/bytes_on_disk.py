"""Which files hold some bytes: as they are, or as text that stands for them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path


def files_with(folder: Path, secret: bytes) -> list[str]:
    """Return the files below a folder in which the bytes are found, in any form that something might write them in."""
    wanted = set(forms(secret))
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            if any(form in held for form in wanted):
                found.append(str(path.relative_to(folder)))
    return found


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield the bytes themselves, and as hexadecimal, JSON, escaped, UTF-16 and base64 text have them."""
    text = secret.decode("latin-1")
    yield from (secret, secret.hex().encode(), secret.hex().upper().encode())
    yield from (json.dumps(text)[1:-1].encode(), repr(secret)[2:-1].encode(), text.encode("utf-16-le"))
    for before in range(3):  # base64 has groups of three bytes: the secret may begin anywhere in one
        encoded = base64.b64encode(bytes(before) + secret)
        inside = encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4]
        yield from (inside, inside.replace(b"+", b"-").replace(b"/", b"_"))

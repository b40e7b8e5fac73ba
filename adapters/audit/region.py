"""A stretch of a file that is read from front to back, mostly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

_CHUNK = 1024 * 1024
_OVERLAP = 64 * 1024  # bytes: longer than anything that is searched for


class Region:
    """Shape: `read` returns the bytes at an offset, fewer at the end of the file; the region is `start` to `stop`."""

    def __init__(self, read: Callable[[int, int], bytes], start: int, stop: int) -> None:
        self._read = read
        self.start = start
        self.stop = stop
        self._chunk = b""
        self._at = start  # of the chunk

    def get(self, offset: int, size: int) -> bytes:
        """Return these bytes, or as many of them as lie in the region."""
        size = max(0, min(size, self.stop - offset))
        begin = offset - self._at
        if begin < 0 or begin + size > len(self._chunk):
            self._chunk = self._read(offset, min(max(size, _CHUNK), self.stop - offset)) if size else b""
            self._at, begin = offset, 0
        return self._chunk[begin : begin + size]

    def find(self, what: bytes, offset: int, limit: int) -> int:
        """Return where these bytes next are, before `limit`; -1 if nowhere."""
        while offset < min(limit, self.stop):
            wanted = min(_CHUNK, limit - offset + _OVERLAP)
            chunk = self.get(offset, wanted)
            place = chunk.find(what, 0, limit - offset + len(what))
            if place >= 0:
                return offset + place if offset + place < limit else -1
            if len(chunk) < wanted:
                return -1
            offset += wanted - _OVERLAP
        return -1

    def digest(self, size: int) -> bytes:
        """Return the SHA-256 of its first bytes."""
        found, offset = hashlib.sha256(), self.start
        while offset < self.start + size:
            chunk = self.get(offset, min(_CHUNK, self.start + size - offset))
            if not chunk:
                break
            found.update(chunk)
            offset += len(chunk)
        return found.digest()

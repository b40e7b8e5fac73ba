"""Bytes of one job <-> bytes that only its key opens, and only at the place where they were sealed.

AES-256-GCM. The nonce is made of what is sealed and of its place (HMAC-SHA256, under a key derived for that alone): two
different things never share one by chance more than random ones would, and the same thing at the same place is sealed to
the same bytes. So a submission that is repeated is known again, a large value that is stored twice is stored once, and
labels can be added up by whoever cannot read them.

Sealed bytes are: a byte that names this layout, 12 bytes of nonce, and what AES-GCM returns, which is 16 bytes longer than
what was sealed.
"""

from __future__ import annotations

import hmac
from typing import Any

import msgspec

from jobledger.core.errors import SealBroken
from jobledger.projections.sealed import Place

KEY = 32  # bytes
#: by which sealed bytes are longer than what was sealed
OVERHEAD = 1 + 12 + 16

_FORMAT = b"\x01"
_NONCE = slice(1, 13)
_LARGE = 16 * 1024  # bytes
_encode = msgspec.msgpack.Encoder().encode


class Cipher:
    """Seals and opens with the key of one job. May be used by several threads at once."""

    def __init__(self, job_id: str, key: bytes) -> None:
        self.job_id = job_id
        self._aes = _aes_gcm(_derived(key, b"encryption"))
        self._nonces = _derived(key, b"nonces")

    def sealed(self, data: bytes, place: Place) -> bytes:
        """Return the bytes encrypted, and bound to the job and to this place."""
        bound = _encode((self.job_id, *place))
        nonce = self._nonce(len(bound).to_bytes(8) + bound, data)
        return b"".join((_FORMAT, nonce, self._aes.encrypt(nonce, data, bound)))

    def opened(self, data: bytes, place: Place) -> bytes:
        """Return what was sealed at this place. Errors: SealBroken."""
        from cryptography.exceptions import InvalidTag

        if len(data) < OVERHEAD or data[:1] != _FORMAT:
            raise self._broken(place, "it was not sealed by a version that is known here")
        try:
            opened: bytes = self._aes.decrypt(data[_NONCE], data[13:], _encode((self.job_id, *place)))
        except InvalidTag:
            raise self._broken(
                place, "it was changed, or sealed with another key or at another place"
            ) from None
        return opened

    def _nonce(self, head: bytes, data: bytes) -> bytes:
        if len(data) < _LARGE:  # the quicker way, but for the copy that it takes
            return hmac.digest(self._nonces, head + data, "sha256")[:12]
        digest = hmac.new(self._nonces, head, "sha256")
        digest.update(data)
        return digest.digest()[:12]

    def _broken(self, place: Place, why: str) -> SealBroken:
        return SealBroken(f"the {' '.join(map(str, place))} of job {self.job_id} cannot be opened: {why}")


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"jobledger sealing v1 " + purpose, "sha256")


def _aes_gcm(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # slow to import, and rarely needed

    return AESGCM(key)

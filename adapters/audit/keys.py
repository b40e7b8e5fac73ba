"""Ed25519 keys in files: as PEM or as OpenSSH writes them. A signature is 64 bytes and depends on nothing but key and data."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jobledger.core.errors import ArgumentError

from .unusable import UnusableInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_LARGEST = 64 * 1024  # bytes of a key file
_MAKE = "make one with `jobledger audit keygen`"


class PublicKey(NamedTuple):
    """Who can have signed."""

    raw: bytes  #: 32 bytes

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it."""
        wire = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + self.raw
        return "SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).decode().rstrip("=")

    def signed(self, signature: bytes, data: bytes) -> bool:
        """Whether this key signed the data."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


class PrivateKey:
    """Who signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


def generate_key(path: str | os.PathLike[str]) -> str:
    """Make a key: the private one in `path`, which only its owner can read, the public one beside it, with `.pub`.

    Return the fingerprint of the key. Errors: ArgumentError if one of the files is there, or cannot be written.

    >>> from jobledger.audit import generate_key
    >>> generate_key("audit.key")
    'SHA256:...'
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    where = Path(path)
    beside = where.with_name(f"{where.name}.pub")
    if beside.exists():
        raise ArgumentError(f"{beside} is there already: no key is ever overwritten. Name another file")
    _write(where, private, 0o600)
    _write(beside, public, 0o644)
    return PrivateKey(key).public.fingerprint


def load_private(path: str | os.PathLike[str]) -> PrivateKey:
    """Return the key of a file. Errors: ArgumentError if it cannot be used, or others may read it."""
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    where = Path(path)
    data = _read(where, ArgumentError)
    if where.stat().st_mode & 0o077:
        raise ArgumentError(
            f"the key {where} can be read by others: run `chmod 600 {where}` first, or {_MAKE}"
        )
    ssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    try:
        key = (form.load_ssh_private_key if ssh else form.load_pem_private_key)(data, None)
    except TypeError as error:
        raise ArgumentError(f"the key {where} is protected by a passphrase: give one that is not") from error
    except (ValueError, UnsupportedAlgorithm, InternalError) as error:
        raise ArgumentError(f"{where} is no private key in PEM or OpenSSH form: {_MAKE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ArgumentError(f"{where} is no Ed25519 key: {_MAKE}")
    return PrivateKey(key)


def load_public(path: str | os.PathLike[str]) -> PublicKey:
    """Return the public key of a file. Errors: UnusableInput."""
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    where = Path(path)
    data = _read(where, UnusableInput)
    if b"PRIVATE KEY" in data:
        raise UnusableInput(f"{where} is a private key: give the public one, such as {where}.pub")
    try:
        key = (form.load_ssh_public_key if data.startswith(b"ssh-") else form.load_pem_public_key)(data)
    except (ValueError, UnsupportedAlgorithm, InternalError) as error:
        raise UnusableInput(f"{where} is no public key in PEM or OpenSSH form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableInput(f"{where} is no Ed25519 key")
    return PublicKey(key.public_bytes_raw())


def _read(path: Path, kind: type[ArgumentError]) -> bytes:
    try:
        if not path.is_file():
            raise kind(f"there is no key file {path}: {_MAKE}")
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise kind(f"the key file {path} cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
    except FileExistsError:
        raise ArgumentError(
            f"{path} is there already: no key is ever overwritten. Name another file"
        ) from None
    except OSError as error:
        raise ArgumentError(f"{path} cannot be written: {error.strerror}") from error

"""New logins: an nkey, of which the server knows the public half only, or a password, of which it knows a bcrypt hash."""

from __future__ import annotations

import os
import secrets

from jobledger.core.errors import ArgumentError

#: Bcrypt's number of rounds is 2 to this power, and the server computes them whenever somebody logs in. It is to make
#: guessing slow: a password of 32 random bytes is guessed by nobody, so that little will do.
_COST = 6


def new_nkey() -> tuple[str, str]:
    """Return the seed and the public key of a new user. Errors: ArgumentError without the nkeys package."""
    try:
        import nkeys  # type: ignore[import-untyped]
    except ImportError as error:
        raise ArgumentError(
            "nkeys need the nkeys package: pip install nkeys, or give the user a password"
        ) from error
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()


def new_password() -> tuple[str, str]:
    """Return a new password and its hash. Errors: ArgumentError without the bcrypt package."""
    try:
        import bcrypt
    except ImportError as error:
        raise ArgumentError(
            "hashing passwords needs the bcrypt package: pip install bcrypt, or use nkeys, which need no password"
        ) from error
    password = secrets.token_urlsafe(32)
    return password, bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST, prefix=b"2a")).decode()

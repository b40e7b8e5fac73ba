"""The ways to log in, each with a whole connection: a token, a user and password in the address, an nkey, a .creds file."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]
import pytest

from jobledger.adapters.access.logins import new_nkey
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.core.errors import ArgumentError, ServerUnavailable
from support.servers import NatsServer


def _connect(endpoint: Endpoint) -> None:
    async def connecting() -> None:
        await (await connect(endpoint, name="test")).close()

    asyncio.run(connecting())


def test_a_token(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, more_configuration="authorization { token: secret }\n").start()
    try:
        _connect(Endpoint(server.url, token="secret"))
        _connect(Endpoint(f"nats://secret@127.0.0.1:{server.port}"))
        with pytest.raises(ServerUnavailable, match="refused the login"):
            _connect(Endpoint(server.url, token="wrong"))
    finally:
        server.stop()


def test_an_nkey_itself_and_in_a_file(tmp_path: Path) -> None:
    seed, public = new_nkey()
    file = tmp_path / "seed"
    file.write_text(f"{seed}\n")
    users = f"authorization {{ users: [{{ nkey: {public} }}] }}\n"
    server = NatsServer(tmp_path, more_configuration=users).start()
    try:
        _connect(Endpoint(server.url, nkey=seed))
        _connect(Endpoint(server.url, nkey=file))
        with pytest.raises(ServerUnavailable, match="refused the login"):
            _connect(Endpoint(server.url, nkey=new_nkey()[0]))
    finally:
        server.stop()


def test_a_credentials_file(tmp_path: Path) -> None:
    operator, system, account, user = (_Key(kind) for kind in ("OPERATOR", "ACCOUNT", "ACCOUNT", "USER"))
    unlimited = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1, "subs": -1, "conn": -1}
    limits = unlimited | {
        "data": -1,
        "payload": -1,
        "leaf": -1,
        "imports": -1,
        "exports": -1,
        "wildcards": True,
    }
    of_account = operator.signed(account.public, {"type": "account", "version": 2, "limits": limits})
    of_system = operator.signed(system.public, {"type": "account", "version": 2, "limits": {}})
    of_user = account.signed(
        user.public, {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
    )
    of_operator = operator.signed(operator.public, {"type": "operator", "version": 2})
    file = tmp_path / "user.creds"
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    accounts = f"{account.public}: {of_account}, {system.public}: {of_system}"
    resolver = f"operator: {of_operator}\nsystem_account: {system.public}\nresolver: MEMORY\nresolver_preload {{ {accounts} }}\n"
    server = NatsServer(tmp_path, more_configuration=resolver).start()
    try:
        _connect(Endpoint(server.url, credentials=file))
        with pytest.raises(ServerUnavailable, match="refused the login"):
            _connect(Endpoint(server.url))
    finally:
        server.stop()


class _Key:
    """One of those that sign each other in a server without a list of users."""

    def __init__(self, kind: str) -> None:
        seed: bytes = nkeys.encode_seed(os.urandom(32), getattr(nkeys, f"PREFIX_BYTE_{kind}"))
        self.seed = seed.decode()
        self._pair = nkeys.from_seed(bytearray(seed))
        self.public: str = self._pair.public_key.decode()

    def signed(self, subject: str, about: dict[str, Any]) -> str:
        """Return a token that says this about the owner of a public key."""
        claims = {"iss": self.public, "sub": subject, "iat": 1_700_000_000, "nats": about}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode()
        parts = [
            _encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)
        ]
        return ".".join([*parts, _encoded(self._pair.sign(".".join(parts).encode()))])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("nkey", ["SUAAAA", "/nowhere/at/all", "SU" + "1" * 56])
def test_what_is_no_nkey_is_told_and_not_repeated(nkey: str) -> None:
    with pytest.raises(ArgumentError, match="nkey is neither") as told:
        _connect(Endpoint("nats://127.0.0.1:1", nkey=nkey))
    assert nkey not in str(told.value)


def test_two_keys_are_one_too_many() -> None:
    with pytest.raises(ArgumentError, match="nkey and credentials both have the key"):
        Endpoint("nats://127.0.0.1", credentials="a", nkey="b")

"""The users of one server, in a folder: who there is, the server's configuration made of it, and a file with the login of
each.

`users.json` says who there is, without anything secret: of an nkey it has the public half, of a password the bcrypt hash.
The configuration is made anew from it with every change. A login is shown nowhere but in the file of its user.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.undecodable import UNDECODABLE

from ..nats.names import Names
from .identity import Identity
from .logins import new_nkey, new_password
from .server_configuration import configuration

_FORMAT = 1


class User(msgspec.Struct, frozen=True):
    """One user. Either `nkey` or `password_hash` is set."""

    namespace: str
    identity: str
    nkey: str = ""  #: the public key
    password_hash: str = ""

    @property
    def who(self) -> Identity:
        return Identity.parse(self.identity)

    @property
    def login(self) -> str:
        """The name the server knows it by, where it logs in with a password."""
        return f"{self.namespace}.{self.identity}"


class _Stored(msgspec.Struct):
    format: int = _FORMAT
    account: str = ""  #: NATS account all of them belong to; "" for that of a server without accounts
    users: list[User] = []


class Surroundings(NamedTuple):
    """What goes into the file of a user besides its login: where the server is."""

    url: str | None = None
    tls_ca: str | None = None


class Users:
    """The users of one folder. Every change is on disk when a method returns; files are for their owner alone.

    >>> users = Users(Path("access"))
    >>> file = users.create("prod", Identity.parse("runner.gpu.gpu-1"))
    >>> file.name, oct(file.stat().st_mode & 0o777)
    ('prod.runner.gpu.gpu-1.env', '0o600')
    >>> [user.identity for user in users]
    ['runner.gpu.gpu-1']
    """

    def __init__(self, folder: Path) -> None:
        """Errors: ArgumentError for a folder whose list cannot be read."""
        self._folder = folder
        self._stored = _load(folder / "users.json")

    def __iter__(self) -> Iterator[User]:
        return iter(self._stored.users)

    @property
    def configuration(self) -> Path:
        """The file that the server's configuration is to include."""
        return self._folder / "nats-access.conf"

    def find(self, namespace: str, who: Identity) -> User | None:
        return next(
            (user for user in self if user.namespace == namespace and user.identity == str(who)), None
        )

    def create(
        self,
        namespace: str,
        who: Identity,
        *,
        password: bool = False,
        account: str | None = None,
        around: Surroundings = Surroundings(),  # noqa: B008  it never changes
    ) -> Path:
        """Add a user unless there is one, and return the file with its login, which is left as it is if it is there.

        Shape:  with `password` it logs in with one, otherwise with an nkey. `account` is the NATS account of all users.
        Errors: ArgumentError for a namespace or an account that cannot be used.
        """
        _check(namespace)
        if account is not None and account != self._stored.account and self._stored.users:
            raise ArgumentError(
                f"the users of {self._folder} belong to {self._stored.account or 'no account'}, not to {account}: use "
                "another folder for another account"
            )
        if account is not None:
            self._stored.account = account
        user = self.find(namespace, who)
        file = self._file(namespace, who)
        if user is None or not file.exists():
            self._give_login(namespace, who, password=password, around=around)
        self._write()
        return file

    def rotate(self, namespace: str, who: Identity, *, around: Surroundings | None = None) -> Path:
        """Give a user another login, of the same kind. The old one is good until the server reads its configuration again.

        Errors: NotFoundError.
        """
        user = self._existing(namespace, who)
        known = around or _around(self._file(namespace, who))
        self._give_login(namespace, who, password=bool(user.password_hash), around=known)
        self._write()
        return self._file(namespace, who)

    def remove(self, namespace: str, who: Identity) -> None:
        """Remove a user, and the file with its login. Errors: NotFoundError."""
        self._stored.users.remove(self._existing(namespace, who))
        self._write()
        self._file(namespace, who).unlink(missing_ok=True)

    def _existing(self, namespace: str, who: Identity) -> User:
        user = self.find(namespace, who)
        if user is None:
            there = ", ".join(f"{one.namespace} {one.identity}" for one in self) or "nobody"
            raise NotFoundError(f"there is no user {who} of namespace {namespace}. There is: {there}")
        return user

    def _file(self, namespace: str, who: Identity) -> Path:
        return self._folder / "users" / f"{namespace}.{who}.env"

    def _give_login(self, namespace: str, who: Identity, *, password: bool, around: Surroundings) -> None:
        user = User(namespace, str(who))
        lines = {"JOBLEDGER_NAMESPACE": namespace, "JOBLEDGER_IDENTITY": str(who)}
        if password:
            secret, hashed = new_password()
            user = msgspec.structs.replace(user, password_hash=hashed)
            lines |= {"JOBLEDGER_USER": user.login, "JOBLEDGER_PASSWORD": secret}
        else:
            seed, public = new_nkey()
            user = msgspec.structs.replace(user, nkey=public)
            lines |= {"JOBLEDGER_NKEY": seed}
        if around.url is not None:
            lines["JOBLEDGER_URL"] = around.url
        if around.tls_ca is not None:
            lines["JOBLEDGER_TLS_CA"] = around.tls_ca
        file = self._file(namespace, who)
        _write(file, "".join(f"{name}={value}\n" for name, value in lines.items()))
        self._stored.users = [one for one in self if (one.namespace, one.identity) != (namespace, str(who))]
        self._stored.users.append(user)
        self._stored.users.sort(key=lambda one: (one.namespace, one.identity))

    def _write(self) -> None:
        _write(
            self._folder / "users.json",
            msgspec.json.format(msgspec.json.encode(self._stored)).decode() + "\n",
        )
        _write(self.configuration, configuration(self._stored.users, self._stored.account))


def _check(namespace: str) -> None:
    try:
        Names(namespace)
    except ValueError as error:
        raise ArgumentError(str(error)) from error


def _load(path: Path) -> _Stored:
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        if stored.format != _FORMAT:
            raise ArgumentError(f"{path} is of another version of jobledger: format {stored.format}")
        for user in stored.users:
            Identity.parse(user.identity)
    except FileNotFoundError:
        return _Stored()
    except (OSError, *UNDECODABLE) as error:
        raise ArgumentError(f"{path} is no list of users that can be read: {error}") from error
    return stored


def _around(file: Path) -> Surroundings:
    """Return where the server is by the file of a user, as far as it says so."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    known = dict(line.split("=", 1) for line in lines if "=" in line)
    return Surroundings(known.get("JOBLEDGER_URL"), known.get("JOBLEDGER_TLS_CA"))


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole; only its owner can read it. The text is on disk then."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # one left by a crash may have other permissions
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

"""Where a server is and how to be let in. Light: needs no NATS client, so that finding a server stays quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike, fspath
from urllib.parse import urlsplit

from jobledger.core.errors import ArgumentError

from ..access.identity import Identity

DEFAULT_PORT = 4222
_SCHEMES = ("nats", "tls", "ws", "wss")
#: the environment variable of each part of a login, by the argument of `Endpoint` it becomes
_VARIABLES = {
    "user": "JOBLEDGER_USER",
    "password": "JOBLEDGER_PASSWORD",
    "token": "JOBLEDGER_TOKEN",
    "credentials": "JOBLEDGER_CREDS",
    "nkey": "JOBLEDGER_NKEY",
    "identity": "JOBLEDGER_IDENTITY",
    "tls_ca": "JOBLEDGER_TLS_CA",
    "tls_cert": "JOBLEDGER_TLS_CERT",
    "tls_key": "JOBLEDGER_TLS_KEY",
    "tls_hostname": "JOBLEDGER_TLS_HOSTNAME",
}
_SECRET = frozenset({"password", "token", "nkey"})


def login_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the login that the environment has, as arguments of `Endpoint`.

    >>> login_of({"JOBLEDGER_USER": "me", "JOBLEDGER_PASSWORD": "secret"})
    {'user': 'me', 'password': 'secret'}
    """
    return {argument: environment[name] for argument, name in _VARIABLES.items() if environment.get(name)}


def _checked(url: str) -> str:
    """Return the url with its scheme. Errors: ArgumentError, which never repeats a password."""
    full = url.strip() if "://" in url else f"nats://{url.strip()}"
    try:
        parts = urlsplit(full)
        usable = (
            parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0 and not _has_blank(full)
        )
    except ValueError:  # a port that is no number, or a broken IPv6 address
        usable = False
    if not usable:
        raise ArgumentError(
            f"{_without_login(full)!r} is not the address of a NATS server: "
            f"write nats://host:port (or {', '.join(_SCHEMES[1:])} instead of nats)"
        )
    return full


def _has_blank(text: str) -> bool:
    return any(character.isspace() for character in text)


def _without_login(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """One server, or several of one cluster, and the credentials for it.

    Shape:  `url` is one address, several separated by commas, or a sequence of addresses; a missing scheme means
            nats, a missing port 4222. Files are paths, read at every connect. Nothing secret is in the repr.
            `identity` is the name under which the server lets this user speak, where it tells users apart: role.user, or
            runner.cluster.user (see `jobledger access`).
    Errors: ArgumentError for an address that cannot be used, two keys, or half of a pair of options.
    """

    url: str | tuple[str, ...] = f"nats://127.0.0.1:{DEFAULT_PORT}"
    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials: str | PathLike[str] | None = None  #: a .creds file: user JWT and its seed
    nkey: str | PathLike[str] | None = None  #: the seed of an nkey (SU…), or a file that has it
    tls_ca: str | PathLike[str] | None = None  #: trusted signers, instead of the system's
    tls_cert: str | PathLike[str] | None = None  #: the client's certificate, for servers that ask for one
    tls_key: str | PathLike[str] | None = None  #: its key
    tls_hostname: str | None = None  #: the name in the server's certificate, if it is not the host of the url
    identity: str | None = None

    def __post_init__(self) -> None:
        urls = self.url.split(",") if isinstance(self.url, str) else list(self.url)
        if not urls:
            raise ArgumentError("an endpoint needs at least one server address: write nats://host:port")
        checked = tuple(_checked(url) for url in urls)
        object.__setattr__(self, "url", checked[0] if len(checked) == 1 else checked)
        if (self.user is None) != (self.password is None):
            raise ArgumentError("user and password go together: give both or neither")
        if self.nkey is not None and self.credentials is not None:
            raise ArgumentError("nkey and credentials both have the key to log in with: give one of them")
        if self.identity is not None:
            Identity.parse(self.identity)
        if self.tls_key is not None and self.tls_cert is None:
            raise ArgumentError("tls_key is the key of a certificate: give tls_cert as well")

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def who(self) -> Identity | None:
        """The identity, if there is one."""
        return None if self.identity is None else Identity.parse(self.identity)

    @property
    def shown(self) -> str:
        """The addresses as messages may show them: without any login in them.

        >>> Endpoint("nats://me:secret@example.org").shown
        'nats://example.org'
        """
        return ", ".join(map(_without_login, self.urls))

    def __repr__(self) -> str:
        parts = [repr(self.shown)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value is not None:
                parts.append(f"{field.name}=" + ("…" if field.name in _SECRET else _plain(value)))
        return f"Endpoint({', '.join(parts)})"


def _plain(value: str | PathLike[str]) -> str:
    return repr(fspath(value))

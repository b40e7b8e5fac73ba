"""What a client is told when it is made: where its server is, and how to log in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NoReturn

from jobledger.core.errors import ArgumentError

from ..embedded.folder import DataFolder
from ..nats.endpoint import Endpoint, login_of
from ..nats.names import DEFAULT_NAMESPACE, Names
from . import arguments
from .session import Sealing, Session

if TYPE_CHECKING:
    from ..sealing.keys import KeyStore

URL_VARIABLE = "JOBLEDGER_URL"
NAMESPACE_VARIABLE = "JOBLEDGER_NAMESPACE"
PATIENCE = 30.0  # seconds


class Connected:
    """What `Client` and `AsyncClient` are made of: where the server is, and one connection to it. Arguments: `Client`."""

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        data_folder: str | PathLike[str] | None = None,
        namespace: str | None = None,
        name: str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        credentials: str | PathLike[str] | None = None,
        nkey: str | PathLike[str] | None = None,
        identity: str | None = None,
        tls_ca: str | PathLike[str] | None = None,
        tls_cert: str | PathLike[str] | None = None,
        tls_key: str | PathLike[str] | None = None,
        tls_hostname: str | None = None,
        patience: float = PATIENCE,
        encrypt: bool = False,
        keys: KeyStore | None = None,
    ) -> None:
        login: dict[str, Any] = {
            "user": user,
            "password": password,
            "token": token,
            "credentials": credentials,
            "nkey": nkey,
            "identity": identity,
            "tls_ca": tls_ca,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "tls_hostname": tls_hostname,
        }
        login = {argument: value for argument, value in login.items() if value is not None}
        if url is None and data_folder is None and os.environ.get(URL_VARIABLE):
            # The server is that of the environment, and so is the login. Elsewhere it says nothing.
            url, login = os.environ[URL_VARIABLE], login_of(os.environ) | login
            namespace = namespace or os.environ.get(NAMESPACE_VARIABLE)
        self._where, self._resolve, self._folder = _server(url, data_folder, login)
        self._label = arguments.checked_text(
            "name", name or "jobledger client", limit=256, example="name='importer'"
        )
        self._names = _names(DEFAULT_NAMESPACE if namespace is None else namespace)
        self._patience = arguments.seconds("patience", patience)
        self._sealing = Sealing(arguments.flag("encrypt", encrypt), None if keys is None else _checked(keys))
        self._session = self._new_session()

    def _new_session(self) -> Session:
        return Session(
            self._resolve,
            self._names,
            name=self._label,
            patience=self._patience,
            sealing=self._sealing,
            folder=self._folder,
        )

    def __repr__(self) -> str:
        namespace = self._names.namespace
        more = "" if namespace == DEFAULT_NAMESPACE else f", namespace={namespace!r}"
        return f"{type(self).__name__}({self._where}{more})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{'an' if type(self).__name__[0] in 'AEIO' else 'a'} {type(self).__name__} holds a connection and cannot "
            "be copied: make another one with the same arguments"
        )


def _checked(keys: KeyStore) -> KeyStore:
    from ..sealing.keys import checked_store

    return checked_store(keys)


def _server(
    url: Any, data_folder: Any, login: dict[str, Any]
) -> tuple[str, Callable[[], Endpoint], str | None]:
    """Return how to show where the server is, what finds it, and the folder of an embedded one. Errors: ArgumentError."""
    if url is not None and data_folder is not None:
        raise ArgumentError(
            "url and data_folder exclude each other: a url names a server that runs already, a data folder has an "
            "embedded one. Give one of them"
        )
    if url is not None:
        endpoint = _endpoint(url, login)
        return repr(endpoint.shown), lambda: endpoint, None
    if login:
        raise ArgumentError(
            f"{', '.join(login)}: logins belong to a server with a url, and none is given; "
            f"write Client('nats://host:port', …) or set {URL_VARIABLE}"
        )
    # Settled now: what the environment says later must not move this client elsewhere.
    folder = _folder(data_folder)

    def embedded() -> Endpoint:
        from ..embedded.start import ensure_server

        return ensure_server(folder)

    return f"data_folder={folder!r}", embedded, folder


def _endpoint(url: Any, login: dict[str, Any]) -> Endpoint:
    urls = url if isinstance(url, str) else tuple(url) if isinstance(url, list | tuple) else None
    if urls is None or not all(isinstance(one, str) for one in urls):
        raise ArgumentError(
            f"url={url!r:.100} is no address: pass text such as 'nats://host:4222', or a list of such"
        )
    for argument, value in login.items():
        if not isinstance(value, str) and (argument in _TEXTS or not isinstance(value, PathLike)):
            raise ArgumentError(f"{argument} is a {type(value).__name__}: pass text")
    return Endpoint(urls, **login)


_TEXTS = frozenset({"user", "password", "token", "identity", "tls_hostname"})


def _folder(given: Any) -> str:
    if given is not None and (not isinstance(given, str | PathLike) or not fspath(given)):
        raise ArgumentError(
            f"data_folder={given!r:.100} is no folder: pass a path, or None for the default one"
        )
    return str(DataFolder.locate(given).path)


def _names(namespace: Any) -> Names:
    try:
        return Names(namespace)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"namespace={namespace!r:.100} cannot be used: 1 to 64 letters, digits, dashes or underscores can"
        ) from error

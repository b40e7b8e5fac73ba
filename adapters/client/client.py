"""Where everything starts: `Client()`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NoReturn, Self

from jobledger.core.errors import ArgumentError

from ..embedded.folder import DataFolder
from ..nats.endpoint import Endpoint
from ..nats.names import DEFAULT_NAMESPACE, Names
from ..portal import shared_portal
from . import arguments
from .jobs import JobClient
from .session import Session

if TYPE_CHECKING:
    from jobledger.core.context import JobCache
    from jobledger.core.task import TaskClass

    from ..runner.runner import TaskRunner

URL_VARIABLE = "JOBLEDGER_URL"
PATIENCE = 30.0  # seconds


class Client:
    """A connection to a server, made when it is first needed. May be used from several threads, and after a fork.

    Shape:  `Client()` uses the embedded server of the default data folder, starting it if it does not run: the folder
            of JOBLEDGER_HOME, or one in the user's home. If JOBLEDGER_URL is set, it uses the server of that address
            instead.
            `Client("nats://host:port")` uses a server, or a cluster (several addresses, in a list or separated by
            commas), that runs already, and on it the engine of `namespace`. The other arguments are how to log in.
            `Client(data_folder=…)` uses the embedded server of that folder.
            `name` labels the connection in the server's own listings.
    Units:  `patience` is how many seconds a request outlasts a server that is away before it raises.
    Errors: ArgumentError at once for arguments that cannot be used. A server that does not answer shows in the first
            request: ServerUnavailable, or ServerUnsuitable if it is too old or has no JetStream.

    >>> with Client() as client:
    ...     job = client.jobs().submit("greetings", Greet("world"))
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        data_folder: str | PathLike[str] | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        name: str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        credentials: str | PathLike[str] | None = None,
        tls_ca: str | PathLike[str] | None = None,
        tls_cert: str | PathLike[str] | None = None,
        tls_key: str | PathLike[str] | None = None,
        tls_hostname: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        login = {
            "user": user,
            "password": password,
            "token": token,
            "credentials": credentials,
            "tls_ca": tls_ca,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "tls_hostname": tls_hostname,
        }
        login = {argument: value for argument, value in login.items() if value is not None}
        self._where, resolve = _server(url, data_folder, login)
        label = arguments.checked_text(
            "name", name or "jobledger client", limit=256, example="name='importer'"
        )
        self._session = Session(
            resolve, _names(namespace), name=label, patience=arguments.seconds("patience", patience)
        )

    def jobs(self) -> JobClient:
        """Return what submits, finds, cancels and retries jobs."""
        return JobClient(self._session)

    def runner(
        self,
        cluster: str | None = None,
        tasks: Iterable[TaskClass] | None = None,
        cache: JobCache | None = None,
        context: type[Any] | Any | None = None,
        *,
        concurrency: int = 1,
    ) -> TaskRunner:
        """Return a runner, which runs tasks in this process once its `run_all` or `run_forever` is called.

        Shape:  `tasks` are the classes it can run; `cluster` is where it takes tasks from (None: the default cluster);
                `cache` is what its tasks find as `context.job_cache`, `context` makes their `context.runner_context`;
                `concurrency` is how many tasks it runs at a time, each on a thread of its own.
        Errors: ArgumentError or TypeError for arguments that cannot be used. No server is needed before it runs.

        >>> client.runner(tasks=[Greet], concurrency=4).run_all()
        """
        from ..runner.runner import TaskRunner

        return TaskRunner(
            tasks,
            link=self._session.link,
            cluster=arguments.cluster_name(cluster),
            cache=cache,
            context=context,
            concurrency=concurrency,
        )

    def close(self) -> None:
        """Close the connection. Jobs of this client can then not be read any more; running jobs go on."""
        shared_portal().run(self._session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        namespace = self._session.names.namespace
        more = "" if namespace == DEFAULT_NAMESPACE else f", namespace={namespace!r}"
        return f"Client({self._where}{more})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Client holds a connection and cannot be copied: make another one with the same arguments"
        )


def _server(url: Any, data_folder: Any, login: dict[str, Any]) -> tuple[str, Callable[[], Endpoint]]:
    """Return how to show where the server is, and what finds it. Errors: ArgumentError."""
    if url is not None and data_folder is not None:
        raise ArgumentError(
            "url and data_folder exclude each other: a url names a server that runs already, a data folder has an "
            "embedded one. Give one of them"
        )
    if url is None and data_folder is None:
        url = os.environ.get(URL_VARIABLE) or None
    if url is not None:
        endpoint = _endpoint(url, login)
        return repr(endpoint.shown), lambda: endpoint
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

    return f"data_folder={folder!r}", embedded


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


_TEXTS = frozenset({"user", "password", "token", "tls_hostname"})


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

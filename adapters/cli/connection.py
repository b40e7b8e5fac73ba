"""Which server a command talks to: the same options everywhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from cyclopts.validators import Path as File

from jobledger.core.errors import ArgumentError

from ..nats.names import DEFAULT_NAMESPACE, Names
from .times import Seconds

if TYPE_CHECKING:
    from ..client.client import Client
    from ..nats.endpoint import Endpoint

_FILE = File(exists=True, dir_okay=False)
_GROUP = Group("Server", sort_key=100)
_URL_VARIABLES = ("JOBLEDGER_URL", "JOBLEDGER_NATS")
_HOME_VARIABLE = "JOBLEDGER_HOME"

#: options that are a login, each with the argument of `Endpoint` and `Client` it becomes
_LOGIN = {
    "user": "user",
    "password": "password",
    "token": "token",
    "creds": "credentials",
    "nkey": "nkey",
    "identity": "identity",
    "tls_ca": "tls_ca",
    "tls_cert": "tls_cert",
    "tls_key": "tls_key",
    "tls_hostname": "tls_hostname",
}


def _option(name: str, *names: str, text: str, env: str, **more: Any) -> Parameter:
    # The variable is named, not given to the parser: what is in the environment yields to any option, and a login
    # that is there for some server says nothing about another one.
    return Parameter(name=[name, *names], group=_GROUP, help=f"{text} [env: {env}]", **more)


@Parameter(name="*")
@dataclass(frozen=True)
class Connection:
    """The embedded server of a data folder, or a server that runs elsewhere. Options win over the environment.

    Secrets are better given by the environment than by options, which other users of the machine can read.
    """

    url: Annotated[
        str | None,
        _option(
            "--url",
            "--nats",
            text="Address of a NATS server, or several separated by commas; default: the embedded server.",
            env="JOBLEDGER_URL",
        ),
    ] = None
    folder: Annotated[
        Path | None, _option("--folder", text="Data folder of the embedded server.", env=_HOME_VARIABLE)
    ] = None
    namespace: Annotated[
        str | None,
        _option("--namespace", text=f"Whose jobs; default: {DEFAULT_NAMESPACE}.", env="JOBLEDGER_NAMESPACE"),
    ] = None
    user: Annotated[str | None, _option("--user", text="User name.", env="JOBLEDGER_USER")] = None
    password: Annotated[str | None, _option("--password", text="Password.", env="JOBLEDGER_PASSWORD")] = None
    token: Annotated[str | None, _option("--token", text="Token.", env="JOBLEDGER_TOKEN")] = None
    creds: Annotated[
        Path | None, _option("--creds", text="A .creds file.", env="JOBLEDGER_CREDS", validator=_FILE)
    ] = None
    nkey: Annotated[
        str | None,
        _option("--nkey", text="The seed of an nkey, or a file that has it.", env="JOBLEDGER_NKEY"),
    ] = None
    identity: Annotated[
        str | None,
        _option(
            "--identity",
            text="Who this is, as `jobledger access` named it: role.user.",
            env="JOBLEDGER_IDENTITY",
        ),
    ] = None
    tls_ca: Annotated[
        Path | None,
        _option("--tls-ca", text="File of trusted signers.", env="JOBLEDGER_TLS_CA", validator=_FILE),
    ] = None
    tls_cert: Annotated[
        Path | None,
        _option("--tls-cert", text="Certificate to show.", env="JOBLEDGER_TLS_CERT", validator=_FILE),
    ] = None
    tls_key: Annotated[
        Path | None, _option("--tls-key", text="Its key.", env="JOBLEDGER_TLS_KEY", validator=_FILE)
    ] = None
    tls_hostname: Annotated[
        str | None,
        _option("--tls-hostname", text="Name in the server's certificate.", env="JOBLEDGER_TLS_HOSTNAME"),
    ] = None
    patience: Annotated[
        Seconds,
        Parameter(
            group=_GROUP,
            help="How long to put up with a server or an engine that is away.",
            show_default=True,
        ),
    ] = 30.0

    def client(self) -> Client:
        """Return a client of that server. Errors: ArgumentError for options that exclude each other."""
        from ..client.client import Client

        url = self._chosen_url()
        return Client(
            url,
            # Said in any case: without either, a client would look for the address in the environment once more.
            data_folder=self._chosen_folder() if url is None else None,
            name="jobledger command line",
            namespace=self.chosen_namespace,
            patience=self.patience,
            **self._logins(url),
        )

    def runs(self) -> bool:
        """Whether a client would not have to start the server first."""
        from ..embedded.start import server_status

        return self._chosen_url() is not None or server_status(self.folder).running

    def endpoint(self) -> Endpoint:
        """Return where a server is that runs elsewhere. Errors: ArgumentError if none is named."""
        from ..nats.endpoint import Endpoint

        url = self._chosen_url()
        if url is None:
            raise ArgumentError(
                "--url is missing: name the NATS server, such as --url nats://host:4222, or set JOBLEDGER_URL. The "
                "embedded server needs no other process: `jobledger server start` starts all of it"
            )
        return Endpoint(url, **self._logins(url))

    def environment(self) -> dict[str, str]:
        """Return the environment in which another process finds the same server, with nothing on its command line.

        Errors: as `client`.
        """
        environment = dict(os.environ)
        url = self._chosen_url()
        for name in (*_URL_VARIABLES, *(_variable(option) for option in _LOGIN)):
            environment.pop(name, None)
        if url is None:
            environment[_HOME_VARIABLE] = str(self._chosen_folder())
        else:
            environment[_URL_VARIABLES[0]] = url
        logins = self._logins(url)
        environment |= {
            _variable(option): str(logins[argument])
            for option, argument in _LOGIN.items()
            if argument in logins
        }
        return environment | {"JOBLEDGER_NAMESPACE": self.chosen_namespace}

    @property
    def chosen_namespace(self) -> str:
        """The namespace. Errors: ArgumentError for one that cannot be one."""
        chosen = self.namespace or os.environ.get("JOBLEDGER_NAMESPACE") or DEFAULT_NAMESPACE
        try:
            return Names(chosen).namespace
        except ValueError:
            raise ArgumentError(
                f"--namespace {chosen!r:.100} cannot be used: 1 to 64 letters, digits, dashes or underscores can"
            ) from None

    def _chosen_url(self) -> str | None:
        """Return the address of a server, None for the embedded one."""
        if self.url is not None and self.folder is not None:
            raise ArgumentError(
                f"--url {self.url!r:.100} and --folder {str(self.folder)!r:.100} exclude each other: a url names a "
                "server that runs elsewhere, a folder has an embedded one. Give one of them"
            )
        if self.url is not None or self.folder is not None:
            return self.url
        return next((os.environ[name] for name in _URL_VARIABLES if os.environ.get(name)), None)

    def _chosen_folder(self) -> Path:
        from ..embedded.folder import DataFolder

        return DataFolder.locate(self.folder).path

    def _logins(self, url: str | None) -> dict[str, Any]:
        given = {
            field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None
        }
        given = {option: value for option, value in given.items() if option in _LOGIN}
        if url is None and given:
            named = ", ".join(f"--{option.replace('_', '-')}" for option in given)
            raise ArgumentError(
                f"{named}: a login belongs to a server with a --url, and none is given. The embedded server needs none"
            )
        if url is not None:
            from ..nats.endpoint import login_of

            return login_of(os.environ) | {_LOGIN[option]: value for option, value in given.items()}
        return {}


def _variable(option: str) -> str:
    return f"JOBLEDGER_{option.upper()}"


HERE = Connection()

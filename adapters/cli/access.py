"""`jobledger access`: users of a NATS server, each with the least rights its role needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from ..access.identity import Identity, Role
from ..nats.names import DEFAULT_NAMESPACE
from . import output as out
from .output import Output

if TYPE_CHECKING:
    from ..access.users import Users

app = App(name="access", help="Users of a NATS server, each with the least rights that its role needs.")

RoleName = Annotated[Role, Parameter(name="--role", help="What the user is for.")]
Name = Annotated[str, Parameter(name="--name", help="Its name: letters, digits, dashes and underscores.")]
Cluster = Annotated[
    str | None, Parameter(help="Of a runner: the cluster whose tasks it takes; default: default.")
]
Namespace = Annotated[str, Parameter(help="Whose jobs.", show_default=True)]
Folder = Annotated[
    Path,
    Parameter(
        name="--dir",
        help="The folder with the list of users, the server's configuration and the logins.",
        show_default=True,
    ),
]
_HERE = Path("jobledger-access")


@app.command
def create(
    *,
    role: RoleName,
    name: Name,
    cluster: Cluster = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    folder: Folder = _HERE,
    password: Annotated[
        bool,
        Parameter(help="Log in with a password (of which the server gets the bcrypt hash), not an nkey."),
    ] = False,
    account: Annotated[
        str | None,
        Parameter(
            help="NATS account of all users of the folder; default: that of a server without accounts."
        ),
    ] = None,
    url: Annotated[str | None, Parameter(help="Address of the server, for the file of the user.")] = None,
    tls_ca: Annotated[
        str | None, Parameter(help="File of trusted signers on the user's machine, for the file of the user.")
    ] = None,
    output: Output = "table",
) -> int:
    """Add a user, and print the file with its login. Where there is one already, it keeps its login.

    That file sets environment variables: the user's programs need no other option (systemd: EnvironmentFile, compose:
    env_file). The server's configuration is nats-access.conf in the folder: include it, and have the server reload.
    """
    from ..access.users import Surroundings

    users, who = _users(folder), _identity(role, name, cluster)
    file = users.create(namespace, who, password=password, account=account, around=Surroundings(url, tls_ca))
    _tell(users, file, output)
    return 0


@app.command
def rotate(
    *,
    role: RoleName,
    name: Name,
    cluster: Cluster = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    folder: Folder = _HERE,
    output: Output = "table",
) -> int:
    """Give a user another login, and print the file with it. The old one is over once the server has reloaded."""
    users, who = _users(folder), _identity(role, name, cluster)
    _tell(users, users.rotate(namespace, who), output)
    return 0


@app.command
def remove(
    *,
    role: RoleName,
    name: Name,
    cluster: Cluster = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    folder: Folder = _HERE,
) -> int:
    """Remove a user and the file with its login. It is out once the server has reloaded."""
    _users(folder).remove(namespace, _identity(role, name, cluster))
    return 0


@app.command(name="list")
def list_(*, folder: Folder = _HERE, output: Output = "table") -> int:
    """List the users of a folder."""
    found = [
        {
            "namespace": user.namespace,
            "identity": user.identity,
            "login": "nkey" if user.nkey else "password",
            "file": str(folder / "users" / f"{user.login}.env"),
        }
        for user in _users(folder)
    ]
    out.rows(found, output, columns=("namespace", "identity", "login", "file"))
    return 0


@app.command
def show(*, output: Output = "table") -> int:
    """Show what each role may do."""
    from ..access.matrix import matrix

    rows: list[dict[str, Any]] = [
        {"what": row.what} | {role.value: row.by[role] for role in Role} for row in matrix()
    ]
    out.rows(rows, output, columns=("what", *Role))
    return 0


def _users(folder: Path) -> Users:
    from ..access.users import Users

    return Users(folder)


def _identity(role: Role, name: str, cluster: str | None) -> Identity:
    if role is Role.RUNNER and cluster is None:
        cluster = "default"
    return Identity.of(role, name, cluster)


def _tell(users: Users, file: Path, output: Any) -> None:
    if output == "table":
        out.line(str(file))
    else:
        out.facts({"login": str(file), "configuration": str(users.configuration)}, output)

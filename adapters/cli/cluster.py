"""`jobledger cluster`: the routing labels tasks are claimed by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from jobledger.core.errors import ArgumentError

from . import output as out
from .connection import HERE, Connection
from .output import Output
from .times import AsOf

if TYPE_CHECKING:
    from jobledger.projections.clusters import Cluster

app = App(name="cluster", help="Where tasks run: the labels by which runners claim them.")

Slug = Annotated[str, Parameter(help="The slug of a cluster: what tasks and runners name it by.")]
Name = Annotated[str | None, Parameter(help="What it is called; up to 100 characters.")]
Description = Annotated[str | None, Parameter(help="What it is for; up to 50,000 characters.")]


@app.command(name="list")
def list_(*, at: AsOf = None, output: Output = "table", server: Connection = HERE) -> int:
    """List the clusters."""
    with server.client() as client:
        out.rows(map(_facts, client.clusters().all(at=at)), output)
    return 0


@app.command
def show(slug: Slug, /, *, at: AsOf = None, output: Output = "table", server: Connection = HERE) -> int:
    """Show a cluster."""
    with server.client() as client:
        out.facts(_facts(client.clusters().find(slug, at=at)), output)
    return 0


@app.command
def create(
    name: Annotated[str, Parameter(help="What it is called; up to 100 characters.")],
    /,
    *,
    slug: Annotated[
        str | None, Parameter(help="Letters, digits and dashes; default: made from the name.")
    ] = None,
    description: Description = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Create a cluster and print its slug."""
    with server.client() as client:
        made = client.clusters().create(name, description or "", slug)
        if output == "table":
            out.line(made.slug)
        else:
            out.facts(_facts(made), output)
    return 0


@app.command
def update(
    slug: Slug,
    /,
    *,
    name: Name = None,
    description: Description = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Change the name or the description of a cluster. Its slug never changes."""
    if name is None and description is None:
        raise ArgumentError("nothing to change: give --name, --description, or both")
    with server.client() as client:
        out.facts(_facts(client.clusters().update(slug, name, description)), output)
    return 0


@app.command
def delete(
    slug: Slug,
    /,
    *,
    force: Annotated[bool, Parameter(help="Also where tasks are queued or running.")] = False,
    server: Connection = HERE,
) -> int:
    """Delete a cluster that no task is queued or running in. The default one cannot be deleted."""
    with server.client() as client:
        try:
            client.clusters().delete(slug, force=force)
        except ArgumentError as error:
            raise ArgumentError(str(error).replace("force=True", "--force")) from None
        out.say(f"jobledger: deleted: {slug}")
    return 0


@app.command
def history(slug: Slug, /, *, at: AsOf = None, output: Output = "table", server: Connection = HERE) -> int:
    """Print everything that happened to a cluster, also to one that was deleted."""
    with server.client() as client:
        entries = client.clusters().history(slug, at=at)
        out.stream(
            (
                (str(entry), {"at": entry.at, "version": entry.version, "by": entry.by, "text": entry.text})
                for entry in entries
            ),
            output,
        )
    return 0


def _facts(cluster: Cluster) -> dict[str, Any]:
    return {
        "slug": cluster.slug,
        "name": cluster.display_name,
        "description": cluster.description,
        "deletable": cluster.deletable,
        "created_at": cluster.created_at,
    }

"""Which job is meant: by its id, or, for people at a terminal, as `latest` or `latest:NAME`."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias
from uuid import UUID

from cyclopts import Parameter

from jobledger.core.errors import ArgumentError, NotFoundError

from . import output
from .connection import Connection

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from ..client.client import Client
    from ..client.history.past import PastJob
    from ..client.job import Job

_LATEST = "latest"
_FORMS = (
    "give an id as `jobledger job list` shows it, `latest` for the newest job, or `latest:NAME` for the newest one "
    "whose name contains NAME"
)

_OFFERED = 20  # jobs that a shell is offered to complete


def _newest(context: CompletionContext) -> list[tuple[str, str]]:
    """Return the newest jobs, for a shell; none where no server runs, as to complete a word must not start one."""
    typed: dict[str, Any] = {field.name: context[field.name].value for field in fields(Connection)}
    server = Connection(**typed | {"patience": 1.0})
    if not server.runs():
        return []
    with server.client() as client:
        found = client.jobs().rows(limit=_OFFERED)
    return [(_LATEST, "the newest job"), *((job.id, f"{job.name}, {job.state.name}") for job in found)]


JobReference: TypeAlias = Annotated[
    str, Parameter(help="The id of a job, latest, or latest:NAME.", completer=_newest)
]
TargetReference: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="The id of a job, latest, or latest:NAME; for one task of it, a slash and its number behind that.",
        completer=_newest,
    ),
]


class Target(NamedTuple):
    """A job, or one task of it."""

    job_id: str
    task: int | None = None

    def __str__(self) -> str:
        return self.job_id if self.task is None else f"{self.job_id}/{self.task}"


def job_of(client: Client, reference: str) -> Job:
    """Return the job that is meant, read afresh. Errors: ArgumentError for what names none; NotFoundError."""
    return client.jobs().find(id_of(client, reference))


def job_as_of(client: Client, reference: str, at: int | datetime | None) -> Job | PastJob:
    """Return the job that is meant as it was at a moment; as it is for None. `latest` is the newest one of then.

    Errors: as `job_of`; NotFoundError for a moment at which there was no such job.
    """
    if at is None:
        return job_of(client, reference)
    return client.jobs().find(id_of(client, reference, at), at=at)


def id_of(client: Client, reference: str, at: int | datetime | None = None) -> str:
    """Return the id of the job that is meant; whether there is a job of that id is not looked at.

    Errors: ArgumentError for what names none; NotFoundError if no job is the latest of those meant.
    """
    if reference == _LATEST or reference.startswith(f"{_LATEST}:"):
        return _latest(client, reference.partition(":")[2], at)
    try:
        return str(UUID(reference))
    except ValueError:
        pass
    part, slash, number = reference.rpartition("/")
    if slash and number.isdecimal() and _is_job(part):
        raise ArgumentError(f"{reference!r:.100} is a task, and a job is needed here: leave out /{number}")
    raise ArgumentError(f"{reference!r:.100} is not the id of a job: {_FORMS}")


def target_of(client: Client, reference: str) -> Target:
    """Return the job that is meant, or the task where a number follows. Errors: as `id_of`."""
    part, slash, number = reference.rpartition("/")
    if slash and number.isascii() and number.isdecimal() and len(number) < 10 and _is_job(part):
        return Target(id_of(client, part), int(number))
    return Target(id_of(client, reference))


def _is_job(text: str) -> bool:
    if text == _LATEST or text.startswith(f"{_LATEST}:"):
        return True
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _latest(client: Client, name: str, at: int | datetime | None) -> str:
    found = client.jobs().rows(name=name or None, limit=1, at=at)
    if not found:
        which = f"whose name contains {name!r}" if name else "in this log"
        if at is not None:
            from jobledger.projections.moments import Moment

            raise NotFoundError(f"there was no job {which} at {Moment.of(at)}")
        raise NotFoundError(f"there is no job {which}: `jobledger job list` shows which there are")
    output.say(f"jobledger: the latest one is {found[0].name!r}, {found[0].id}")
    return found[0].id

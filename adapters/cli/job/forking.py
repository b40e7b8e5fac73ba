"""Forking a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from jobledger.core.errors import ArgumentError

from .. import output as out
from ..connection import HERE, Connection
from ..output import Output
from ..references import JobReference, id_of
from ..selection import labels_from
from ..times import At, Future, Seconds

if TYPE_CHECKING:
    from jobledger.core.task import Task

    from ...client.client import Client

_GROUP = Group("The new job", sort_key=50)


def fork(
    job: JobReference,
    /,
    *,
    at: Annotated[
        At | None,
        Parameter(help="Fork it as it was then: a position of the log, or a time; default: as it is now."),
    ] = None,
    input: Annotated[  # noqa: A002
        list[str] | None,
        Parameter(
            name=["--input", "-i"],
            help="Another input for a task, by its number: JSON as `job tasks -o json` shows it. @FILE reads a file. May be "
            "repeated.",
            metavar="TASK=JSON",
        ),
    ] = None,
    code: Annotated[
        list[str] | None,
        Parameter(
            help="Check the new inputs by task classes: module:Class, or a module of them. May be repeated.",
            metavar="MODULE:CLASS",
        ),
    ] = None,
    requeue_running: Annotated[
        bool, Parameter(help="What was running then runs in the new job from its beginning.")
    ] = False,
    name: Annotated[
        str | None, Parameter(group=_GROUP, help="Its name; default: that of the old job.")
    ] = None,
    label: Annotated[
        list[str] | None,
        Parameter(
            group=_GROUP,
            help="KEY=VALUE; may be repeated; default: the labels of the old job.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    key: Annotated[
        str | None, Parameter(group=_GROUP, help="Idempotency key: forked again with it, it is the same job.")
    ] = None,
    deadline: Annotated[
        Future | None,
        Parameter(group=_GROUP, help="It fails if it is not over then: a time, or how long from now."),
    ] = None,
    on_failure: Annotated[
        Literal["halt", "continue"] | None,
        Parameter(
            group=_GROUP, help="What the failure of a task does to the job; default: as in the old job."
        ),
    ] = None,
    wait: Annotated[
        bool, Parameter(help="Wait until it is settled; exit codes as those of `job wait`.")
    ] = False,
    timeout: Annotated[Seconds | None, Parameter(help="How long to --wait at most.")] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Start a new job that goes on where an old one was, and print its id.

    What is computed is kept and does not run again. A task with another input runs again, and so does what depends on it.
    """
    if timeout is not None and not wait:
        raise ArgumentError("--timeout is how long to wait: it goes with --wait")
    given = _inputs(input or [])
    if code and not given:
        raise ArgumentError("--code checks new inputs: it goes with --input")
    with server.client() as client:
        job_id = id_of(client, job)
        tasks: dict[Any, Any] = _checked(client, job_id, given, code) if code else given
        forked = client.jobs().fork(
            job_id,
            at=at,
            tasks=tasks,
            name=name,
            labels=labels_from(label),
            idempotency_key=key,
            deadline=deadline,
            on_failure=on_failure,
            requeue_running=requeue_running,
        )
        if output == "table":
            out.line(str(forked.id))
        else:
            kept = sum(1 for task in forked.tasks if task.origin)
            out.facts(
                {
                    "id": forked.id,
                    "name": forked.name,
                    "origin": job_id,
                    "tasks": len(forked.tasks),
                    "kept": kept,
                },
                output,
            )
        if not wait:
            return 0
        from .following import settled

        return settled(forked, timeout)


def _inputs(given: list[str]) -> dict[int, Any]:
    """Return the new inputs by the number of the task. Errors: ArgumentError."""
    import msgspec

    from jobledger.core.undecodable import UNDECODABLE

    from .submitting import read_text

    inputs: dict[int, Any] = {}
    for one in given:
        number, equals, text = one.partition("=")
        if not equals or not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise ArgumentError(
                f"--input {one!r:.100} names no task: write TASK=JSON with the number of the task, such as "
                "--input 3='\"path\"'"
            )
        if int(number) in inputs:
            raise ArgumentError(f"--input {number}=… is given twice: a task has one input")
        data = read_text(text) or b""
        try:
            inputs[int(number)] = msgspec.json.decode(data)
        except UNDECODABLE as error:
            raise ArgumentError(
                f"--input {one!r:.100} is not JSON: {error}. Text stands in double quotes there, and the whole in single "
                "quotes for the shell"
            ) from None
    return inputs


def _checked(client: Client, job_id: str, given: dict[int, Any], paths: list[str]) -> dict[int, Task]:
    """Return tasks with the new inputs. Errors: ArgumentError (InputError where one does not fit)."""
    import msgspec

    from jobledger.core.inputs import InputError, decode_input
    from jobledger.core.task import identifier_of

    from ..loading import classes_from

    known = {identifier_of(cls).name: cls for path in paths for cls in classes_from(path)}
    tasks = client.jobs().find(job_id).tasks
    checked: dict[int, Task] = {}
    for number, data in given.items():
        if number >= len(tasks):
            raise ArgumentError(f"--input {number}=…: job {job_id} has {len(tasks):,} tasks, from 0")
        cls = known.get(tasks[number].name)
        if cls is None:
            raise ArgumentError(
                f"--input {number}=…: task {number} is a {tasks[number].name}, and --code has {', '.join(sorted(known))}"
            )
        try:
            checked[number] = decode_input(cls, msgspec.json.encode(data))
        except InputError as error:
            raise InputError(
                f"--input {number}=…: {identifier_of(cls)} does not take it: {error.__cause__}. Write JSON that fits its "
                "fields"
            ) from error
    return checked

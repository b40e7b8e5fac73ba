"""Submitting a job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from jobledger.core.errors import ArgumentError

from .. import output as out
from ..connection import HERE, Connection
from ..output import Output
from ..selection import labels_from
from ..times import Future, Seconds

_POLICY = Group("How it runs", sort_key=50)
_NOT_NEGATIVE = Number(gte=0)


def submit(
    task: Annotated[
        str,
        Parameter(
            help="module:Class, imported from where you are; or the name of a task whose code is elsewhere."
        ),
    ],
    /,
    *,
    input: Annotated[  # noqa: A002
        str | None,
        Parameter(
            name=["--input", "-i"],
            help="JSON: an object of the fields. @FILE reads a file, - reads stdin. Of a task whose code is elsewhere it "
            "travels as it is: the bare value where the task has one field.",
            metavar="JSON",
            allow_leading_hyphen=True,
        ),
    ] = None,
    name: Annotated[str | None, Parameter(help="Name of the job; default: that of the task.")] = None,
    version: Annotated[
        str | None, Parameter(help="Version of a task whose code is elsewhere, such as v1.2; default: v0.0.")
    ] = None,
    cluster: Annotated[str | None, Parameter(help="Which runners may take it; default: default.")] = None,
    label: Annotated[
        list[str] | None, Parameter(help="KEY=VALUE; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    key: Annotated[
        str | None, Parameter(help="Idempotency key: submitted again with it, it is the same job.")
    ] = None,
    deadline: Annotated[
        Future | None,
        Parameter(group=_POLICY, help="It fails if it is not over then: a time, or how long from now."),
    ] = None,
    start: Annotated[
        Future | None, Parameter(group=_POLICY, help="Not to run before: a time, or how long from now.")
    ] = None,
    priority: Annotated[
        int | None,
        Parameter(
            group=_POLICY, help="Larger ones run first; default: 0, or as its class says.", metavar="N"
        ),
    ] = None,
    max_retries: Annotated[
        int,
        Parameter(
            group=_POLICY,
            help="How many failed attempts are tried again; default: 0, or as its class says.",
            validator=_NOT_NEGATIVE,
            metavar="N",
        ),
    ] = 0,
    retry_delay: Annotated[
        Seconds | None, Parameter(group=_POLICY, help="Pause before each of them; with --max-retries.")
    ] = None,
    task_timeout: Annotated[
        Seconds | None, Parameter(group=_POLICY, help="How long an attempt of the task may run.")
    ] = None,
    on_failure: Annotated[
        Literal["halt", "continue"] | None,
        Parameter(group=_POLICY, help="What the failure of a task does to the job; default: halt."),
    ] = None,
    reuse: Annotated[
        bool,
        Parameter(group=_POLICY, help="Take the result of an earlier success of the same code and input."),
    ] = False,
    force: Annotated[bool, Parameter(group=_POLICY, help="Reuse nothing, in the whole job.")] = False,
    encrypt: Annotated[
        bool,
        Parameter(
            help="Encrypt its inputs, results and errors with a key that is destroyed with `job delete`."
        ),
    ] = False,
    wait: Annotated[
        bool, Parameter(help="Wait until it is settled; exit codes as those of `job wait`.")
    ] = False,
    timeout: Annotated[Seconds | None, Parameter(help="How long to --wait at most.")] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Submit a job and print its id.

    The input of a `module:Class` is checked by the types of its fields before anything is sent.
    """
    from ..loading import task_from

    if timeout is not None and not wait:
        raise ArgumentError("--timeout is how long to wait: it goes with --wait")
    root = task_from(task, read_text(input), version)
    policy = _policy(start, priority, max_retries, retry_delay, task_timeout, on_failure, reuse)
    with server.client() as client:
        job = client.jobs().submit(
            type(root).identifier()[0] if name is None else name,
            root,
            cluster,
            max_retries,
            labels=labels_from(label),
            idempotency_key=key,
            deadline=deadline,
            force=force,
            encrypt=encrypt or None,
            **policy,
        )
        if output == "table":
            out.line(str(job.id))
        else:
            out.facts({"id": job.id, "name": job.name}, output)
        if not wait:
            return 0
        from .following import settled

        return settled(job, timeout)


def read_text(given: str | None) -> bytes | None:
    """Return the JSON text that is meant, None for none. Errors: ArgumentError for a file that cannot be read."""
    if given is None:
        return None
    if given == "-":
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return given.encode("utf-8", "surrogateescape")
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise ArgumentError(
            f"--input {given}: cannot be read ({error.strerror}): name a file with JSON in it"
        ) from error


def _policy(
    start: Any,
    priority: int | None,
    max_retries: int,
    retry_delay: float | None,
    task_timeout: float | None,
    on_failure: Any,
    reuse: bool,
) -> Any:
    """Return what is asked for: what is not, is as the class of the task says."""
    from jobledger.core.options import Retry

    if retry_delay is not None and not max_retries:
        raise ArgumentError(
            "--retry-delay is the pause before a retry: say how many there may be by --max-retries"
        )
    asked = {
        "start": start,
        "priority": priority,
        "retry": None if retry_delay is None else Retry(max_retries, delay=retry_delay),
        "timeout": task_timeout,
        "on_failure": on_failure,
        "reuse": reuse or None,
    }
    return {word: value for word, value in asked.items() if value is not None}

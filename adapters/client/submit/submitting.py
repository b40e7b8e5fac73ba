"""Submitting a job."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from jobledger.core.commands import Request, SubmitJob
from jobledger.core.errors import ArgumentError, ErasedError, JobLedgerError, ServerUnavailable
from jobledger.core.options import PolicyOptions

from ..arguments import When, flag
from ..clusters import require
from ..read.reading import Reading
from ..requests import do
from ..results import refer_inputs
from .submission import Clusters, Tasks, submit_command

if TYPE_CHECKING:
    from ...protocol import Done
    from ...sealing.seal import Seal
    from ..session import Session

#: What a message may grow by on its way: the commit around the event, its headers, and the answer that hands the
#: task to a runner.
ENVELOPE = 4096
#: bytes of a submission that travels as it is: there is no large input in it
_SMALL = 32 * 1024


def submit(
    session: Session,
    name: str,
    root_task_or_tasks: Tasks,
    cluster: Clusters = None,
    max_retries: int = 0,
    *,
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    deadline: When | None = None,
    force: bool = False,
    encrypt: bool | None = None,
    **policy: Unpack[PolicyOptions],
) -> Coroutine[Any, Any, Reading]:
    """Submit a job and return it: it is in the log, and its tasks wait for a runner. Many at once: `submit_many`.

    Shape:  one root task, or several that may run side by side. `cluster` says which runners may take them (None: the
            default cluster); for several tasks also a list, one for each. `max_retries` is how many failed attempts of
            each are tried again. `labels` are up to 64 words of yours by which jobs can be found. `force` runs also
            those tasks whose results could be reused. `encrypt` seals the job: its inputs, results and error texts are
            encrypted with a key of its own, which is destroyed when the job is deleted (None: as the client was told). The
            other options are those of `PolicyOptions`, for the root
            tasks; `on_failure` is also what the job does where a task has no such option.
            A job that is submitted again with the same `idempotency_key` is the same job, once and for all: nothing
            new is started, and the first one is returned.
    Units:  `deadline` is when the job fails if it is not over by then: an aware datetime, or seconds from now.
    Errors: ArgumentError for each of these, for an `idempotency_key` under which something else was submitted, and for
            more root tasks than fit a message of the server; NotFoundError for a cluster there is not; InputError (an
            ArgumentError and a TypeError) for what is no task, or has an input that does not fit its fields. Nothing is
            started in these cases.

    >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")], max_retries=2, labels={"tone": "kind"})
    >>> job.state
    <JobState.SUBMITTED: 1>
    >>> first = client.jobs().submit("greetings", Greet("world"), idempotency_key="greetings of today")
    >>> client.jobs().submit("greetings", Greet("world"), idempotency_key="greetings of today") == first
    True
    >>> client.jobs().submit("greetings", Greet("Ada Lovelace"), encrypt=True).tasks[0].input_json
    'Ada Lovelace'
    """
    command = submit_command(
        session.names.namespace,
        name,
        root_task_or_tasks,
        cluster,
        max_retries,
        labels=labels,
        idempotency_key=idempotency_key,
        deadline=deadline,
        force=force,
        policy=policy,
        now=session.now(),
    )
    sealed = session.sealing.encrypt if encrypt is None else flag("encrypt", encrypt)
    return submitted(session, command, sealed)


async def submitted(session: Session, command: SubmitJob, sealed: bool) -> Reading:
    """Have a job submitted, and return it. Errors: as `submit`."""
    for spec in command.tasks.specs:
        await require(session, spec.cluster)
    if sealed:
        done = await submit_sealed(session, command)
    else:
        done = await do(session, await fitted(session, command))
    return Reading(session, command.job_id, name=command.name, at_least=done.version)


async def submit_sealed(session: Session, command: SubmitJob) -> Done:
    """Have the job submitted, sealed with a key of its own. Errors: as `submit`."""
    job_id, keyring = command.job_id, session.keyring
    keyed = command.options is not None and command.options.key != ""
    try:
        seal = await keyring.create(job_id)
    except ErasedError as error:
        raise ArgumentError(
            f"idempotency_key={command.options.key if command.options else ''!r} belongs to job {job_id}, which was "
            "deleted: pass another key"
        ) from error
    try:
        return await do(session, await fitted(session, command, seal))
    except ServerUnavailable:
        raise  # it may have been submitted
    except JobLedgerError:
        if not keyed:  # nobody else knows the id; a job of an earlier submission may have the key
            await keyring.destroy(job_id, seal.key)
        raise


async def fitted(session: Session, command: SubmitJob, seal: Seal | None = None) -> SubmitJob:
    """Return the command as it fits a message, with large inputs in the object store, and sealed if it is to be.

    Errors: ArgumentError if it does not even so; as `refer_inputs`.
    """
    from ...protocol import encode

    if seal is None and len(encode(command)) <= min(_SMALL, await session.max_payload() // 2):
        return command
    command = await refer_inputs(session, command, seal)
    if seal is not None:
        command = seal.submitted(command)
    check_size(command, len(command.tasks), await session.max_payload())
    return command


def check_size(command: Request, roots: int, limit: int) -> None:
    """Raise ArgumentError if the command does not fit a message of the server."""
    from ...protocol import encode

    size = len(encode(command)) + ENVELOPE
    if size <= limit:
        return
    raise ArgumentError(
        f"the {roots:,} root tasks take {size:,} bytes together; this server takes messages of {limit:,} "
        "bytes. Nothing was submitted. Let one root task submit the others as subtasks, or raise max_payload of the "
        "server"
    )

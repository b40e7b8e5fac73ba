"""Large values on their way between a client and the object store: inputs before they are submitted, results to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from jobledger.core.commands import ForkJob, SubmitJob
from jobledger.core.results import read_result
from jobledger.projections.sealed import OBJECT

if TYPE_CHECKING:
    from jobledger.core.events import Value

    from ..sealing.seal import Seal
    from .session import Session

C = TypeVar("C", SubmitJob, ForkJob)

#: bytes of a message that are kept free of inputs, for the options of the job and the answer that hands a task out
_KEPT_FREE = 64 * 1024


async def read_value(
    session: Session,
    value: Value | None,
    as_type: Any = Any,
    *,
    whose: str = "the task",
    opened: Callable[[bytes], bytes] = lambda data: data,
) -> Any:
    """Return what a task returned; None where it returned nothing.

    Shape:  as JSON has it, unless `as_type` says what it was. `whose` it is, is said in errors; `opened` makes what an
            object holds readable.
    Errors: NotFoundError if a large value is not in the object store any more; ArgumentError for a type that JSON
            cannot carry, ResultError (an ArgumentError and a TypeError) for a value that is not of it;
            ServerUnavailable.
    """
    if value is None:
        return None
    if not value.object:
        return read_result(value.data, as_type, whose=whose)
    return read_result(opened(await session.read_object(value.object)), as_type, whose=whose)


async def refer_inputs(session: Session, command: C, seal: Seal | None = None) -> C:
    """Return the command with its large inputs in the object store, sealed if they are to be, and their names in place of
    them.

    Errors: ArgumentError for more than 1 GiB; ObjectRefused where the server has no room; ServerUnavailable.
    """
    if not session.has_objects:
        return command
    from .. import objects
    from ..by_reference import refer_inputs as referred

    async def store(data: bytes) -> str:
        if seal is not None:
            data = await asyncio.to_thread(seal.sealed, data, OBJECT)
        link = await session.link()
        return await link.work(
            lambda client: objects.put(client, session.names, command.job_id, data), patience=session.patience
        )

    room = await session.max_payload() - _KEPT_FREE
    if seal is not None:
        room -= seal.overhead * len(command.tasks)
    tasks = await referred(command.tasks, room, store)
    return command if tasks is command.tasks else msgspec.structs.replace(command, tasks=tasks)

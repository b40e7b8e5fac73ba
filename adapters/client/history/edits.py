"""Other inputs for the tasks of a job: what users pass in, checked as it is when tasks are submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from jobledger.core.errors import ArgumentError
from jobledger.core.task import InputError, Task, encode_input, identifier_of
from jobledger.projections.forking import Edit
from jobledger.projections.job_view import JobView
from jobledger.projections.task_view import TaskView

if TYPE_CHECKING:
    from ..session import Session


async def edits_of(session: Session, view: JobView, given: Any, job_id: str) -> dict[int, Edit]:
    """Return the edits by the number of the task; large inputs are objects of the job with this id then.

    Errors: ArgumentError for what names no task, and for a task of another name; InputError (an ArgumentError and a
            TypeError) for an input that does not fit; as `objects.put`.
    """
    return {number: await _referred(session, edit, job_id) for number, edit in _edits(view, given).items()}


def _edits(view: JobView, given: Any) -> dict[int, Edit]:
    """Return the edits, by the number of the task. Errors: ArgumentError; InputError."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"tasks={given!r:.100} is no dict: pass new inputs by task number, such as {{3: Crop(80)}}"
        )
    edits = {}
    for key, value in given.items():
        number = _number(view, key)
        if 0 <= number < len(view.job.graph):
            edits[number] = _edit(view, number, value)
        else:
            edits[number] = Edit(view.job.specs[0], b"")  # the plan says what is wrong with it
    return edits


def _number(view: JobView, key: Any) -> int:
    if isinstance(key, TaskView):
        job_id, _, number = key.id.rpartition("/")
        if job_id != view.job.id:
            raise ArgumentError(
                f"tasks[{key!r}] is a task of job {job_id}, and job {view.job.id} is to be forked"
            )
        return int(number)
    if isinstance(key, bool) or not isinstance(key, int):
        raise ArgumentError(f"tasks[{key!r:.100}] names no task: pass a task of the job, or its number")
    return key


def _edit(view: JobView, number: int, value: Any) -> Edit:
    spec = view.job.spec_of(number)
    if isinstance(value, type) and issubclass(value, Task):
        raise InputError(
            f"tasks[{number}] is the class {value.__name__}: pass an instance, {value.__name__}(…)"
        )
    if not isinstance(value, Task):
        return Edit(spec, _json(view, number, value))
    identifier = identifier_of(value)
    if identifier.name != spec.name:
        raise ArgumentError(
            f"tasks[{number}] is a {identifier.name}, and task {number} of job {view.job.id} is a {spec.name}: pass a "
            f"{spec.name} with another input"
        )
    try:
        data = encode_input(value)
    except InputError as error:
        raise InputError(f"tasks[{number}]: {error}") from error
    return Edit(msgspec.structs.replace(spec, major=identifier.major, minor=identifier.minor), data)


def _json(view: JobView, number: int, value: Any) -> bytes:
    """Return JSON data as an input. Errors: InputError for what is none, or goes with no task of this kind."""
    if not view.job.inputs[number]:
        if value is None:
            return b""
        raise InputError(
            f"tasks[{number}]={value!r:.100}: task {number} is a {view.tasks[number].name}, which has no input"
        )
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"tasks[{number}]={value!r:.100} is no JSON data, and no task: {error}") from error


async def _referred(session: Session, edit: Edit, job_id: str) -> Edit:
    """Return the edit with a large input in the object store."""
    from ... import objects
    from ...by_reference import INLINE_INPUT, check_size

    check_size("the new input of a task", len(edit.input))
    if len(edit.input) <= INLINE_INPUT or not session.has_objects:
        return edit
    link = await session.link()
    name = await link.work(
        lambda client: objects.put(client, session.names, job_id, edit.input), patience=session.patience
    )
    return edit._replace(input=name.encode(), object=True)

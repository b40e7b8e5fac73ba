"""What a recorded history comes to with the code that is installed now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jobledger.core.errors import ArgumentError
from jobledger.core.task import Task, TaskClass

from .. import arguments
from ..arguments import JobOrId
from ..read.reading import Reading
from ..requests import not_found

if TYPE_CHECKING:
    from jobledger.projections.whatif import JobStates, WhatIf

    from ..session import Session


async def fold_again(
    session: Session,
    job_or_id: JobOrId,
    tasks: Iterable[TaskClass] | None = None,
    saved: JobStates | None = None,
) -> WhatIf:
    """Fold the history of a job with the code that is installed now, and return what is not as it was recorded.

    Every commit says whether the job was settled after it, and events say how it ended: both are compared with what comes
    of folding them now. Each report and each command of a user is decided again, and compared with what was written.

    Shape:  with `tasks`, the task classes there are now, also which recorded tasks have no code any more, whose inputs do
            not fit, and whose declared policy would have led elsewhere. `saved` are the `states` that the same question
            gave earlier, perhaps with another version of this library: they are compared task by task, as of that commit.
    Errors: NotFoundError; ArgumentError.

    >>> client.jobs().what_if(job).divergences
    []
    >>> class Greet(Task, timeout=0.001):
    ...     name: str
    ...
    ...     @staticmethod
    ...     def identifier() -> tuple[str, str]:
    ...         return "Greet", "v1.0"
    >>> for one in client.jobs().what_if(job, tasks=[Greet]).divergences:
    ...     print(one.kind.value, "-", one.text)
    no code - task 0 (Greet): no class runs Greet v0.0, only Greet v1.0
    """
    # Here: who only submits jobs need not load what decides.
    from jobledger.projections.whatif import JobStates, what_if

    job_id = arguments.job_id(job_or_id)
    classes = None if tasks is None else _classes(tasks)
    if saved is not None and not isinstance(saved, JobStates):
        raise ArgumentError(f"saved={saved!r:.100} are no states: pass those that what_if gave before")
    commits = await session.read(job_id)
    if not commits:
        raise not_found(job_id)
    view = Reading(session, job_id).view
    # on a thread: a long history takes seconds, and large inputs are fetched by the loop
    return await asyncio.to_thread(what_if, view, commits, classes=classes, saved=saved)


def _classes(given: Any) -> list[type[Task]]:
    classes = list(given) if isinstance(given, Iterable) else [given]
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, Task)):
            raise ArgumentError(
                f"tasks has {one!r:.100}, which is no task class: pass classes, such as tasks=[Load]"
            )
    return classes

"""Submitting many jobs and waiting for many: what `submit` and `wait` do, with hundreds of requests under way at a time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from jobledger.core.commands import SubmitJob
from jobledger.core.errors import ArgumentError, JobLedgerError, NotAllSubmitted, ServerUnavailable
from jobledger.core.lifecycle import JobState
from jobledger.core.options import PolicyOptions

from .. import arguments
from ..arguments import JobOrId, When
from ..follow import following
from ..pipelining import pipelined
from ..read.facts import JobFacts
from ..read.reading import Reading
from .submission import Clusters, Tasks, submit_command
from .submitting import submitted

if TYPE_CHECKING:
    from ..session import Session

#: Requests under way at a time. The log takes thousands of appends a second, each some ms after it was asked for.
_AT_ONCE = 256
#: bytes of inputs under way at a time, about: the server keeps them, and so does the engine
_ROOM = 16 * 1024 * 1024


class NewJob:
    """A job to be submitted together with others. The arguments are those of `JobClient.submit`.

    >>> NewJob("greetings", Greet("world"), idempotency_key="greetings of today")
    NewJob('greetings', Greet(name='world'), idempotency_key='greetings of today')
    """

    __slots__ = ("_encrypt", "_name", "_options", "_policy", "_tasks")

    def __init__(
        self,
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
    ) -> None:
        self._name = name
        self._tasks = root_task_or_tasks
        self._options: dict[str, Any] = {
            "cluster": cluster,
            "max_retries": max_retries,
            "labels": labels,
            "idempotency_key": idempotency_key,
            "deadline": deadline,
            "force": force,
        }
        self._encrypt = encrypt
        self._policy = policy

    def __repr__(self) -> str:
        given = {name: value for name, value in self._options.items() if value} | self._policy
        if self._encrypt is not None:
            given["encrypt"] = self._encrypt
        options = "".join(f", {name}={value!r}" for name, value in given.items())
        return f"NewJob({self._name!r}, {self._tasks!r}{options})"

    def _command(self, namespace: str, now: int) -> SubmitJob:
        return submit_command(
            namespace, self._name, self._tasks, **self._options, policy=self._policy, now=now
        )


class _Asked(NamedTuple):
    command: SubmitJob
    sealed: bool


def submit_many(session: Session, jobs: Iterable[NewJob]) -> Coroutine[Any, Any, list[Reading]]:
    """Submit jobs that do not depend on each other, and return them, in this order: all of them are in the log.

    Each is submitted as `submit` does it, only many at a time: a job by itself, durable by itself. All of them are checked
    first. Of a million, submit some thousands at a time: what is to be submitted is kept in memory.

    Errors: ArgumentError, InputError: as `submit`, naming the place of the job; nothing was submitted then.
            NotAllSubmitted, with an error for each job that was refused, or that nobody has answered for; the others are
            submitted. With an `idempotency_key` for each, all can be submitted again, and none is there twice.

    >>> names = ["Ada", "Grace", "Edsger"]
    >>> jobs = client.jobs().submit_many(NewJob("greetings", Greet(name)) for name in names)
    >>> [job.state.name for job in jobs]
    ['SUBMITTED', 'SUBMITTED', 'SUBMITTED']
    """
    return _submit_many(session, [_asked(session, place, job) for place, job in enumerate(jobs)])


def _asked(session: Session, place: int, job: Any) -> _Asked:
    if not isinstance(job, NewJob):
        raise ArgumentError(f"jobs[{place}] is {job!r:.100}, a {type(job).__name__}: pass a NewJob for each")
    try:
        command = job._command(session.names.namespace, session.now())
        sealed = session.sealing.encrypt if job._encrypt is None else arguments.flag("encrypt", job._encrypt)
    except ArgumentError as error:
        raise type(error)(f"jobs[{place}]: {error}") from error
    return _Asked(command, sealed)


async def _submit_many(session: Session, asked: Sequence[_Asked]) -> list[Reading]:
    away: ServerUnavailable | None = None

    async def submit(one: _Asked) -> Reading | JobLedgerError:
        nonlocal away
        if away is not None:  # the others need not find out one by one
            return away
        try:
            return await submitted(session, one.command, one.sealed)
        except ServerUnavailable as error:
            away = error
            return error
        except JobLedgerError as error:
            return error

    largest = max((sum(map(len, one.command.tasks.inputs)) for one in asked), default=0)
    found = await pipelined(asked, submit, min(_AT_ONCE, _ROOM // (largest + 1) + 1))
    readings = [one for one in found if isinstance(one, Reading)]
    if len(readings) < len(asked):
        raise _not_all(asked, found)
    return readings


def _not_all(asked: Sequence[_Asked], found: Sequence[Reading | JobLedgerError]) -> NotAllSubmitted:
    errors = {place: one for place, one in enumerate(found) if isinstance(one, JobLedgerError)}
    place, first = next(iter(errors.items()))
    return NotAllSubmitted(
        f"{len(errors):,} of {len(asked):,} jobs were not submitted, the first at place {place} "
        f"({asked[place].command.name!r}): {first}. The others are: see job_ids",
        job_ids=[None if isinstance(one, JobLedgerError) else one.job_id for one in found],
        errors=errors,
    )


def wait_all(
    session: Session,
    jobs: Iterable[JobOrId],
    timeout: float | None = None,
    *,
    raise_on_failure: bool = True,
    raise_on_cancel: bool | None = None,
) -> Coroutine[Any, Any, list[Reading]]:
    """Return these jobs, in this order, once all of them are settled: told by the engine, as `Job.wait`.

    Arguments are those of `Job.wait`.
    Errors: JobFailed or JobCanceled for the first of them that did, once all are settled; its notes count the others.
            TimeoutError (the builtin one), saying how many are not settled; NotFoundError; ServerUnavailable when nobody
            answers for five minutes; ArgumentError.

    >>> jobs = client.jobs().submit_many([NewJob("greetings", Greet(name)) for name in ("Ada", "Grace")])
    >>> client.runner(tasks=[Greet]).run_all()
    >>> [job.state.name for job in client.jobs().wait_all(jobs, timeout=60)]
    ['COMPLETED', 'COMPLETED']
    """
    if isinstance(jobs, str | JobFacts):
        raise ArgumentError(f"jobs={jobs!r:.100} is a single job: pass several, or use its wait()")
    readings = [_reading(session, job) for job in jobs]
    bad = following.raised(raise_on_failure, raise_on_cancel)
    return _wait_all(readings, arguments.seconds("timeout", timeout), bad)


def _reading(session: Session, job: JobOrId) -> Reading:
    job_id = arguments.job_id(job)
    if isinstance(job, JobFacts) and type(job._reading) is Reading and job._reading.session is session:
        return job._reading  # what it is told of here, the caller's object knows
    return Reading(session, job_id)


async def _wait_all(readings: list[Reading], timeout: float, bad: frozenset[JobState]) -> list[Reading]:
    until = time.monotonic() + timeout

    async def wait(reading: Reading) -> int:
        """Return the state it has settled in; 0 if it has not in time."""
        while True:  # one look is always taken
            left = max(0.0, until - time.monotonic())
            told = await following.news(reading, min(following.FOLLOW, left), settled=True)
            if told is not None:
                return told.state
            if not left:
                return 0

    try:
        async with asyncio.timeout(None if timeout == math.inf else timeout + following.ONE_LOOK):
            states = await pipelined(readings, wait, _AT_ONCE)
    except TimeoutError:
        raise TimeoutError(
            f"the engine has not said for all jobs within {timeout:g} s whether they are settled"
        ) from None
    if not all(states):
        raise TimeoutError(
            f"{states.count(0):,} of {len(readings):,} jobs are not settled after {timeout:g} s, the first of them "
            f"job {readings[states.index(0)].job_id}. They go on: wait again, or cancel them"
        )
    told = {state.value for state in (*bad, JobState.DELETED)}
    ended = [reading for reading, state in zip(readings, states, strict=True) if state in told]
    for reading in ended:
        error = following.failure(await reading.refresh(patience=following.PATIENCE), bad)
        if error is not None:
            error.add_note(f"{len(ended):,} of {len(readings):,} jobs have failed, or were canceled")
            raise error
    return readings

"""A client: it submits jobs of every shape, steps in, asks the same thing again, and waits until all is settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import msgspec

from jobledger.adapters import protocol as p
from jobledger.adapters.client.ids import new_id
from jobledger.adapters.client.session import Session
from jobledger.adapters.client.submit.submission import submit_command
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.core import commands as c
from jobledger.core.errors import ServerUnavailable
from jobledger.core.lifecycle import JobState

from .invariants import Invariants
from .shapes import root

#: seconds for which one answer is waited for, so that there are repetitions of everything
_TRY = 1.0
_BY = "client@simulation"


class Actor:
    """One client. What it asks for is drawn from `random` before it asks, whatever the answers will be.

    `jobs` are the ids of all jobs, of other clients too: they step in into each other's jobs, and begin anew after a crash
    where the one before them was.
    """

    def __init__(
        self,
        resolve: Callable[[], Endpoint],
        names: Names,
        invariants: Invariants,
        random: Random,
        plan: Plan,
    ) -> None:
        self._session = Session(resolve, names, name="client", patience=float("inf"))
        self._names = names
        self._invariants = invariants
        self._random = random
        self._plan = plan

    async def run(self) -> None:
        """Submit what is still to be submitted, one job after the other, and see each through."""
        plan = self._plan
        async with asyncio.TaskGroup() as group:
            for job_id in list(plan.open):
                group.create_task(self._see_through(job_id))
            while plan.unbegun:
                commands = plan.unbegun[: self._random.choice((1, 1, 3))]
                await asyncio.sleep(self._random.choice((0.0, 0.0, 0.05, 0.5)))
                await asyncio.gather(*map(self._submit, commands))
                for command in commands:
                    plan.began(command.job_id)
                    group.create_task(self._accompany(command.job_id))

    async def _submit(self, command: c.SubmitJob) -> None:
        other = msgspec.structs.replace(command, name="another")  # by the same key, that is refused
        match self._random.randrange(6):
            case 0:
                await asyncio.gather(self._ask(command), self._ask(command))
            case 1 if command.options is not None and command.options.key:
                await asyncio.gather(self._ask(command), self._ask(other))
            case _:
                await self._ask(command)
        if self._random.random() < 0.3:
            await self._ask(command)

    async def _accompany(self, job_id: str) -> None:
        """Step in now and then, and see to it that the job ends."""
        random = self._random
        for _ in range(random.choice((0, 0, 1))):
            await asyncio.sleep(random.choice((0.01, 0.1, 0.5)))
            command = self._intervention(job_id)
            if random.random() < 0.4:  # two in one breath
                await asyncio.gather(self._ask(command), self._ask(self._intervention(job_id)))
            else:
                await self._ask(command)
            if random.random() < 0.3:
                await self._ask(command)
        await self._see_through(job_id)

    def _intervention(self, job_id: str) -> c.Request:
        random = self._random
        grace = random.choice((-1, -1, 0, 500_000))
        task = random.randrange(4)
        request_id = new_id().hex
        return random.choice(
            (
                c.CancelJob(job_id, request_id, _BY, "", grace),
                c.CancelTask(job_id, request_id, task, _BY, "", grace),
                c.RetryJob(job_id, request_id, _BY),
                c.RetryJob(job_id, request_id, _BY, task),
            )
        )

    async def _see_through(self, job_id: str) -> None:
        """Wait until the job is settled; retry it, a few times, where it did not complete."""
        plan = self._plan
        settled = self._follow if self._random.random() < 0.5 else self._look_on
        while True:
            state = await settled(job_id)
            if state in (JobState.COMPLETED.value, JobState.DELETED.value) or not plan.may_retry(job_id):
                break
            await self._ask(c.RetryJob(job_id, new_id().hex, _BY))
        if self._random.random() < 0.1:
            await self._ask(c.DeleteJob(job_id, new_id().hex, _BY, "", force=True))
        plan.ended(job_id)

    async def _follow(self, job_id: str) -> int:
        """Return the state in which the job is settled."""
        while True:
            status = await self._ask(p.FollowJob(job_id, settled=True, wait=2.0))
            if isinstance(status, p.Refused):
                return JobState.DELETED.value
            assert isinstance(status, p.JobStatus)
            if status.settled:
                return status.state

    async def _look_on(self, job_id: str) -> int:
        """As `_follow`, as somebody who looks at a view: no engine is told that anybody waits."""
        while not (job := self._invariants.log.books[job_id].job).settled:
            await asyncio.sleep(0.3)
        return job.state

    async def _ask(self, command: p.CommandRequest) -> p.Answer:
        wait = command.wait if isinstance(command, p.FollowJob) else 0.0
        while True:
            try:
                answer = await self._session.ask(command, timeout=_TRY + wait)
            except ServerUnavailable:  # there was no server as it began
                await asyncio.sleep(0.5)
                continue
            self._invariants.answered(command, answer)
            if isinstance(answer, p.Refused) and answer.code == "log_full":
                await asyncio.sleep(0.5)
                continue
            return answer


class Plan:
    """What clients have to do in a run, and how far they are: what outlives each of them."""

    def __init__(self, random: Random, jobs: int, namespace: str) -> None:
        """To be made inside of the simulation: ids are drawn."""
        self.unbegun = [self._command(random, number, namespace) for number in range(jobs)]
        self.submitted: set[str] = set()
        self.open: dict[str, int] = {}  #: how often each may yet be retried
        self._random = random

    def _command(self, random: Random, number: int, namespace: str) -> c.SubmitJob:
        key = f"key {number}" if random.random() < 0.4 else None
        roots = [root(random) for _ in range(random.choice((1, 1, 2)))]
        on_failure = random.choice(("halt", "continue"))
        return submit_command(
            namespace,
            f"job {number}",
            roots,
            max_retries=random.choice((0, 4)),
            idempotency_key=key,
            deadline=random.choice((None, None, None, 4.0)),
            policy={"on_failure": "continue"} if on_failure == "continue" else None,
        )

    def began(self, job_id: str) -> None:
        """It is acknowledged that the job was submitted."""
        self.unbegun = [command for command in self.unbegun if command.job_id != job_id]
        if job_id not in self.submitted:
            self.submitted.add(job_id)
            self.open[job_id] = 1

    def may_retry(self, job_id: str) -> bool:
        left = self.open.get(job_id, 0)
        if left:
            self.open[job_id] = left - 1
        return left > 0

    def ended(self, job_id: str) -> None:
        self.open.pop(job_id, None)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be asked for."""
        return not self.unbegun and not self.open

"""What clients ask: submit, cancel, retry, delete, how a job stands, and what tasks returned."""

from __future__ import annotations

from collections.abc import Awaitable

from jobledger.core import ranges
from jobledger.core.commands import DeleteJob, ForkJob, SubmitJob, TakeOver
from jobledger.core.decisions import Refusal
from jobledger.core.decisions.refusal import check_task
from jobledger.core.errors import ServerUnavailable
from jobledger.core.events import Value
from jobledger.core.submission import NO_DEPENDENCIES

from .. import protocol as p
from ..nats.partitions import Partition
from ..nats.wire import Message
from .answers import Answer, answer_to, answer_with
from .ledger import Background, Ledger
from .live import LiveJob

_OVERHEAD = 80  # bytes of a result beside its value, rounded up


class Commands:
    """Answers requests on the `command` subject."""

    def __init__(self, ledger: Ledger, partition: Partition, requests: Background, *, room: int) -> None:
        """`room` is how many bytes of results an answer holds; a single result may be larger. What has to wait for
        more than the log's acknowledgement runs among the `requests`."""
        self._ledger = ledger
        self._requests = requests
        self._partition = partition
        self._room = room

    def handle(self, message: Message, answer: Answer) -> None:
        """Do what is asked, and `answer` once that is in the log. Errors: Refusal; ServerUnavailable; MsgspecError.

        What every job goes through, being submitted and waited for, is done within the call as far as it can be: see
        `Exchanges.handle`.
        """
        request = p.decode_command(message.data)
        if not self._partition.holds(request.job_id):
            raise ServerUnavailable(f"job {request.job_id} belongs to another partition of this log")
        if isinstance(request, SubmitJob):
            self._submit(request, answer)
        elif isinstance(request, p.FollowJob):
            self._follow(request, answer)
        else:
            self._run(self._intervene(request), answer)

    def _run(self, work: Awaitable[p.Reply], answer: Answer) -> None:
        self._requests.run(answer_with(work, answer))

    async def _intervene(self, request: p.CommandRequest) -> p.Reply:
        if isinstance(request, TakeOver | ForkJob):
            return await self._fork(request)
        live = await self._ledger.existing(request.job_id)
        try:
            if isinstance(request, p.ReadResults):
                return self._results(live, request)
            assert not isinstance(request, SubmitJob | p.FollowJob)
            self._ledger.apply(live, request)
            self._ledger.refresh(live)
            await live.written()
            if isinstance(request, DeleteJob):
                if live.job.erasing:
                    await self._ledger.erasures.erase(request.job_id)
                else:
                    await self._ledger.aftermath.remove(request.job_id)
            return p.Done(live.position, live.version, live.job.commands.get(request.command_id, 0))
        finally:
            if live.settled and not live.dead:  # it was read again only to be asked
                self._ledger.settle(live)

    def _submit(self, request: SubmitJob, answer: Answer) -> None:
        options = request.options
        if options is not None:
            self._ledger.erasures.check(request.job_id, options.sealed)
        live = self._ledger.jobs.get(request.job_id)
        if live is None and options is not None and options.key:
            self._run(self._submit_again(request), answer)  # whether it says the same has to be looked up
        elif live is None and (settled := self._ledger.jobs.settled_status(request.job_id)) is not None:
            answer(p.Done(settled.position, settled.version))  # sent again after its answer was lost
        else:
            submitted = self._submitted(request, live)
            submitted.when_written(
                lambda problem: answer(self._done(submitted) if problem is None else answer_to(problem))
            )

    async def _submit_again(self, request: SubmitJob) -> p.Reply:
        live = self._submitted(request, await self._ledger.find(request.job_id))
        await live.written()
        return self._done(live)

    def _submitted(self, request: SubmitJob, live: LiveJob | None) -> LiveJob:
        """Have the job submitted. Errors: Refusal; nothing of it then stays in memory."""
        ledger = self._ledger
        live = live or ledger.jobs.create(request.job_id)
        try:
            ledger.apply(live, request)
        except Refusal:
            if live.settled:
                ledger.settle(live)
            elif not live.version:
                ledger.jobs.forget(live)
            raise
        ledger.refresh(live)
        return live

    def _done(self, live: LiveJob) -> p.Done:
        if live.settled and not live.dead:
            self._ledger.settle(live)
        return p.Done(live.position, live.version)

    async def _fork(self, request: TakeOver | ForkJob) -> p.Reply:
        # Parts of it may be in the log, written by an engine or a client that has gone.
        live = await self._ledger.find(request.job_id) or self._ledger.jobs.create(request.job_id)
        try:
            self._ledger.apply(live, request)
            self._ledger.refresh(live)
            await live.written()
            return p.Done(live.position, live.version)
        finally:
            if not live.version and not live.decided:
                self._ledger.jobs.forget(live)
            elif live.settled and not live.dead:
                self._ledger.settle(live)

    def _results(self, live: LiveJob, request: p.ReadResults) -> p.Reply:
        job = live.job
        check_task(job, request.task)
        index = job.graph.dependencies[request.task]
        members = [] if index == NO_DEPENDENCIES else job.graph.members[index]
        values: list[tuple[int, Value | None]] = []
        room = self._room
        for task in ranges.numbers(members):
            if task <= request.after:
                continue
            value = job.results.get(task)
            room -= _OVERHEAD + (len(value.data) if value else 0)
            if room < 0 and values:
                return p.Results(values, complete=False)
            values.append((task, value))
        return p.Results(values)

    def _follow(self, request: p.FollowJob, answer: Answer) -> None:
        status = self._ledger.jobs.settled_status(request.job_id)
        live = self._ledger.jobs.get(request.job_id)
        if status is None and live is not None and live.version and live.job.state:
            status = self._status(live)
        if status is None:
            self._run(self._find_status(request), lambda reply: self._tell(request, reply, answer))
        else:
            self._tell(request, status, answer)

    def _tell(self, request: p.FollowJob, reply: p.Reply, answer: Answer) -> None:
        """Answer with this status, or with the next one that is news."""
        if isinstance(reply, p.JobStatus) and not request.is_news(reply):
            self._ledger.followers.hold(request, reply, answer)
        else:
            answer(reply)

    async def _find_status(self, request: p.FollowJob) -> p.Reply:
        live = await self._ledger.existing(request.job_id)
        if not live.version:
            await live.written()
        return self._status(live)

    def _status(self, live: LiveJob) -> p.JobStatus:
        return self._ledger.settle(live) if live.settled else live.status

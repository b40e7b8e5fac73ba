"""What clients ask: submit, cancel, retry, delete, and how a job stands."""

from __future__ import annotations

from collections.abc import Awaitable

from jobledger.core.commands import DeleteJob, ForkJob, RetryJob, SubmitJob, TakeOver
from jobledger.core.decisions import Refusal
from jobledger.core.errors import ServerUnavailable

from ... import protocol as p
from ...nats.partitions import Partition
from ...nats.wire import Message
from ..answers import Answer, answer_to, answer_with
from ..ledger import Background, Ledger
from ..live import LiveJob


class Commands:
    """Answers requests on the `command` subject."""

    def __init__(self, ledger: Ledger, partition: Partition, requests: Background) -> None:
        """What has to wait for more than the log's acknowledgement runs among the `requests`."""
        self._ledger = ledger
        self._requests = requests
        self._partition = partition

    def handle(self, message: Message, answer: Answer) -> None:
        """Do what is asked, and `answer` once that is in the log. Errors: Refusal; ServerUnavailable; MsgspecError.

        What every job goes through, being submitted and waited for, is done within the call as far as it can be: see
        `Exchanges.handle`.
        """
        request = p.decode_command(message.data)
        if not self._partition.holds(request.job_id):
            raise ServerUnavailable(f"job {request.job_id} belongs to another partition of this log")
        if isinstance(request, SubmitJob):
            self._submit(request, answer, len(message.data))
        elif isinstance(request, p.FollowJob):
            self._follow(request, answer)
        else:
            self._run(self._intervene(request, len(message.data)), answer)

    def _run(self, work: Awaitable[p.Reply], answer: Answer) -> None:
        self._requests.run(answer_with(work, answer))

    async def _intervene(self, request: p.CommandRequest, size: int) -> p.Reply:
        if isinstance(request, TakeOver | ForkJob):
            return await self._fork(request, size)
        live = await self._ledger.existing(request.job_id)
        try:
            assert not isinstance(request, SubmitJob | p.FollowJob)
            try:
                self._check_room(live, request, size)
                self._ledger.apply(live, request)
            except Refusal:
                await live.written()  # what it is refused for has to be in the log, too
                raise
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

    def _submit(self, request: SubmitJob, answer: Answer, size: int) -> None:
        options = request.options
        if options is not None:
            self._ledger.erasures.check(request.job_id, options.sealed)
        live = self._ledger.jobs.get(request.job_id)
        if options is not None and options.key and (live is None or not live.idle):
            # Whether it says the same has to be looked up.
            self._run(self._submit_again(request, size), answer)
        elif live is None and (settled := self._ledger.jobs.settled_status(request.job_id)) is not None:
            answer(p.Done(settled.position, settled.version))  # sent again after its answer was lost
        else:
            try:
                submitted = self._submitted(request, live, size)
            except Refusal as refusal:
                if live is not None or refusal.code != "log_full":
                    raise
                self._run(
                    self._submit_again(request, size), answer
                )  # it may have been taken before: the log knows
                return
            submitted.when_written(
                lambda problem: answer(self._done(submitted) if problem is None else answer_to(problem))
            )

    async def _submit_again(self, request: SubmitJob, size: int) -> p.Reply:
        # Another request for the same may have come while this one looked in the log.
        found = await self._ledger.find(request.job_id) or self._ledger.jobs.get(request.job_id)
        try:
            live = self._submitted(request, found, size)
        except Refusal:
            if found is not None:
                await found.written()  # what it is refused for has to be in the log, too
            raise
        await live.written()
        return self._done(live)

    def _submitted(self, request: SubmitJob, live: LiveJob | None, size: int) -> LiveJob:
        """Have the job submitted. Errors: Refusal; nothing of it then stays in memory."""
        ledger = self._ledger
        live = live or ledger.jobs.create(request.job_id)
        try:
            self._check_room(live, request, size)
            ledger.apply(live, request)
        except Refusal:
            if live.settled:
                ledger.settle(live)
            elif not live.decided and not live.version:  # it was made for this
                ledger.jobs.forget(live)
            raise
        ledger.refresh(live)
        return live

    def _check_room(self, live: LiveJob, request: p.CommandRequest, size: int) -> None:
        """What brings something new into the log needs room there that nothing else is to have. Errors: Refusal."""
        if isinstance(request, SubmitJob | ForkJob | TakeOver) and not live.job.state:
            tasks = 0 if isinstance(request, TakeOver) else len(request.tasks)
            self._ledger.room.check(size, tasks)
        elif isinstance(request, RetryJob) and live.halted and request.command_id not in live.job.commands:
            self._ledger.room.check(size, live.job.unfinished)

    def _done(self, live: LiveJob) -> p.Done:
        if live.settled and not live.dead:
            self._ledger.settle(live)
        return p.Done(live.position, live.version)

    async def _fork(self, request: TakeOver | ForkJob, size: int) -> p.Reply:
        # Parts of it may be in the log, written by an engine or a client that has gone.
        live = await self._ledger.find(request.job_id) or self._ledger.jobs.create(request.job_id)
        try:
            self._check_room(live, request, size)
            self._ledger.apply(live, request)
            self._ledger.refresh(live)
            await live.written()
            return p.Done(live.position, live.version)
        finally:
            if not live.version and not live.decided:
                self._ledger.jobs.forget(live)
            elif live.settled and not live.dead:
                self._ledger.settle(live)

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

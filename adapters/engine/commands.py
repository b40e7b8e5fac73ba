"""What clients ask: submit, cancel, retry, delete, how a job stands, and what tasks returned."""

from __future__ import annotations

from nats.aio.msg import Msg

from jobledger.core import ranges
from jobledger.core.commands import DeleteJob, ForkJob, SubmitJob, TakeOver
from jobledger.core.decisions import Refusal
from jobledger.core.decisions.refusal import check_task
from jobledger.core.events import Value
from jobledger.core.submission import NO_DEPENDENCIES

from .. import protocol as p
from .ledger import Ledger
from .live import LiveJob

_OVERHEAD = 80  # bytes of a result beside its value, rounded up


class Commands:
    """Answers requests on the `command` subject."""

    def __init__(self, ledger: Ledger, *, room: int) -> None:
        """`room` is how many bytes of results an answer holds; a single result may be larger."""
        self._ledger = ledger
        self._room = room

    async def handle(self, message: Msg) -> p.Reply:
        """Errors: Refusal; NotWritten; DamagedLog; ServerUnavailable; MsgspecError."""
        request = p.decode_command(message.data)
        if isinstance(request, p.FollowJob):
            return await self._follow(request)
        if isinstance(request, SubmitJob):
            return await self._submit(request)
        if isinstance(request, TakeOver | ForkJob):
            return await self._fork(request)
        live = await self._ledger.existing(request.job_id)
        try:
            if isinstance(request, p.ReadResults):
                return self._results(live, request)
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

    async def _submit(self, request: SubmitJob) -> p.Reply:
        jobs = self._ledger.jobs
        if request.options is not None:
            self._ledger.erasures.check(request.job_id, request.options.sealed)
        live = jobs.get(request.job_id)
        if live is None and request.options is not None and request.options.key:
            live = await self._ledger.find(request.job_id)  # whether it says the same has to be looked up
        if live is None:
            settled = jobs.settled_status(request.job_id)
            if settled is not None:  # sent again after its answer was lost
                return p.Done(settled.position, settled.version)
            live = jobs.create(request.job_id)
        try:
            self._ledger.apply(live, request)
        except Refusal:
            if live.settled:
                self._ledger.settle(live)
            elif not live.version:
                jobs.forget(live)
            raise
        self._ledger.refresh(live)
        await live.written()
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

    async def _follow(self, request: p.FollowJob) -> p.Reply:
        ledger = self._ledger
        status = ledger.jobs.settled_status(request.job_id)
        if status is None:
            live = await ledger.existing(request.job_id)
            if not live.version:
                await live.written()
            status = ledger.settle(live) if live.settled else live.status
        if not request.is_news(status):
            status = await ledger.followers.wait(request, status)
        return status

"""What clients ask: submit, cancel, retry, and how a job stands."""

from __future__ import annotations

from nats.aio.msg import Msg

from jobledger.core.commands import SubmitJob
from jobledger.core.decisions import Refusal

from .. import protocol as p
from .ledger import Ledger


class Commands:
    """Answers requests on the `command` subject."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def handle(self, message: Msg) -> p.Reply:
        """Errors: Refusal; NotWritten; DamagedLog; ServerUnavailable; MsgspecError."""
        request = p.decode_command(message.data)
        if isinstance(request, p.FollowJob):
            return await self._follow(request)
        if isinstance(request, SubmitJob):
            return await self._submit(request)
        live = await self._ledger.existing(request.job_id)
        self._ledger.apply(live, request)
        self._ledger.dispatcher.refresh(live)
        await live.written()
        return p.Done(live.position, live.version, live.job.commands.get(request.command_id, 0))

    async def _submit(self, request: SubmitJob) -> p.Reply:
        jobs = self._ledger.jobs
        live = jobs.get(request.job_id)
        if live is None:
            settled = jobs.settled_status(request.job_id)
            if settled is not None:  # sent again after its answer was lost
                return p.Done(settled.position, settled.version)
            live = jobs.create(request.job_id)
        try:
            self._ledger.apply(live, request)
        except Refusal:
            jobs.forget(live)
            raise
        self._ledger.dispatcher.refresh(live)
        await live.written()
        return p.Done(live.position, live.version)

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

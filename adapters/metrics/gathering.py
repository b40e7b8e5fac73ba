"""Asking all processes of a namespace what they have counted."""

from __future__ import annotations

import asyncio
from collections import Counter

from nats.aio.msg import Msg

from jobledger.core.errors import ServerAway
from jobledger.core.undecodable import UNDECODABLE

from ..nats.asking import JetStreamError
from ..nats.names import Names
from ..nats.wire import Wire
from .figures import Report, Sample, decode_report
from .log import log_samples

NEWCOMERS = 0.5  # seconds in which processes must answer that were not heard of before
_KNOWN = 3.0  # seconds more for those that were: a busy one may take its time

#: of what there may be processes: what there is none of is told, too
_KINDS = ("engine", "projector")


class Gatherer:
    """Asks again and again, and remembers who answered.

    Units:  `newcomers` is how many seconds processes have to answer that did not answer the last time.
    """

    def __init__(self, names: Names, *, newcomers: float = NEWCOMERS) -> None:
        self._names = names
        self._newcomers = newcomers
        self._known: set[str] = set()

    async def gather(self, client: Wire) -> list[Report]:
        """Return the reports of all processes, and one of what they have in common. Errors: ServerAway."""
        reports = await self._ask_all(client)
        self._known = {report.process for report in reports}
        try:
            samples = await log_samples(client, self._names)
        except (JetStreamError, ServerAway):
            samples = {}  # nobody has served this namespace yet, or too few servers run: then it matters what engines say
        numbers = Counter(dict.fromkeys(_KINDS, 0))
        numbers.update(report.kind for report in reports)
        samples["jobledger_processes"] = [Sample((kind,), float(number)) for kind, number in numbers.items()]
        return [*reports, Report("", "", samples)]

    async def _ask_all(self, client: Wire) -> list[Report]:
        reports: dict[str, Report] = {}
        answered = asyncio.Event()

        async def take(message: Msg) -> None:
            try:
                report = decode_report(message.data)
            except UNDECODABLE:
                return  # the server's own word that nobody listens, or the answer of a later version
            reports[report.process] = report
            if self._known <= reports.keys():
                answered.set()

        if not client.is_connected:
            raise ServerAway("the NATS server is away")
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=take)
        try:
            await client.publish(self._names.metrics, b"", reply=inbox)
            await asyncio.sleep(self._newcomers)
            if not self._known <= reports.keys():
                await asyncio.wait({asyncio.ensure_future(answered.wait())}, timeout=_KNOWN)
        finally:
            answered.set()
            await subscription.unsubscribe()
        return [reports[process] for process in sorted(reports)]

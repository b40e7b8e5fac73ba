"""What runners ask about what they hold: what the tasks returned on which one of their own depends."""

from __future__ import annotations

from jobledger.core import ranges
from jobledger.core.decisions import Refusal
from jobledger.core.decisions.refusal import check_task
from jobledger.core.events import Value
from jobledger.core.submission import NO_DEPENDENCIES

from ... import protocol as p
from ...nats.names import speaker_of
from ...nats.wire import Message
from ..answers import Answer, answer_with
from ..ledger import Background, Ledger
from ..live import LiveJob

_OVERHEAD = 80  # bytes of a result beside its value, rounded up


class Holdings:
    """Answers requests on the `results` subjects. `room` is how many bytes of results an answer holds; a single one may be
    larger. What has to be read from the log runs among the `requests`."""

    def __init__(self, ledger: Ledger, requests: Background, *, room: int) -> None:
        self._ledger = ledger
        self._requests = requests
        self._room = room

    def handle(self, message: Message, answer: Answer) -> None:
        """Tell a runner what its task builds on. Errors: MsgspecError."""
        request = p.decode_results_request(message.data)
        runner = speaker_of(message.subject).runner
        self._requests.run(answer_with(self._results(runner, request), answer))

    async def _results(self, runner: str, request: p.ReadResults) -> p.Reply:
        live = await self._ledger.existing(request.job_id)
        try:
            check_task(live.job, request.task)
            if live.job.claimed_by.get(request.task) != runner:
                raise Refusal(
                    "stale", f"runner {runner} does not run task {request.task} of job {live.job.id}"
                )
            return results_for(live, request, self._room)
        finally:
            self._ledger.let_go([request.job_id])


def results_for(live: LiveJob, request: p.ReadResults, room: int) -> p.Results:
    """Return what the tasks returned that this one depends on, in about `room` bytes."""
    job = live.job
    index = job.graph.dependencies[request.task]
    members = [] if index == NO_DEPENDENCIES else job.graph.members[index]
    values: list[tuple[int, Value | None]] = []
    for task in ranges.numbers(members):
        if task <= request.after:
            continue
        value = job.results.get(task)
        room -= _OVERHEAD + (len(value.data) if value else 0)
        if room < 0 and values:
            return p.Results(values, complete=False)
        values.append((task, value))
    return p.Results(values)

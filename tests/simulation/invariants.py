"""What must be true at every moment of a run, whatever died before it.

It sees all: every commit as the server stores it, every answer as it reaches whoever asked, every attempt as it begins. What
anybody was told must be in the log by then. Nothing in the product knows of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from jobledger.adapters import protocol as p
from jobledger.adapters.nats.partitions import partition_of
from jobledger.adapters.runner.lease import Lease
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState
from support.log_checks import OUTCOMES, Broken, JobBook, LogChecks

from .outcome import Trace

_DELETED = JobState.DELETED.value
#: refusals that say what is so, and not that something went wrong
_HONEST = ("stale", "not_retryable", "not_deletable", "unknown_task", "log_full")
#: what is an error of whoever runs the server, and is told as one
_NOT_ITS_OWN = ("waits for room in the log",)


class Invariants:
    """`violation` is the first one that does not hold."""

    def __init__(self, trace: Trace, *, partitions: int = 1) -> None:
        self._trace = trace
        self.log = LogChecks(partitions=partitions)
        self.violation: Broken | None = None
        self.over = False  #: what ends now is being cleared away
        self.acknowledged = 0  #: answers that were held against the log
        self._partitions = partitions
        self._leases: dict[tuple[str, int], Lease] = {}  #: of runners, as they know them, by partition
        self._begun: set[tuple[str, int, int]] = set()
        self._places: dict[str, list[int]] = {}  #: of the commits of each job

    def broken(self, invariant: str, problem: str) -> None:
        if self.over:
            return
        self._trace("BROKEN", invariant, problem)
        if self.violation is None:
            self.violation = Broken(invariant, problem)

    # -- what the log says ----------------------------------------------------------------------------------------

    def stored(self, job_id: str, position: int, payload: bytes) -> None:
        """The server has stored this."""
        self._trace.fact(payload)
        self._places.setdefault(job_id, []).append(position)
        self.log.read(job_id, position, payload)
        last = self.log.books[job_id].last
        self._trace("log", position, job_id, "" if last is None else last.commit)
        for event in () if last is None else last.commit.events:
            if isinstance(event, e.LeaseExpired):
                self._expired(job_id, event)
        self.log.recount(job_id)
        if self.log.findings:
            finding = self.log.findings[0]
            self.broken(finding.invariant, str(finding))

    def _expired(self, job_id: str, event: e.LeaseExpired) -> None:
        lease = self._leases.get((event.runner, partition_of(job_id, self._partitions)))
        if lease is not None and lease.until > self._trace.now():
            self.broken("leases of runners that are alive go on", f"{event} of job {job_id}")

    def settled(self) -> bool:
        """Whether nothing is left to be done."""
        return all(book.job.settled for book in self.log.books.values())

    def finish(self) -> None:
        """Nothing more is to come."""
        for finding in self.log.finish():
            self.broken(finding.invariant, str(finding))

    # -- what clients are told ------------------------------------------------------------------------------------

    def answered(self, command: p.CommandRequest, answer: p.Answer) -> None:
        """A client was told this."""
        self._trace("answer", answer, "to", command)
        self.acknowledged += 1
        book = self.log.books.get(command.job_id)
        match answer:
            case p.Refused(code="unknown_job") if book is not None and book.job.state == _DELETED:
                pass  # it took effect, its answer was lost, and it was asked again once the job was deleted
            case p.Refused() if book is not None and getattr(command, "command_id", "") in book.commands:
                self.broken("what took effect is not refused", f"{command} is answered with {answer}")
            case p.Refused() if answer.code not in _HONEST:
                deleted = book is not None and book.job.state == _DELETED
                another = (
                    book is not None and isinstance(command, c.SubmitJob) and command.name != book.job.name
                )
                if not (
                    (deleted and answer.code in ("unknown_job", "conflict"))
                    or (another and answer.code == "conflict")
                ):
                    self.broken("acknowledged is in the log", f"{command} is answered with {answer}")
            case p.Done() | p.JobStatus() if book is None or book.last is None or not book.job.state:
                self.broken("acknowledged is in the log", f"{answer} to {command}: there is no such job")
            case p.Done() | p.JobStatus():
                assert book is not None
                self._is_there(book, command, answer)
            case _:
                pass

    def _is_there(self, book: JobBook, command: p.CommandRequest, answer: p.Done | p.JobStatus) -> None:
        assert book.last is not None
        places = self._places[command.job_id]
        if not 0 < answer.version <= len(places) or answer.position != places[answer.version - 1]:
            self.broken(
                "acknowledged is in the log",
                f"{answer} to {command}: the log has versions of the job at {places}",
            )
        elif isinstance(answer, p.JobStatus):
            if answer.settled and answer.version == book.last.version and not book.job.settled:
                self.broken("settled is settled", f"{answer} to {command}: the log says it is not")
        elif (
            isinstance(command, c.CancelJob | c.CancelTask | c.RetryJob)
            and book.job.commands.get(command.command_id, 0) != answer.count
        ):
            self.broken(
                "acknowledged is in the log", f"{answer} to {command}, of which the log does not know"
            )

    # -- what runners are told, and do ----------------------------------------------------------------------------

    def reported(self, reports: Iterable[c.Report], refused: Iterable[p.RefusedReport]) -> None:
        """A runner was told what became of its reports."""
        codes = {one.report: one for one in refused}
        for index, report in enumerate(reports):
            self.acknowledged += 1
            refusal = codes.get(index)
            self._trace("report", report, "is taken" if refusal is None else refusal)
            if refusal is not None:
                self._is_refused(report, refusal)
            elif not isinstance(report, c.StageSubtasks | c.ReportProgress):
                book = self.log.books.get(report.job_id)
                end = None if book is None else book.ended.get((report.task, report.attempt))
                if not isinstance(end, OUTCOMES.get(type(report).__name__, object)) or end is None:
                    self.broken("acknowledged is in the log", f"{report} was taken, the log has {end}")

    def _is_refused(self, report: c.Report, refusal: p.RefusedReport) -> None:
        if refusal.code not in ("stale", "unknown_job"):
            self.broken("reports are taken", f"{report} is refused: {refusal}")
        book = self.log.books.get(report.job_id)
        if book is not None and book.running.get(report.task) == report.attempt:
            self.broken(
                "what is refused is over", f"{report} is refused ({refusal}); in the log the attempt runs"
            )

    def handed_out(self, runner: str, jobs: Iterable[p.ClaimedJob]) -> None:
        """A runner was handed these out."""
        for job in jobs:
            self._trace("hand-out", runner, job.job_id, job.tasks)
            book = self.log.books.get(job.job_id)
            for task in job.tasks:
                holder = None if book is None else book.claimed.get((task.task, task.attempt))
                if holder != runner:
                    self.broken(
                        "handed out once its claim is in the log",
                        f"attempt {task.attempt} of task {task.task} of job {job.job_id} is handed out to {runner}; the "
                        f"log says it is {holder}'s",
                    )

    def leased(self, runner: str, partition: int, lease: Lease) -> None:
        """A runner has this lease for a partition."""
        self._leases[runner, partition] = lease

    def begins(self, runner: str, job_id: str, task: int, attempt: int) -> None:
        """A runner begins to run this."""
        key = (job_id, task, attempt)
        self._trace("begin", runner, *key)
        if key in self._begun:
            self.broken("an attempt has one holder", f"{key} is run again, by {runner}")
        self._begun.add(key)
        book = self.log.books.get(job_id)
        if book is None or book.claimed.get((task, attempt)) != runner:
            self.broken("an attempt has one holder", f"{key} is run by {runner}, which did not claim it")
        elif book.running.get(task) != attempt and book.job.state != _DELETED:
            self.broken(
                "nothing begins after its lease", f"{key} is begun by {runner} and is over in the log"
            )


class Listener(logging.Handler):
    """Hears what the product logs. An error is a mistake of its own, for nothing is damaged here."""

    def __init__(self, invariants: Invariants, trace: Trace) -> None:
        super().__init__()
        self._invariants = invariants
        self._trace = trace
        here = threading.get_ident()
        self.addFilter(lambda record: record.thread == here)  # another thread is not of this world

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR and not any(
            words in record.getMessage() for words in _NOT_ITS_OWN
        ):
            error = record.exc_info[1] if record.exc_info else None
            self._invariants.broken("no error of its own", f"{record.getMessage()} {error or ''!r}")
        else:
            self._trace("logged", record.name.removeprefix("jobledger.adapters."), record.getMessage())

"""The worker processes of a session, each with a thread of the runner that feeds it and hears what it says.

Attempts go over so many at a time as take a few milliseconds, and a process begins each with a ticket (see `tickets`). One
that turns out to take long holds up none of those behind it: their tickets are taken back, and another process runs them.
"""

from __future__ import annotations

import logging
import threading
import time

from jobledger.core.errors import JobLedgerError
from jobledger.core.events import Error

from ...telemetry.trace_context import SpanRef
from ..assignment import Assignment
from ..attempt.context import Equipment
from ..attempt.execution import fail, give_up, release
from ..exchange.pace import Pace
from ..lease import Lease
from ..running.crew import Crew, Member
from ..running.todo import Todo
from .death import died, ending
from .desk import Desk
from .importing import name_of
from .messages import Call, Ended, FromProcess, News, Noted, Unusable
from .process import WorkerProcess
from .set_up import set_up
from .tickets import MOST
from .worker import RemoteContext, Worker

log = logging.getLogger(__name__)

#: seconds without news from a process after which what waits behind its attempt is taken back
LATE = 0.05
#: processes that may die one after the other before they can be used
_TRIES = 3


class ProcessWorkers(Crew):
    """A fixed number of processes."""

    problem: JobLedgerError | None = None  #: why no process can be had

    def __init__(self, size: int, todo: Todo, equipment: Equipment, lease: Lease) -> None:
        self._workers: list[Worker] = []
        super().__init__(todo)
        self._equipment = equipment
        self._desk = Desk(equipment)
        self._lease = lease
        self._pace = Pace(size)
        self._measuring = threading.Lock()
        self._ending = False
        self._workers = [
            Worker(f"jobledger-process-{number}", self._run, self._put_back) for number in range(1, size + 1)
        ]
        todo.on_take_back = self._recall_all
        lease.on_renewed = self._renewed

    @property
    def low(self) -> int:
        """With no more than this left in the queue, finished work is reported at once: processes have some of their own."""
        return self._low - sum(len(worker.given) for worker in self._workers)

    @low.setter
    def low(self, low: int) -> None:
        self._low = low

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def busy(self) -> list[tuple[Worker, Assignment]]:
        """The workers that run something, with what they run."""
        if self._ending:
            return []
        return [(worker, running) for worker in self._workers if (running := worker.running) is not None]

    @property
    def running(self) -> list[Assignment]:
        """What is being run at this moment."""
        return [running for _, running in self.busy]

    def load(self, seconds: float) -> tuple[int, int]:
        """Return how many assignments the processes have, and how many have been running for longer than that."""
        since = time.time_ns() // 1000 - int(seconds * 1e6)
        slow = sum(0 < assignment.started < since for assignment in self.running)
        return sum(len(worker.given) for worker in self._workers), slow

    def leave_behind(self, worker: Member, assignment: Assignment, waited: float) -> None:
        """Kill the process of one that was stopped and has not ended for the seconds `waited`."""
        assert isinstance(worker, Worker)
        if worker.running is assignment and worker.process is not None:
            worker.killed = (assignment, waited)
            worker.process.kill()

    def abandon(self) -> None:
        """The run is over: kill what is running, or loading."""
        self._ending = True
        for worker in self._workers:
            worker.end_now()

    def join(self, timeout: float) -> bool:
        """Return whether all processes have ended, waiting `timeout` seconds at most for it. Close the queue before."""
        until = time.monotonic() + timeout
        for worker in self._workers:
            if worker.thread.ident is not None:
                worker.thread.join(max(0.0, until - time.monotonic()))
        return not any(worker.thread.is_alive() for worker in self._workers)

    def _renewed(self, until: float) -> None:
        for worker in self._workers:
            if worker.process is not None:
                worker.process.lease(until)

    def _recall_all(self) -> list[Assignment]:
        return [assignment for worker in self._workers for assignment in worker.recall()]

    def _start(self) -> None:
        for worker in self._workers:
            worker.thread.start()

    # -- the threads ----------------------------------------------------------------------------------------------

    def _run(self, worker: Worker) -> None:
        try:
            self._bring_up(worker)
            while not self._ending and (assignment := self._todo.take()) is not None:
                self._give(worker, [assignment, *self._todo.take_more(self._share() - 1)])
                while worker.given:
                    self._attend(worker)
        except JobLedgerError as error:
            self._give_up(error)
        except Exception as error:
            self._give_up(JobLedgerError(f"a worker process cannot be looked after: {error!r}"))
            raise
        finally:
            if worker.process is not None:
                worker.process.close()

    def _give_up(self, problem: JobLedgerError) -> None:
        """Have the run end with this error, after giving back what this worker has."""
        self.problem = self.problem or problem
        self.hurry()

    def _bring_up(self, worker: Worker) -> None:
        """Have a process that can run the tasks. Errors: JobLedgerError saying why there is none."""
        for tries_left in reversed(range(_TRIES)):
            process = self._started(worker)
            said: list[FromProcess] | None = []
            while said == []:
                said = process.messages()
            if said is not None and isinstance(said[0], Unusable):
                raise JobLedgerError(
                    f"a worker process cannot load the tasks, the code that it imports fails there: {said[0].message}"
                )
            if said is not None or self._ending:
                worker.ready = True
                process.lease(self._lease.until)
                return
            how = f"ended with {ending(process.wait())} while it loaded the tasks\n{process.stack()}".rstrip()
            if not tries_left:
                raise JobLedgerError(f"{_TRIES} worker processes in a row cannot be used: the last one {how}")
            log.warning("worker process %d %s", process.pid, how)
            process.close()

    def _started(self, worker: Worker) -> WorkerProcess:
        classes = self._equipment.tasks.classes
        worker.ready, worker.killed, worker.failures, worker.classes = False, None, 0, len(classes)
        try:
            worker.process = WorkerProcess(set_up(self._equipment, classes))
        except OSError as error:
            raise JobLedgerError(f"no worker process can be started: {error}") from error
        return worker.process

    def _share(self) -> int:
        """How many assignments a process is to have: for half of the time that a worker has work at hand for.

        One that runs for longer than that goes over alone. None is left waiting for it while another process has nothing.
        """
        if self._todo.exact:
            return 1
        per_worker = self._pace.per_worker
        even = 1 + self._todo.open // len(self._workers)
        return max(1, min(MOST, even, max(per_worker // 2, min(2, per_worker))))

    def _give(self, worker: Worker, assignments: list[Assignment]) -> None:
        process = worker.process
        assert process is not None
        known, worker.classes = worker.classes, len(classes := self._equipment.tasks.classes)
        new = [name_of(cls, "the task") for cls in classes[known:]]
        numbers = process.give(assignments, worker.failures, new)
        for number, assignment in zip(numbers, assignments, strict=True):
            assignment.worker = worker
            worker.given[number] = assignment
        process.issue(numbers)
        for assignment in assignments:
            if assignment.notice is not None:  # it came while nobody could be told
                worker.told(assignment, assignment.notice)

    def _attend(self, worker: Worker) -> None:
        """Hear what a process says, or that it is silent, or dead."""
        process = worker.process
        assert process is not None
        # What has not begun may be taken back by the event loop, and then there is nothing more to be said of it.
        all_begun = len(worker.given) == 1 and worker.running is not None
        said = process.messages(None if all_begun else LATE)
        if said is None:
            self._died(worker, process)
        elif not said:
            self._put_back(worker.recall())
        else:
            ended = sum(self._heard(worker, process, message) for message in said)
            if (
                ended
                and not self._ending
                and (more := self._todo.take_more(self._share() - len(worker.given)))
            ):
                self._give(worker, more)

    def _heard(self, worker: Worker, process: WorkerProcess, message: FromProcess) -> bool:
        """Take what a process said. Return whether an attempt has ended."""
        match message:
            case Ended():
                self._reported(worker, message)
                return True
            case Call():
                self._desk.answer(message, process.answer)
            case Noted():
                parent = SpanRef(message.trace, message.span)
                self._equipment.telemetry.keep_encoded(message.job_id, parent, message.record)
            case News():
                assignment = worker.given.get(message.number)
                if assignment is not None:
                    assignment.context = RemoteContext(message.counted, message.display)
        return False

    def _reported(self, worker: Worker, told: Ended) -> None:
        a = worker.given.pop(told.number, None)
        if a is None:
            return
        a.started, a.stopped, a.reports = told.started, told.stopped, told.reports
        a.submits, a.failed = told.submits, told.failed
        with self._measuring:
            self._pace.measured((a.stopped - a.started) / 1e6, 1)
        self._finish(a)
        if a.failed and worker.process is not None:
            worker.failures += 1
            self._put_back(self._recall_all())  # of its job, nothing may begin before the engine has answered
            worker.process.give([], worker.failures, [])

    def _died(self, worker: Worker, process: WorkerProcess) -> None:
        """A process died: its attempt has failed with it, and another process takes its place."""
        code = process.wait()
        for message in process.last_words():
            self._heard(worker, process, message)
        running, running_number = worker.running, process.running.number
        waiting = worker.recall()
        # What has a ticket and was not begun by then is as good as what has none.
        waiting += [given for number, given in sorted(worker.given.items()) if number != running_number]
        worker.given.clear()
        self._put_back(waiting)
        if running is not None and not self._ending:
            self._lost(worker, running, process, code)
            self._finish(running)
        elif not self._ending:
            log.warning("worker process %d ended with %s, another one is started", process.pid, ending(code))
        process.close()
        worker.process = None
        if not self._ending:
            self._bring_up(worker)

    def _lost(self, worker: Worker, running: Assignment, process: WorkerProcess, code: int) -> None:
        """Note what is to be reported of an attempt that ended with its process."""
        a = running
        a.stopped = time.time_ns() // 1000
        try:
            if a.sealed:
                a.seal = self._equipment.seal(a.job_id, a.sealed)
        except JobLedgerError as error:
            release(a, f"its process died, and what is to be said of that cannot be sealed: {error}")
            return
        if worker.killed is not None and worker.killed[0] is running:
            waited = worker.killed[1]
            give_up(a, process.stack(), f"did not end for {waited:g} s, and its process was killed")
            return
        problem = died(code, process.pid)
        log.warning("%r failed: %s", a, problem)
        fail(a, Error(type(problem).__name__, str(problem), process.stack()), problem)

    def _put_back(self, assignments: list[Assignment]) -> None:
        """Let others have what a process has not begun; where the run is ending, the event loop gives it back."""
        if assignments:
            self._todo.put_back(assignments)
            self.hurry()

    def _finish(self, assignment: Assignment) -> None:
        assignment.worker = assignment.context = None
        self._ended(assignment)

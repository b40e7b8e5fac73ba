"""What is to be begun, in which order, and what must not begin yet.

Within a job the order is the engine's: larger priority first, then deeper, then in order of submission. Jobs take turns.

A runner of one worker keeps to that order exactly, although it is handed out many tasks at a time. What may change what
comes next is a *barrier*: an attempt that submitted subtasks, or failed, or one for which a task may wait that comes
before the next one here. Nothing more of its job begins until the exchange that reports it is answered, for only the
answer says what is ready by then. One that holds as many tasks as
were asked for may not say all of it: the job then goes on up to the last of them, and no further before another answer.

Several workers have no exact order to keep. Only failures are barriers then: of a halted job, nothing is begun.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from jobledger.core import ranges

from ...clocks import clock
from ...nats.partitions import WHOLE, Partition
from ...protocol import ClaimedJob
from ..assignment import Assignment, Order
from ..lease import Lease
from .job_todo import NOTHING, JobTodo, known_after

#: assignments that workers may take without a lock: it costs as much as a short task
_LANE = 64
_job_id = attrgetter("job_id")
_NO_WAITS: Mapping[str, Order] = {}


class Todo:
    """The assignments that no worker has begun. Used by the event loop, and by the workers where it says so."""

    def __init__(self, lease: Lease, *, exact: bool, on_stale: Callable[[], None]) -> None:
        """`exact`: keep to the order (there is one worker). `on_stale` is called when something could begin but for
        the lease, by the worker that found out."""
        self.exact = exact
        self._lease = lease
        self._on_stale = on_stale
        self._jobs: dict[str, JobTodo] = {}
        self._turns: deque[JobTodo] = deque()  #: those with an open task, the next one first
        self._queued = 0  #: tasks of all jobs together
        self._open = 0
        self._barriers = 0
        self._waits: dict[str, Order] = {}  #: by job: the place of the first task that waits for others
        self._lane: deque[Assignment] = deque()  #: taken from the jobs: what is next, in order
        self._lock = threading.RLock()  # `on_stale` may find that all is over, and close
        self._idle: list[threading.Lock] = []  #: one for each worker that waits: releasing it has it go on
        self._closed = False
        #: returns what workers were given and have not begun, where they are given more than one
        self.on_take_back: Callable[[], Sequence[Assignment]] = tuple

    @property
    def waiting(self) -> int:
        """How many assignments there are."""
        return self._queued + len(self._lane)

    @property
    def open(self) -> int:
        """How many of them may begin."""
        return self._open + len(self._lane)

    # -- for the workers --------------------------------------------------------------------------------------------

    def take(self) -> Assignment | None:
        """Wait for an assignment that may begin, and return it; None if there will not be one any more."""
        lane, lease = self._lane, self._lease
        while True:
            if lane and clock() <= lease.until:
                try:
                    assignment = lane.popleft()
                except IndexError:  # another worker, or the event loop, was quicker
                    continue
                if not assignment.lost:
                    return assignment
            elif not self._wait():
                return None

    def take_more(self, count: int) -> list[Assignment]:
        """Return up to `count` more that may begin, without waiting for any."""
        taken = list[Assignment]()
        while len(taken) < count and clock() <= self._lease.until:
            try:
                assignment = self._lane.popleft()
            except IndexError:
                with self._lock:
                    if self._closed or not self.open:
                        break
                    self._fill()
            else:
                if not assignment.lost:
                    taken.append(assignment)
        return taken

    def put_back(self, assignments: Sequence[Assignment]) -> None:
        """These were taken, but not begun: they come first again, in this order."""
        if assignments:
            with self._lock:
                self._recall()
                self._put_first(assignments)
                self._go_on()

    def ended(self, assignment: Assignment) -> bool:
        """This one has been run; return whether it is a barrier. To be called before another one is taken."""
        sure = assignment.failed or (self.exact and assignment.submits)
        if not sure and (assignment.job_id not in self._waits or self._goes_on(assignment.job_id)):
            return False
        with self._lock:
            self._recall()
            job = self._job(assignment.job_id)
            place = self._waits.get(job.id)
            barrier = sure or (place is not None and job.next_after(place))
            if barrier:
                job.barriers.add(assignment)
                self._barriers += 1
            self._update(job)
            self._go_on()
        return barrier

    def _goes_on(self, job_id: str) -> bool:
        """Whether it is clear, without a lock, that the job's next task comes before all that wait."""
        try:
            following = self._lane[0]
            return following.job_id == job_id and following.order < self._waits[job_id]
        except (IndexError, KeyError):
            return False

    def _wait(self) -> bool:
        """There is nothing to take just now: see to it, or wait for a change. Return whether to try again."""
        with self._lock:
            if self.open and not self._closed:
                if not self._lease.over:
                    self._fill()
                    return True
                self._on_stale()
            if self._closed:
                return False
            waiting = threading.Lock()
            waiting.acquire()
            self._idle.append(waiting)
        waiting.acquire()
        return not self._closed

    def _fill(self) -> None:
        turns, lane = self._turns, self._lane
        while turns and len(lane) < _LANE:
            job = turns[0]
            count = min(job.open, _LANE - len(lane)) if len(turns) == 1 else 1
            for _ in range(count):
                lane.append(job.tasks.popleft())
            self._queued -= count
            self._open -= count
            job.open -= count
            turns.rotate(-1)
            if not job.open:
                turns.pop()
                self._update(job)

    # -- for the event loop -----------------------------------------------------------------------------------------

    @property
    def held_up(self) -> bool:
        """Whether there is a job that cannot go on before an exchange is answered."""
        return len(self._jobs) > len(self._turns)

    def held_up_in(self, partition: Partition) -> bool:
        """Whether there is one in this partition."""
        return self.held_up and any(not job.open and partition.holds(job.id) for job in self._jobs.values())

    def answered(
        self,
        new: Iterable[Assignment] = (),
        *,
        over: Sequence[Assignment] = (),
        limit: int = 0,
        handed_out: Sequence[ClaimedJob] = (),
        waits: Mapping[str, Order] = _NO_WAITS,
        partition: Partition = WHOLE,
    ) -> None:
        """An exchange that asked for `limit` tasks was answered: it ended `over`, and what was handed out holds `new`.

        Shape:  `new` in order within each job. `waits` is, of the jobs that it is about, where something may come in
                between once what it waits for has ended. `partition` is what the answer tells of.
        """
        with self._lock:
            self._recall()
            if self.exact:
                for job_id in [one.job_id for one in over] + [job.job_id for job in handed_out]:
                    self._waits.pop(job_id, None)
                self._waits.update(waits)
            changed: dict[JobTodo, None] = {}  # in order: that in which they take turns
            for job_id, group in groupby(new, _job_id):
                job = self._job(job_id)
                assignments = list(group)
                job.add(assignments)
                self._queued += len(assignments)
                changed[job] = None
            for ended in over if self._barriers else ():
                its = self._jobs.get(ended.job_id)
                if its is not None and ended in its.barriers:
                    its.barriers.remove(ended)
                    self._barriers -= 1
                    if self.exact:
                        its.known = NOTHING
                    changed[its] = None
            if self.exact and limit:
                told_of = [job_id for job_id in self._jobs if partition.holds(job_id)]
                for job_id, known in known_after(limit, handed_out, told_of).items():
                    its = self._jobs.get(job_id)
                    if its is not None and its.known != known:
                        its.known = known
                        changed[its] = None
            for job in changed:
                self._update(job)
            self._go_on()

    def go_on(self) -> None:
        """The lease was renewed."""
        with self._lock:
            self._go_on()

    def take_back(self, count: int) -> list[Assignment]:
        """Return up to `count` assignments, the last ones first and those that may not begin before the others."""
        taken: list[Assignment] = []
        with self._lock:
            self._recall()
            self._put_first(self.on_take_back())
            held_up = [job for job in self._jobs.values() if not job.open]
            for job in [*held_up, *reversed(self._turns)]:
                while job.tasks and len(taken) < count:
                    taken.append(job.tasks.pop())
                self._update(job)
            self._queued -= len(taken)
            self._go_on()
        return taken

    def take_back_job(self, job_id: str, tasks: list[int] | None = None) -> list[Assignment]:
        """Return the assignments of this job, or those of its `tasks` (as ranges)."""
        with self._lock:
            self._recall()
            self._put_first(self.on_take_back())
            job = self._job(job_id)
            wanted = None if tasks is None else set(ranges.numbers(tasks))
            taken = [one for one in job.tasks if wanted is None or one.task in wanted]
            job.tasks = deque(one for one in job.tasks if wanted is not None and one.task not in wanted)
            self._queued -= len(taken)
            self._update(job)
            self._go_on()
        return taken

    def close(self) -> None:
        """Nothing more is to be begun."""
        with self._lock:
            self._recall()
            self._closed = True
            while self._idle:
                self._idle.pop().release()

    # -- with the lock held -----------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Put back what is in the lane: until the lock is released no worker takes anything."""
        back = deque[Assignment]()
        while self._lane:
            try:
                back.appendleft(self._lane.pop())
            except IndexError:  # a worker took the last one
                break
        self._put_first(back)

    def _put_first(self, assignments: Sequence[Assignment]) -> None:
        changed: dict[JobTodo, None] = {}
        for assignment in reversed(assignments):
            changed[job := self._job(assignment.job_id)] = None
            job.tasks.appendleft(assignment)
            self._queued += 1
        for job in reversed(changed):
            self._update(job)

    def _go_on(self) -> None:
        """Things have changed: let as many workers that wait go on as there are assignments for."""
        if self._idle and self.open:
            for _ in range(min(len(self._idle), self.open)):
                self._idle.pop().release()
            self._fill()  # they find it there, and need not come for the lock

    def _job(self, job_id: str) -> JobTodo:
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = JobTodo(job_id)
        return job

    def _update(self, job: JobTodo) -> None:
        """Something about this job has changed."""
        before, job.open = job.open, job.count()
        self._open += job.open - before
        if job.open and not before:
            self._turns.append(job)
        elif before and not job.open:
            self._turns.remove(job)
        if not job.tasks and not job.barriers:
            del self._jobs[job.id]

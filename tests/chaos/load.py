"""Clients that submit jobs, step in and wait, whatever dies around them, and note every answer they get."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from random import Random
from typing import TypeVar

from chaos.notes import ACKNOWLEDGED, BEGUN, Notes
from chaos.reckoning import CANCELED, RETRIED, SUBMITTED, Expected
from jobledger import Client, Job, JobState, Task
from jobledger.errors import LogFull

T = TypeVar("T")

_SUBMITTERS = _WAITERS = 3
_LINE = 50  # bytes of a note that a task has begun, about
_STEP = 0.05  # seconds
_PAUSE = 0.5  # seconds before the next submission where the log had no room for one


class Load:
    """Submits `tasks` tasks, spread over `seconds`.

    Shape:  `draw` gives the root task of a job and its number of tasks. `step_in` is the share of jobs that are canceled
            and gone on with. No more than `outstanding` tasks are submitted beyond those that have begun.
    """

    def __init__(
        self,
        client: Client,
        own: Notes,
        seed: int,
        draw: Callable[[Random], tuple[Task, int]],
        *,
        tasks: int,
        seconds: float,
        outstanding: int,
        step_in: float,
    ) -> None:
        self._jobs = client.jobs()
        self._own = own
        self._seed = seed
        self._wanted = tasks
        self._seconds = seconds
        self._outstanding = outstanding
        self._draw = draw
        self._share = step_in
        self._began = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.submitted: list[Job] = []
        self.expected: dict[str, Expected] = {}
        self.refused = 0  #: submissions for which the log had no room
        self.tasks = 0  #: of all jobs that were submitted, or are just being
        self.slowest = 0.0  #: seconds that the slowest answer took
        self.errors: list[str] = []  #: what clients were told instead of an answer
        self._submitters = [self._thread(self._submit, number) for number in range(_SUBMITTERS)]
        self._waiters = [self._thread(self._wait, number) for number in range(_WAITERS)]

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in (*self._submitters, *self._waiters):
            thread.start()

    def stop(self) -> None:
        """Submit nothing more."""
        self._stop.set()

    @property
    def over(self) -> bool:
        """Whether all is submitted, and nearly all of it has begun."""
        return not self.submitting and self._own.size(BEGUN) / _LINE >= 0.95 * self.tasks

    @property
    def submitting(self) -> bool:
        return any(thread.is_alive() for thread in self._submitters)

    def join(self, timeout: float) -> bool:
        """Return whether everybody has had all answers: also those who wait for the end of jobs."""
        until = time.monotonic() + timeout
        threads = (*self._submitters, *self._waiters)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _thread(self, work: Callable[[int], None], number: int) -> threading.Thread:
        return threading.Thread(target=self._guarded, args=(work, number), daemon=True)

    def _guarded(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except Exception as error:  # noqa: BLE001  told in the end
            said = f"clients are answered: {work.__name__[1:]}: {type(error).__name__}: {error!s:.300}"
            print(said, file=sys.stderr, flush=True)
            self.errors.append(said)

    def _submit(self, number: int) -> None:
        chance = Random(f"{self._seed}/{number}")
        while self.tasks < self._wanted and not self._stop.is_set():
            if not self._due:
                self._stop.wait(_STEP)
                continue
            root, size = self._draw(chance)
            with self._lock:
                self.tasks += size
            began = time.monotonic()
            try:
                job = self._jobs.submit("chaos", root)
            except LogFull:  # nothing was submitted: that it is not there is found out in the end
                with self._lock:
                    self.tasks -= size
                    self.refused += 1
                self._stop.wait(_PAUSE)
                continue
            self._answered(began, SUBMITTED, job, 1)
            with self._lock:
                self.submitted.append(job)
                self.expected[str(job.id)] = Expected(size)
            if chance.random() < self._share:
                self._step_in(job)

    @property
    def _due(self) -> bool:
        share = (time.monotonic() - self._began) / self._seconds
        return self.tasks <= min(share * self._wanted, self._own.size(BEGUN) / _LINE + self._outstanding)

    def _step_in(self, job: Job) -> None:
        """Cancel it, and then go on with it."""
        began = time.monotonic()
        if self._jobs.cancel(job):
            self._answered(began, CANCELED, job, 1)
            self._retry(job)

    def _retry(self, job: Job) -> None:
        while True:
            began = time.monotonic()
            try:
                count = self._jobs.retry(job)
            except LogFull:
                self.refused += 1
                time.sleep(_PAUSE)
            else:
                self._answered(began, RETRIED, job, count)
                return

    def _answered(self, began: float, what: str, job: Job, number: int) -> None:
        self._own.write(ACKNOWLEDGED, [(what, job.id, number)])
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _wait(self, number: int) -> None:
        """Wait for the end of every so many-th job."""
        while True:
            last = not self.submitting  # looked at first: what was submitted before is there then
            with self._lock:
                job = self.submitted[number] if number < len(self.submitted) else None
            if job is not None:
                if job.wait(interval=None, raise_on_failure=False).state is JobState.CANCELED:
                    time.sleep(_STEP)  # who canceled it goes on with it
                else:
                    number += _WAITERS
            elif last:
                return
            else:
                time.sleep(_STEP)

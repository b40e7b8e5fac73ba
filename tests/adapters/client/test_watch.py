"""Watching a job: pushed at every change, until it is settled, whatever is restarted meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from jobledger import ArgumentError, Client, ExecutionContext, Job, JobState, NotFoundError, Task
from jobledger.adapters.nats.names import Names
from support.engines import BareRunner, EngineHarness, computed, failed
from support.servers import NatsServer

SUBMITTED, RUNNING, STARTED = JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED
COMPLETED, FAILED = JobState.COMPLETED, JobState.FAILED


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> None:
        """Nothing is left to do."""


class Watcher:
    """Watches on a thread of its own, and keeps the state it saw each time."""

    def __init__(self, watching: Callable[[], Iterator[Job]]) -> None:
        self.seen: Queue[JobState | NotFoundError | AssertionError | None] = Queue()
        self._watching = watching
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        try:
            for job in self._watching():
                self.seen.put(job.state)
        except (NotFoundError, AssertionError) as error:
            self.seen.put(error)
        else:
            self.seen.put(None)

    def next(self) -> JobState | NotFoundError | AssertionError | None:
        return self.seen.get(timeout=10)


def test_a_job_is_shown_now_at_every_change_and_last_when_it_is_settled(
    client: Client, bare_runner: BareRunner
) -> None:
    job = client.jobs().submit("adding", [Add(1), Add(2)])
    watcher = Watcher(job.watch)
    assert watcher.next() is SUBMITTED
    (ref,) = bare_runner.claim()
    assert watcher.next() is RUNNING
    bare_runner.report(computed(ref))
    assert watcher.next() is STARTED
    (ref,) = bare_runner.claim()
    assert watcher.next() is RUNNING
    bare_runner.report(computed(ref))
    assert [watcher.next(), watcher.next()] == [COMPLETED, None]


def test_the_same_job_is_shown_each_time_and_one_that_is_settled_once(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    client.runner(tasks=[Add]).run_all()
    (only,) = job.watch()
    assert only is job
    (other,) = client.jobs().find(job.id).watch(timeout=0)
    assert other is not job


def test_a_failed_job_is_shown_and_nothing_is_raised(client: Client, bare_runner: BareRunner) -> None:
    job = client.jobs().submit("adding", Add(1))
    watcher = Watcher(job.watch)
    assert watcher.next() is SUBMITTED
    (ref,) = bare_runner.claim()
    assert watcher.next() is RUNNING
    bare_runner.report(failed(ref))
    assert [watcher.next(), watcher.next()] == [FAILED, None]


def test_changes_during_a_look_are_one_and_the_last_is_never_left_out(client: Client) -> None:
    job = client.jobs().submit("adding", [Add(n) for n in range(5)])
    shown = []
    for same in job.watch():
        shown.append(same.refresh().state)  # reads ahead of what the watch has told
        client.runner(tasks=[Add]).run_all()
    assert (shown[0], shown[-1]) == (SUBMITTED, COMPLETED)
    assert len(shown) == 2


def test_an_interval_shows_a_job_that_does_not_change(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    watching = job.watch(interval=0.01)
    assert [next(watching).state for _ in range(4)] == [SUBMITTED] * 4
    client.jobs().cancel(job)
    assert [*watching][-1].state is JobState.CANCELED


def test_time_runs_out_with_the_state_so_far(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    for timeout, interval in ((0.0, None), (0.05, None), (0.05, 0.01)):
        watching = job.watch(interval, timeout)
        assert next(watching) is job
        with pytest.raises(
            TimeoutError, match=rf"job 'adding' .* is not settled after {timeout:g} s: SUBMITTED"
        ):
            list(watching)


def test_a_watch_can_be_left_at_any_time(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    for _ in range(3):
        for _same in job.watch():
            break
    watching = job.watch()
    assert next(watching) is job
    del watching
    assert client.jobs().cancel(job) is True


def test_a_job_that_is_deleted_while_it_is_watched(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    watcher = Watcher(client.jobs().find(job).watch)
    assert watcher.next() is SUBMITTED
    client.jobs().delete(job, force=True, reason="a typing error")
    error = watcher.next()
    assert isinstance(error, NotFoundError)
    assert "was deleted at" in str(error)
    assert "a typing error" in str(error)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"interval": 0}, "interval=0 leaves no time"),
        ({"interval": -1}, "interval=-1 is no time"),
        ({"timeout": "5"}, "timeout='5' is no time"),
    ],
)
def test_what_is_no_time_is_refused_at_once(client: Client, given: dict[str, float], says: str) -> None:
    job = client.jobs().submit("adding", Add(1))
    with pytest.raises(ArgumentError, match=says):
        job.watch(**given)


def test_a_watch_outlasts_the_engine_and_the_server(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    engine = EngineHarness(server.url, Names("default")).wait_ready()
    with Client(server.url) as client:
        jobs = client.jobs()
        job = jobs.submit("adding", [Add(1), Add(2)])
        watcher = Watcher(job.watch)
        assert watcher.next() is SUBMITTED
        engine.stop()
        engine = EngineHarness(server.url, Names("default")).wait_ready()
        # of one task: were the whole job canceled, a watch that sees it before the retry would be over
        jobs.cancel(job.tasks[0])
        jobs.retry(job.tasks[0])
        assert watcher.next() is SUBMITTED
        server.kill()
        server.start()
        client.runner(tasks=[Add]).run_all()
        last = [iter(watcher.next, None)]
        assert [*last[0]][-1] is COMPLETED
    engine.stop()
    server.stop()

"""The client of a soak: it submits jobs at a rate, and looks at them in every way there is."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque

from jobledger import Client, Job, JobState, NewJob
from jobledger.adapters.client.jobs import JobClient

from .programs import say
from .workflow import SHAPES, Hopeless

_TURN = 0.2  # seconds between two submissions of several jobs
#: jobs that may be under way before no more are submitted: what cannot keep up is not to be taken for a leak
_MOST_UNDER_WAY = 1_000


def run(url: str, namespace: str, rate: str) -> None:
    client = Client(url, namespace=namespace, patience=120)
    for look in (_watch, _come_and_go, _intervene):
        threading.Thread(target=look, args=(client, url, namespace), daemon=True).start()
    seen: list[None] = []
    subscription = client.jobs().subscribe(lambda change: seen.clear())
    say("loads")
    _submit(client.jobs(), float(rate))
    subscription.close()


def _submit(jobs: JobClient, rate: float) -> None:
    """Submit tasks at this rate, for ever, and wait for the jobs they belong to."""
    shapes = itertools.cycle(SHAPES)
    under_way: deque[tuple[Job, int]] = deque()
    due, done, told_at = 0.0, 0, time.monotonic()
    last = told_at
    while True:
        began = time.monotonic()
        due += rate * min(began - last, 2.0)
        last = began
        new: list[tuple[NewJob, int]] = []
        while due > 0 and len(under_way) + len(new) < _MOST_UNDER_WAY:
            root, tasks = next(shapes)
            new.append((NewJob("soak", root), tasks))
            due -= tasks
        due = min(due, 0.0)
        submitted = jobs.submit_many([job for job, _ in new])
        under_way += zip(submitted, (tasks for _, tasks in new), strict=True)
        while under_way and (len(under_way) > _MOST_UNDER_WAY // 2 or began - told_at >= 1.0):
            some = [under_way.popleft() for _ in range(min(200, len(under_way)))]
            jobs.wait_all([job for job, _ in some], raise_on_failure=False, timeout=120)
            done += sum(tasks for _, tasks in some)
            if len(under_way) <= _MOST_UNDER_WAY // 4:
                break
        if began - told_at >= 1.0:
            say(f"done {done}")
            told_at = began
        time.sleep(max(0.0, began + _TURN - time.monotonic()))


def _watch(client: Client, url: str, namespace: str) -> None:
    """Follow one job after the other to its end, and read what there is to read of it."""
    for root, _ in itertools.cycle(SHAPES):
        job = client.jobs().submit("watched", root)
        for shown in job.watch(timeout=120):
            assert shown.progress is not None
        assert job.history
        assert job.tasks
        client.jobs().query_logs(job)
        time.sleep(0.05)


def _come_and_go(client: Client, url: str, namespace: str) -> None:
    """Clients that stay for a moment: they ask the view, subscribe, and go on with a durable subscription."""
    while True:
        with Client(url, namespace=namespace, patience=120) as visitor:
            jobs = visitor.jobs()
            jobs.query(limit=20)
            with jobs.subscribe(lambda change: None, name="soak"), jobs.subscribe(lambda change: None):
                jobs.submit("visited", SHAPES[0][0]).wait(timeout=120)
        time.sleep(1.0)


def _intervene(client: Client, url: str, namespace: str) -> None:
    """Cancel, retry, delete and fork."""
    jobs = client.jobs()
    for root, _ in itertools.cycle(SHAPES):
        job = jobs.submit("meddled with", root, idempotency_key=f"{time.time_ns()}")
        jobs.cancel(job, reason="to see what comes of it")
        job.wait(timeout=120, raise_on_cancel=False, raise_on_failure=False)
        if job.state in (JobState.CANCELED, JobState.FAILED):
            jobs.retry(job)
            job.wait(timeout=120, raise_on_failure=False)
        if not isinstance(root, Hopeless):
            fork = jobs.fork(job)
            fork.wait(timeout=120, raise_on_failure=False)
        jobs.delete(job, force=True)
        time.sleep(0.2)

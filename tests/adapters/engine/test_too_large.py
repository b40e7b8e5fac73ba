"""What is larger than a message may be is refused once and for all, and concerns nothing else."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.link import Link
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from support.engines import (
    BareRunner,
    EngineHarness,
    command,
    computed,
    event_names,
    history,
    submission,
    submit,
    task,
)

Start = Callable[..., EngineHarness]


@pytest.fixture
def engine(start_engine: Start) -> EngineHarness:
    return start_engine().wait_ready()


def sized(size: int, spare: int) -> c.SubmitJob:
    """Return a submission that takes so many bytes as a message, less `spare`."""
    request = c.SubmitJob(uuid4().hex, "a job", submission(task()._replace(input=b"x" * size)))
    over = len(p.encode(request)) - (size - spare)
    return c.SubmitJob(request.job_id, "a job", submission(task()._replace(input=b"x" * (size - over))))


def test_a_submission_that_fits_a_message_but_no_commit_is_refused_and_leaves_nothing(
    engine: EngineHarness, link: Link
) -> None:
    for spare in (10, 60, 120):  # a commit has more around it, and headers
        request = sized(link.nc.max_payload, spare)
        reply = command(link, request)
        assert isinstance(reply, p.Refused), spare
        assert reply.code == "invalid"
        assert "max_payload" in reply.message
        assert history(link, request.job_id) == []
    assert isinstance(command(link, sized(link.nc.max_payload, 1_000)), p.Done)


def test_a_report_that_no_commit_holds_is_refused_and_its_job_goes_on(
    engine: EngineHarness, link: Link
) -> None:
    job_id = submit(link, task(), task())
    runner = BareRunner(link)
    large, small = runner.claim(limit=2)
    most = (
        link.nc.max_payload
        - len(p.encode(p.Exchange("default", [("Task", 1, 0)], [computed(large, task())])))
        - 60
    )
    report = computed(large, task()._replace(input=b"x" * most))
    reply = shared_portal().run(runner.exchanging(report, limit=0))
    assert isinstance(reply, p.Refused)
    assert "is too large" in reply.message
    assert runner.report(computed(small), c.ReleaseTask(*large, "too large for me")) == []
    assert event_names(link, job_id).count("TaskComputed") == 1

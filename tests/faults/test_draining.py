"""Runners that are told to stop: what runs may finish, what does not is released, and nothing is claimed any more."""

from __future__ import annotations

import pytest

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Step
from jobledger.adapters.portal import shared_portal
from jobledger.core import events as e
from jobledger.data import JobState
from support.engines import BareRunner, computed, event_names, history
from support.processes import PythonProcess
from support.waiting import eventually

QUICK, ENDLESS = 500, 600_000  # milliseconds
GRACE = "2"


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["in this process", "in processes"])
def test_sigterm_lets_running_tasks_finish_and_has_others_go_on_with_the_rest(
    site: Site, record: Record, processes: tuple[str, ...]
) -> None:
    site.engine().wait_ready()
    runners = site._started(
        PythonProcess(
            *("-c", "from jobledger.adapters.cli import main; main()", "runner", "start", "faults.tasks"),
            *("--url", site.url, "--namespace", site.namespace, "--concurrency", "2", "--grace", GRACE),
            *processes,
            ready="takes tasks",
        )
    )
    jobs = site.client.jobs()
    endless, quick = jobs.submit("endless", Step(ENDLESS)), jobs.submit("quick", Step(QUICK))
    eventually(lambda: len(record) == 2, within=20)
    runners.terminate()
    later = jobs.submit("later", Step())
    assert quick.wait(timeout=20).state is JobState.COMPLETED

    link = shared_portal().run(site.client._session.link())
    another = BareRunner(link, "Step", version=(0, 0))
    claimed = eventually(lambda: another.claim(wait=0.2), within=20)
    assert [ref.job_id for ref in claimed] == [str(later.id)]
    assert another.report(computed(claimed[0])) == []
    again = eventually(lambda: another.claim(wait=0.2), within=20)
    assert [(ref.job_id, ref.attempt) for ref in again] == [(str(endless.id), 2)]
    assert another.report(computed(again[0])) == []
    runners.stop()

    assert event_names(link, str(quick.id)) == [
        "JobSubmitted",
        "TasksClaimed",
        "TaskComputed",
        "JobCompleted",
    ]
    events = [event for stored in history(link, str(endless.id)) for event in stored.commit.events]
    (released,) = [event for event in events if isinstance(event, e.TaskReleased)]
    assert released.reason == "the runner was stopped while it ran this task"
    assert not [event for event in events if isinstance(event, e.LeaseExpired)]
    assert len(record) == 2  # nothing was begun after the signal

"""Several engine processes in one namespace: one is suspended, goes on when its partitions are another's, and that is killed."""

from __future__ import annotations

from faults.conftest import Site
from faults.record import Record
from faults.tasks import Chain
from jobledger import Job
from jobledger.adapters.engine.partitions.fleet import look
from jobledger.adapters.link import Link
from jobledger.adapters.nats.partitions import Partition, partition_of
from jobledger.adapters.portal import shared_portal
from jobledger.data import JobState
from support.engines import BareRunner, computed, event_names, submit
from support.processes import PythonProcess
from support.waiting import eventually

COUNT = 2


def owners(link: Link) -> list[str]:
    """Return the id of the engine that owns each partition, as far as one does."""
    return list(shared_portal().run(look(link.nc, link.names)).owners.values())


def own_all(link: Link, engine: PythonProcess) -> bool:
    owner = owners(link)
    return len(owner) == COUNT and all(f":{engine.pid}:" in one for one in owner)


def test_an_engine_that_was_suspended_changes_nothing_and_takes_over_when_the_next_is_killed(
    site: Site, record: Record
) -> None:
    """It is suspended for longer than the lease of a runner: by its own memory, the runner is dead then.

    Nobody has written to the job meanwhile, so that the log would take what it decides for the next commit.
    """
    late = site.engine(lease=1.0, more=("--partitions", str(COUNT))).wait_ready()
    link = shared_portal().run(site.client._session.link())
    eventually(lambda: own_all(link, late))
    runners = [BareRunner(link, name="bare", partition=Partition(number, COUNT)) for number in range(COUNT)]
    refs = []
    for number, runner in enumerate(runners):
        submit(link, job_id=next(one for one in map(str, range(99)) if Partition(number, COUNT).holds(one)))
        refs += runner.claim()

    def all_held() -> bool:
        return all(runner.heartbeat(ref) == [] for runner, ref in zip(runners, refs, strict=True))

    late.freeze()
    other = site.engine(lease=1.0)
    eventually(lambda: own_all(link, other))
    assert all_held()
    late.thaw()
    eventually(lambda: "is lost" in late.log or not all_held())
    assert all_held()
    for runner, ref in zip(runners, refs, strict=True):
        assert runner.report(computed(ref)) == []
        assert event_names(link, ref.job_id) == [
            "JobSubmitted",
            "TasksClaimed",
            "TaskComputed",
            "JobCompleted",
        ]
    eventually(lambda: len(set(owners(link))) == 2)  # it has its share again

    site.runner(concurrency=2)
    jobs: list[Job] = []
    while len({partition_of(str(job.id), COUNT) for job in jobs}) < COUNT:
        jobs.append(site.client.jobs().submit("chain", Chain(30, milliseconds=20)))
    eventually(lambda: len(record) > 12)
    other.kill()
    for job in jobs:
        assert job.wait(timeout=30).state is JobState.COMPLETED
    record.check(*jobs)
    eventually(lambda: own_all(link, late))

"""What the engine takes from whom, where the server tells nobody apart: each session speaks for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters import successes
from jobledger.adapters.link import Link
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names, Speaker, speaker_of
from jobledger.adapters.nats.partitions import Partition
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.policy import Policy
from support.engines import BareRunner, EngineHarness, ask, event_names, history, submit, task
from support.servers import NatsServer
from support.waiting import eventually


@pytest.fixture
def link(nats_server: NatsServer, names: Names) -> Iterator[Link]:
    engine = EngineHarness(nats_server.url, names).wait_ready()
    link = Link(lambda: Endpoint(nats_server.url), names, "test")
    shared_portal().run(link.open())
    yield link
    shared_portal().run(link.close())
    engine.stop()


Report = Callable[[p.AttemptRef], c.Report]
REPORTS: dict[str, Report] = {
    "computed": lambda ref: c.ReportComputed(*ref, 1, 2),
    "failed": lambda ref: c.ReportFailed(*ref, 1, 2, e.Error("E", "it broke")),
    "reused": lambda ref: c.ReportReused(*ref, 1, 2, ref.job_id, 0),
    "canceled": lambda ref: c.ReportCanceled(*ref, 1, 2),
    "released": lambda ref: c.ReleaseTask(*ref, "no more"),
}


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_is_taken_from_the_runner_that_claimed_the_attempt_alone(link: Link, report: str) -> None:
    job_id = submit(link)
    owner, other = BareRunner(link), BareRunner(link)
    (held,) = owner.claim()
    assert other.report(REPORTS[report](held)) == ["stale"]
    assert event_names(link, job_id) == ["JobSubmitted", "TasksClaimed"]
    assert owner.report(c.ReportComputed(*held, 1, 2)) == []


def test_progress_is_taken_from_whoever_holds_that_very_attempt(link: Link) -> None:
    job_id = submit(link, task(), task())
    one, other = BareRunner(link), BareRunner(link)
    (first,), (second,) = one.claim(), other.claim()
    other.beat(second, running=[c.ReportProgress(*first, 1, display="forged")])
    assert "TaskProgressed" not in event_names(link, job_id)
    other.beat(second, running=[c.ReportProgress(*second, 1, display="own")])
    assert event_names(link, job_id).count("TaskProgressed") == 1


def test_results_are_told_to_whoever_runs_the_task_that_depends_on_them(link: Link) -> None:
    job_id = submit(link, task(), task(after=(0,)))
    owner, other = BareRunner(link), BareRunner(link)
    (first,) = owner.claim()
    owner.report(c.ReportComputed(*first, 1, 2, result=e.Value(b"1")))
    owner.claim()
    assert isinstance(other.results(job_id, 1), p.Refused)
    assert owner.results(job_id, 1) == p.Results([(0, e.Value(b"1"))])


def test_a_runner_gets_tasks_of_the_cluster_in_its_subject(link: Link) -> None:
    submit(link, task(cluster="gpu"))
    request = p.Exchange("gpu", [("Task", 1, 0)], limit=1)
    answer = ask(link, link.names.exchange("s", "cpu"), request)
    assert isinstance(answer, p.Refused)
    assert answer.code == "invalid"
    assert len(BareRunner(link, cluster="gpu").claim()) == 1


def test_nothing_is_answered_outside_of_inboxes(link: Link) -> None:
    job_id = submit(link)
    request = p.encode(p.FollowJob(job_id, 0))

    async def attack() -> None:
        await link.nc.publish(link.names.command, request, reply=link.names.log_subject(job_id))
        await link.ask(link.names.command, request, timeout=5, patience=5)  # what came before is dealt with

    shared_portal().run(attack())
    assert len(history(link, job_id)) == 1


def test_a_success_of_one_cluster_stands_for_no_task_of_another(link: Link) -> None:
    submit(link, task(cluster="gpu", policy=Policy(reuse=True)))
    runner = BareRunner(link, cluster="gpu")
    (held,) = runner.claim()
    key = b"of a task of another cluster"
    runner.report(c.ReportComputed(*held, 1, 2, result=e.Value(b"1"), reuse_key=key))

    def recalled(by: bytes) -> successes.Success | None:
        return shared_portal().run(successes.recall(link.nc, link.names, by))

    assert eventually(lambda: recalled(successes.within("gpu", key)))
    assert recalled(key) is None
    assert recalled(successes.within("cpu", key)) is None


# -- subjects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [Names("n"), Names("n", Partition(3, 8))])
def test_who_speaks_is_read_from_the_subject(names: Names) -> None:
    speaker = Speaker("gpu-pool", "gpu-1", "5f0c")
    for subject in (
        names.exchange("5f0c", "gpu-pool", "gpu-1"),
        names.heartbeat("5f0c", "gpu-pool", "gpu-1"),
        names.results_for("5f0c", "gpu-pool", "gpu-1"),
    ):
        assert speaker_of(subject) == speaker
        assert names.asks(subject)
        assert not Names("n", Partition(4, 8)).asks(subject)


def test_two_speakers_are_never_called_the_same() -> None:
    speakers = [
        Speaker(*who)
        for who in (("a", "-", "s"), ("b", "-", "t"), ("a", "u", "s"), ("b", "u", "s"), ("a", "v", "s"))
    ]
    assert len({speaker.runner for speaker in speakers}) == len(speakers)

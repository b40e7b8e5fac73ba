"""An engine on a real server that is told nonsense: it answers, it stays up, and nobody else's job is disturbed."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.clients.followers import Followers
from jobledger.adapters.engine.live import LiveJob
from jobledger.adapters.engine.partitions.recovery import Checkpoint
from jobledger.adapters.engine.runners.dispatch import Capability, Dispatcher, Waiter
from jobledger.adapters.engine.runners.slots import Slots
from jobledger.adapters.engine.service import Engine
from jobledger.adapters.engine.writing.room import Room
from jobledger.adapters.link import Link
from jobledger.adapters.metrics.engine import EngineMeter
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import ensure_log
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.job import Job, evolve
from jobledger.core.limits import LONGEST_WAIT, MOST_HELD, MOST_IDENTIFIERS
from jobledger.core.policy import Policy
from jobledger.core.submission import Submission, TaskSpec
from jobledger.core.task import TaskIdentifier
from support.engines import (
    BareRunner,
    command,
    computed,
    event_names,
    history,
    submission,
    submit,
    task,
)
from support.servers import NatsServer

from .budget import examples
from .hostile import hostile
from .mutation import damaged, lied_about

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
SPEC = TaskSpec("Task", 1, 0, "default")
ORIGIN = e.Origin(JOB, 1, 1, bytes(32))
ANSWERED = 10.0  # seconds


def _part(number: int, subtasks: list[e.SubtasksOf] | None = None) -> e.TasksTakenOver:
    return e.TasksTakenOver(b"plan", number, [], subtasks or [])


class Besieged:
    """An engine, a job of somebody else of which a task runs, and a line to send bytes on."""

    def __init__(self, url: str) -> None:
        self.names = Names("besieged")
        self._endpoint = Endpoint(url)
        shared_portal().run(self._start())
        self.link = Link(lambda: Endpoint(url), self.names, "stranger")
        shared_portal().run(self.link.open())
        self.bystander = BareRunner(self.link, "Bystander", name="bystander")
        self.job = submit(self.link, task("Bystander"), task("Bystander"))
        (self.ref,) = self.bystander.claim()
        self.before = history(self.link, self.job)
        self.subjects = {
            "command": self.names.command,
            "exchange": self.names.exchange("stranger", "default"),
            "heartbeat": self.names.heartbeat("stranger", "default"),
            "results": self.names.results_for("stranger", "default"),
        }

    async def _start(self, *live: str) -> None:
        self._client = await connect(self._endpoint, name="engine")
        await ensure_log(self._client.jetstream(), self.names)
        self._engine = Engine(
            self._client,
            self.names,
            engine_id=uuid4().hex,
            lease=600.0,
            meter=EngineMeter(),
            room=Room(self._client, self.names),
            owned=lambda: True,
        )
        await self._engine.start(Checkpoint(0, list(live)), lambda: None)

    def begin_again(self) -> None:
        """Let another engine take over, which finds the job of somebody else in the log."""

        async def replace() -> None:
            await self._engine.stop()
            await self._client.close()
            await self._start(self.job)

        shared_portal().run(replace())

    @property
    def reconnects(self) -> int:
        """How often the engine has lost its connection."""
        return self._client.stats["reconnects"]

    @property
    def jobs_in_memory(self) -> int:
        return self._engine.jobs_in_memory

    def tell(self, what: str, *requests: bytes) -> list[p.Reply]:
        """Send these requests side by side, and return the answers: one for each, or the test fails."""

        async def ask() -> list[p.Reply]:
            asking = [self.link.nc.request(self.subjects[what], one, timeout=ANSWERED) for one in requests]
            return [p.decode_reply(answer.data) for answer in await asyncio.gather(*asking)]

        return shared_portal().run(ask(), timeout=60)

    def check(self) -> None:
        """Fail unless the job of somebody else is as it was, and the log as a whole can be read."""
        assert history(self.link, self.job) == self.before
        assert self.bystander.heartbeat(self.ref) == []

    def close(self) -> None:
        assert self.bystander.report(computed(self.ref)) == []  # it goes on as if nothing had been
        (other,) = self.bystander.claim()
        assert self.bystander.report(computed(other)) == []
        assert event_names(self.link, self.job)[-1] == "JobCompleted"
        shared_portal().run(self.link.close())
        shared_portal().run(self._engine.stop())
        shared_portal().run(self._client.close())


@pytest.fixture(scope="module")
def besieged(nats_server: NatsServer) -> Iterator[Besieged]:
    besieged = Besieged(nats_server.url)
    yield besieged
    besieged.close()


@pytest.fixture(autouse=True)
def no_surprise(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever an engine is told, it never says that it failed on it."""
    with caplog.at_level(logging.ERROR):
        yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


VALID: dict[str, list[bytes]] = {
    "command": [
        p.encode(one)
        for one in (
            c.SubmitJob(
                JOB, "a job", submission(task(), task(after=(0,))), "me", e.JobOptions({"a": "b"}, key="k")
            ),
            c.CancelJob(JOB, "one", "me", "why", 5),
            c.CancelTask(JOB, "two", 0),
            c.RetryJob(JOB, "three", "me", 0),
            c.DeleteJob(JOB, "four"),
            c.TakeOver(
                JOB,
                e.TasksTakenOver(b"plan", 0, [e.TakenOver(0, 0, 3)], [e.SubtasksOf(0, submission(task()))]),
            ),
            c.ForkJob(
                JOB,
                "a fork",
                submission(task()),
                "me",
                e.JobOptions(origin=e.Origin(JOB, 1, 1, bytes(32))),
                e.TasksTakenOver(b"plan", 1, []),
            ),
            p.FollowJob(JOB, wait=0.0),
        )
    ],
    "exchange": [
        p.encode(p.Exchange("default", [("Task", 1, 0)], [one], 1, 0.0, [p.AttemptRef(JOB, 0, 1)]))
        for one in (
            c.ReportComputed(
                JOB, 0, 1, 1, 2, submission(task()), "shown", [e.Progress("a", 2, 1)], e.Value(b"1")
            ),
            c.ReportFailed(JOB, 0, 1, 1, 2, e.Error("ValueError", "it broke")),
            c.StageSubtasks(JOB, 0, 1, submission(task())),
            c.ReleaseTask(JOB, 0, 1, "why"),
            c.ReportReused(JOB, 0, 1, 1, 2, JOB, 0),
        )
    ],
    "heartbeat": [p.encode(p.Heartbeat([p.AttemptRef(JOB, 0, 1)], [c.ReportProgress(JOB, 0, 1, 1)]))],
    "results": [p.encode(p.ReadResults(JOB, 0))],
}
EVERYTHING = [one for several in VALID.values() for one in several]
lots = st.randoms(use_true_random=True)


def refused(reply: p.Reply) -> bool:
    return isinstance(reply, p.Refused) and reply.code == "invalid"


# -- bytes --------------------------------------------------------------------------------------------------------


@examples(12)
@given(what=st.sampled_from(sorted(VALID)), random=lots)
def test_bytes_that_were_damaged_on_the_way_are_answered(
    besieged: Besieged, what: str, random: Random
) -> None:
    requests = [damaged(random.choice(VALID[what]), random, EVERYTHING) for _ in range(20)]
    for reply in besieged.tell(what, *requests):
        assert not (isinstance(reply, p.Refused) and reply.code == "internal"), reply
    besieged.check()


@examples(12)
@given(what=st.sampled_from(sorted(VALID)), random=lots)
def test_requests_with_values_that_make_no_sense_are_answered(
    besieged: Besieged, what: str, random: Random
) -> None:
    requests = [lied_about(random.choice(VALID[what]), random) for _ in range(20)]
    for reply in besieged.tell(what, *requests):
        assert not (isinstance(reply, p.Refused) and reply.code == "internal"), reply
    besieged.check()


@examples(10)
@given(
    st.lists(hostile(p.CommandRequest), min_size=8, max_size=8),
    st.lists(hostile(p.Exchange, cluster=st.just("default"), wait=st.just(0.0)), min_size=8, max_size=8),
    st.lists(hostile(p.Heartbeat), min_size=4, max_size=4),
)
def test_well_formed_requests_of_any_kind_are_answered(
    besieged: Besieged,
    commands: list[p.CommandRequest],
    exchanges: list[p.Exchange],
    heartbeats: list[p.Heartbeat],
) -> None:
    at_once = [
        msgspec.structs.replace(one, wait=0.0) if isinstance(one, p.FollowJob) else one for one in commands
    ]
    for what, requests in (("command", at_once), ("exchange", exchanges), ("heartbeat", heartbeats)):
        for reply in besieged.tell(what, *map(p.encode, requests)):
            assert not (isinstance(reply, p.Refused) and reply.code == "internal"), reply
    besieged.check()


# -- requests that are absurd, and well-formed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "job_id",
    ["", " ", "*", ">", "a.b", "a b", "a\0b", "x" * 65, "a\r\nPUB jobledger.besieged.halted 0\r\n\r\n", "é"],
)
def test_no_job_has_an_id_that_is_more_than_one_word_of_a_subject(besieged: Besieged, job_id: str) -> None:
    ref = (job_id, 0, 1)
    (submitted,) = besieged.tell("command", p.encode(c.SubmitJob(job_id, "a job", submission(task()))))
    assert refused(submitted)
    for request in (c.CancelJob(job_id, "one"), p.FollowJob(job_id, wait=0.0), c.TakeOver(job_id, _part(0))):
        assert refused(besieged.tell("command", p.encode(request))[0])
    (answer,) = besieged.tell("exchange", p.encode(p.Exchange("default", [], [c.ReleaseTask(*ref, "")])))
    assert isinstance(answer, p.Exchanged)
    assert [one.code for one in answer.refused] == ["invalid"]
    (seen,) = besieged.tell("heartbeat", p.encode(p.Heartbeat([p.AttemptRef(*ref)])))
    assert isinstance(seen, p.HeartbeatSeen)
    assert seen.lost == [p.AttemptRef(*ref)]
    besieged.check()


def asking(**policy: Any) -> Submission:
    """Return a task that asks for this."""
    return Submission([b""], [TaskSpec("Task", 1, 0, "default", policy=Policy(**policy))], [0, 1])


def of_kind(name: str = "Task", major: int = 1, cluster: str = "default", retries: int = 0) -> Submission:
    return Submission([b""], [TaskSpec(name, major, 0, cluster, retries)], [0, 1])


ABSURD: dict[str, Submission] = {
    "no tasks": Submission([], [SPEC], []),
    "a range of very many tasks": Submission([b""], [SPEC], [0, 1], [[0, 10**12]], [0, 1]),
    "a column of very many tasks": Submission([b""], [SPEC], [0, 10**12]),
    "a task that waits for itself": Submission([b""], [SPEC], [0, 1], [[0, 1]], [0, 1]),
    "a task that waits for a later one": Submission([b""] * 2, [SPEC], [0, 2], [[1, 2]], [0, 1, -1, 1]),
    "tasks that wait for each other": Submission([b""] * 2, [SPEC], [0, 2], [[1, 2], [0, 1]], [0, 1, 1, 1]),
    "very many dependencies in few bytes": Submission(
        [b""] * 5000,
        [SPEC],
        [0, 5000],
        [[0, 2500]] * 2500,
        [-1, 2500, *[n for i in range(2500) for n in (i, 1)]],
    ),
    "a chunk without those before it": Submission([b""], [SPEC], [0, 1], start=2**40),
    "a reference far away": Submission([b""], [SPEC], [0, 1], references=[10**12, 10**12 + 1]),
    "a kind of task that is not there": Submission([b""], [SPEC], [7, 1]),
    "a priority beyond 64 bits": asking(priority=2**63),
    "a start beyond the year 9999": asking(not_before=2**62),
    "a time limit of a thousand years": asking(timeout=1000 * 365 * 86400 * 10**6),
    "a backoff that is no number": asking(backoff=math.nan),
    "a jitter without end": asking(jitter=math.inf),
    "a concurrency key without end": asking(key="k" * 10_000, limit=1),
    "more slots than there are numbers for": asking(key="k", limit=2**63),
    "very many exceptions": asking(retry_on=("E",) * 5000),
    "a cluster without end": of_kind(cluster="c" * 10_000),
    "a task whose name has no end": of_kind("n" * 10_000),
    "a version that is none": of_kind(major=-1),
    "more retries than there are numbers for": of_kind(retries=2**63),
}


@pytest.mark.parametrize("what", ABSURD)
def test_what_no_job_can_be_made_of_is_refused_and_leaves_nothing(besieged: Besieged, what: str) -> None:
    job_id = uuid4().hex
    for request in (
        c.SubmitJob(job_id, "a job", ABSURD[what]),
        c.ForkJob(job_id, "a fork", ABSURD[what], "", e.JobOptions(origin=ORIGIN), _part(0)),
        c.TakeOver(job_id, _part(0, [e.SubtasksOf(0, ABSURD[what])])),
    ):
        (reply,) = besieged.tell("command", p.encode(request))
        assert refused(reply), reply
    assert history(besieged.link, job_id) == []
    besieged.check()


@pytest.mark.parametrize("what", ABSURD)
def test_subtasks_that_cannot_be_are_refused_and_the_attempt_goes_on(besieged: Besieged, what: str) -> None:
    job_id = submit(besieged.link)
    runner = BareRunner(besieged.link, name=f"runner-{job_id}")
    (ref,) = runner.claim()
    tasks = ABSURD[what]
    reports = (c.ReportComputed(*ref, 1, 2, tasks), c.StageSubtasks(*ref, tasks))
    assert [runner.report(report) for report in reports] == [["invalid"], ["invalid"]]
    assert runner.report(computed(ref)) == []
    assert event_names(besieged.link, job_id) == [
        "JobSubmitted",
        "TasksClaimed",
        "TaskComputed",
        "JobCompleted",
    ]


OPTIONS = {
    "very many labels": e.JobOptions({str(number): "" for number in range(1000)}),
    "a label without end": e.JobOptions({"a": "b" * 10_000}),
    "the name of a label without end": e.JobOptions({"a" * 10_000: ""}),
    "a key without end": e.JobOptions(key="k" * 10_000),
    "a deadline beyond the year 9999": e.JobOptions(deadline=2**62),
    "a traceparent without end": e.JobOptions(trace="0" * 10_000),
    "a key store that is not there": e.JobOptions(sealed="../../keys/one"),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_options_beyond_what_any_client_asks_for_are_refused(besieged: Besieged, what: str) -> None:
    job_id = uuid4().hex
    request = c.SubmitJob(job_id, "a job", submission(task()), "", OPTIONS[what])
    assert refused(besieged.tell("command", p.encode(request))[0])
    assert history(besieged.link, job_id) == []


@pytest.mark.parametrize(
    "request_",
    [
        c.CancelJob(JOB, "x" * 1000),
        c.CancelJob(JOB, "one", reason="x" * 10_000),
        c.RetryJob(JOB, "one", by="x" * 10_000),
        p.Exchange("default", [("Task", 1, 0)] * (MOST_IDENTIFIERS + 1)),
        p.Exchange("default", [("", 0, 0)] * 250_000),
        p.Exchange("default", [], [c.ReportComputed(JOB, 0, 1, 1, 2, display="x" * 20_000)]),
        p.Exchange(
            "default", [], [c.ReportComputed(JOB, 0, 1, 1, 2, progress=[e.Progress("", 1, 1)] * 1001)]
        ),
        p.Exchange("default", [], [c.ReportComputed(JOB, 0, 1, 1, 2, reuse_key=b"x" * 65)]),
        p.Exchange("default", [], holds=[p.AttemptRef("", 0, 0)] * (MOST_HELD + 1)),
        p.Heartbeat([p.AttemptRef("", 0, 0)] * (MOST_HELD + 1)),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_is_longer_than_anybody_sends_it_is_refused_as_it_is_decoded(
    besieged: Besieged, request_: Any
) -> None:
    kinds: dict[type[Any], str] = {p.Exchange: "exchange", p.Heartbeat: "heartbeat"}
    what = kinds.get(type(request_), "command")
    assert refused(besieged.tell(what, p.encode(request_))[0])


@pytest.mark.parametrize("limit", [-1, -(2**63), 10**18, 2**63 - 1])
def test_a_runner_gets_what_fits_an_answer_however_much_it_asks_for(besieged: Besieged, limit: int) -> None:
    job_id = submit(besieged.link, *[task("Many")] * 3)
    runner = BareRunner(besieged.link, "Many", name=f"runner-{job_id}")
    taken = runner.claim(limit, wait=0.0)
    assert [ref.task for ref in taken] == ([0, 1, 2] if limit > 0 else [])
    command(besieged.link, c.DeleteJob(job_id, "away", force=True))


@pytest.mark.parametrize("wait", [math.nan, math.inf, -math.inf, -1.0, 1e308])
def test_nobody_is_waited_for_without_end(wait: float) -> None:
    status = p.JobStatus(1, 1, 1, False, [])

    async def open_questions() -> list[float]:
        loop = asyncio.get_running_loop()
        followers, dispatcher = Followers(), Dispatcher(Slots())
        capability = Capability.of(p.Exchange("default", []))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_later", lambda delay, *_: waits.append(delay))
            waits: list[float] = []
            followers.hold(p.FollowJob(JOB, wait=wait), status, lambda _: None)
            dispatcher.hold(Waiter("runner", capability, lambda _: None), wait)
        return waits

    for seconds in asyncio.run(open_questions()):
        assert not seconds > LONGEST_WAIT
        assert not math.isnan(seconds)


@pytest.mark.parametrize("number", [-1, 2**31, 2**63, 2**64 - 1])
def test_reports_of_tasks_and_attempts_that_cannot_be_are_refused(besieged: Besieged, number: int) -> None:
    for task_, attempt in ((number, 1), (0, number)):
        reports: list[c.Report] = [
            c.ReportComputed(besieged.job, task_, attempt, 1, 2),
            c.ReportFailed(besieged.job, task_, attempt, 1, 2, e.Error("E", "")),
            c.ReleaseTask(besieged.job, task_, attempt, ""),
            c.StageSubtasks(besieged.job, task_, attempt, submission(task())),
        ]
        (answer,) = besieged.tell("exchange", p.encode(p.Exchange("default", [], reports)))
        assert isinstance(answer, p.Exchanged)
        assert len(answer.refused) == len(reports)
    besieged.check()


@pytest.mark.parametrize("what", ["exchange", "heartbeat", "results", "command"])
def test_what_is_said_of_settled_jobs_keeps_none_of_them_in_memory(besieged: Besieged, what: str) -> None:
    jobs = [submit(besieged.link, task("Short")) for _ in range(3)]
    runner = BareRunner(besieged.link, "Short", name="short")
    taken = [ref for _ in jobs for ref in runner.claim()]
    assert [runner.report(computed(ref)) for ref in taken] == [[]] * 3
    besieged.begin_again()  # one that has never heard of them
    assert besieged.jobs_in_memory == 1
    requests: dict[str, list[Any]] = {
        "exchange": [p.Exchange("default", [], [c.ReleaseTask(*ref, "") for ref in taken])],
        "heartbeat": [p.Heartbeat(taken)],
        "results": [p.ReadResults(ref.job_id, 0) for ref in taken],
        "command": [c.CancelJob(ref.job_id, "one") for ref in taken],
    }
    besieged.tell(what, *map(p.encode, requests[what]))
    assert besieged.jobs_in_memory == 1


def test_a_job_that_is_being_forked_is_not_submitted(besieged: Besieged) -> None:
    job_id = uuid4().hex
    (taken,) = besieged.tell("command", p.encode(c.TakeOver(job_id, _part(0))))
    assert isinstance(taken, p.Done)
    (reply,) = besieged.tell("command", p.encode(c.SubmitJob(job_id, "a job", submission(task()))))
    assert isinstance(reply, p.Refused)
    assert reply.code == "conflict"
    assert event_names(besieged.link, job_id) == ["TasksTakenOver"]


def test_a_chain_of_many_tasks_is_a_job_like_any_other(besieged: Besieged) -> None:
    count = 5_000
    chain = Submission(
        [b""] * count,
        [TaskSpec("Link", 1, 0, "default")],
        [0, count],
        [[n, n + 1] for n in range(count - 1)],
        [-1, 1, *[n for i in range(count - 1) for n in (i, 1)]],
    )
    (reply,) = besieged.tell("command", p.encode(c.SubmitJob(job_id := uuid4().hex, "a chain", chain)))
    assert isinstance(reply, p.Done)
    command(besieged.link, c.DeleteJob(job_id, "away", force=True))
    besieged.check()


@pytest.mark.parametrize("length", [100, 3_990])
def test_whoever_asks_cannot_have_the_engine_break_its_connection_by_the_answer(
    besieged: Besieged, length: int
) -> None:
    """A server hangs up on who names a subject that is too long, and it is the asker who names that of the answer."""
    reply = "r" * length

    async def ask() -> None:
        await besieged.link.nc.publish(besieged.names.command, b"nonsense", reply=reply)
        await besieged.link.nc.flush()

    shared_portal().run(ask())
    assert refused(besieged.tell("command", b"nonsense")[0])  # what came before it has been answered
    assert besieged.reconnects == 0
    besieged.check()


def test_kinds_of_task_and_runners_that_never_come_back_are_forgotten() -> None:
    dispatcher = Dispatcher(Slots())
    for number in range(5_000):
        live = LiveJob(Job(f"job-{number}"))
        evolve(live.job, e.JobSubmitted("a job", of_kind(f"Task {number}")), 1)
        dispatcher.refresh(live)
        assert (
            list(dispatcher.jobs_for(Capability("default", (TaskIdentifier(f"Task {number}", 1, 0),)))) != []
        )
        dispatcher.forget(live)
    assert len(dispatcher._ready) < 2_000
    assert len(dispatcher._covered) < 2_000

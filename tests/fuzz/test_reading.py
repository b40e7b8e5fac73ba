"""A job whose tasks, texts, times and numbers are as bad as the engine lets them be is decided, kept and shown all the same."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import Commit, decode_commit, encode_commit
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job, evolve
from jobledger.core.limits import LAST_TIME
from jobledger.core.options import LONGEST, MOST_PRIORITY
from jobledger.core.policy import Policy
from jobledger.core.submission import NewTask, Submission, TaskSpec, columns
from jobledger.projections.cards import job_bundle, task_bundle
from jobledger.projections.feed import FeedEncoder, JobContext, Place, told
from jobledger.projections.feed.tasks import json_of
from jobledger.projections.job_view import JobView
from support.random_history import T0, Placed

from .budget import examples
from .hostile import TEXTS, hostile, integers, octets, texts
from .reading import read_in_every_way

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"

# as bad as they are taken: what is beyond, `test_engine` sees refused
names = st.sampled_from([text for text in TEXTS if 0 < len(text) <= 100])
lengths = st.sampled_from([0, 1, 5, LONGEST * 1_000_000])
moments = st.sampled_from([0, 1, T0, LAST_TIME])
policies = st.builds(
    Policy,
    priority=st.sampled_from([-MOST_PRIORITY, -1, 0, 1, MOST_PRIORITY]),
    not_before=moments,
    on_failure=st.integers(0, 2),
    timeout=lengths,
    delay=lengths,
    backoff=st.sampled_from([1.0, 2.0, 1000.0]),
    cap=lengths,
    jitter=st.sampled_from([0.0, 0.5, 1.0]),
    retry_on=st.none() | st.tuples(names),
    give_up=st.just(()) | st.tuples(names),
    reuse=st.booleans(),
)
specs = st.builds(
    TaskSpec,
    names,
    st.integers(0, 10**9 - 1),
    st.integers(0, 10**9 - 1),
    names,
    st.integers(0, 3),
    st.booleans(),
    st.none() | policies,
)
submissions: st.SearchStrategy[Submission] = st.lists(
    st.builds(NewTask, specs, octets, st.just(frozenset())), min_size=1, max_size=3
).map(lambda tasks: next(columns(tasks)))
options = st.none() | st.builds(
    e.JobOptions,
    labels=st.dictionaries(names, names, max_size=3),
    continues=st.booleans(),
    deadline=moments | st.just(-LAST_TIME),
    force=st.booleans(),
    key=names | st.just(""),
    trace=names | st.just(""),
    sealed=names | st.just(""),
)
displays = st.none() | texts
counts = st.none() | st.lists(hostile(e.Progress), max_size=3)
values = st.none() | hostile(e.Value)


def reports(task: int, attempt: int) -> st.SearchStrategy[c.Report]:
    of = (st.just(JOB), st.just(task), st.just(attempt))
    times = (integers, integers)
    return st.one_of(
        st.builds(
            c.ReportComputed,
            *of,
            *times,
            st.none() | submissions,
            displays,
            counts,
            values,
            st.none() | octets,
        ),
        st.builds(c.ReportFailed, *of, *times, hostile(e.Error), displays, counts, st.booleans()),
        st.builds(c.ReleaseTask, *of, texts),
        st.builds(c.ReportCanceled, *of, *times, displays, counts),
        st.builds(c.ReportReused, *of, *times, texts, integers, values),
        st.builds(c.ReportProgress, *of, integers, counts, displays),
        st.builds(c.StageSubtasks, *of, submissions),
        st.builds(c.ExpireLease, *of),
    )


interventions: st.SearchStrategy[c.Command] = st.one_of(
    st.builds(c.CancelJob, st.just(JOB), texts, texts, texts, integers),
    st.builds(c.RetryJob, st.just(JOB), texts, texts, st.integers(-1, 3), integers),
    st.builds(c.CancelTask, st.just(JOB), texts, st.integers(0, 3), texts, texts, integers),
    st.builds(c.DeleteJob, st.just(JOB), texts, texts, texts, st.booleans()),
)


class Engine:
    """Decides as an engine does. What it decides can be applied, written and read, or the test fails."""

    def __init__(self) -> None:
        self.job = Job(JOB)
        self.commits: list[Placed] = []
        self._now = T0

    def do(self, command: c.Command) -> None:
        self._now += 1000
        try:
            events = decide(self.job, command, self._now)
        except Refusal as refusal:
            refusal.message.encode()
            return
        for event in events:
            evolve(self.job, event, self._now)
        if events:
            version = len(self.commits) + 1
            commit = Commit(bytes(16), bytes(32), self._now, "engine", False, list(events))
            self.commits.append(Placed(3 * version, version, decode_commit(encode_commit(commit))))

    def claim(self, runner: str) -> list[int]:
        self.job.graph.wake(2**64)
        kinds = list(range(len(self.job.specs)))
        self.do(c.ClaimTasks(JOB, runner, kinds, 5, dict.fromkeys(self.job.slots, 5)))
        return list(self.job.claimed_by)


@examples(80)
@given(st.data())
def test_whatever_the_engine_takes_every_reader_can_show(data: st.DataObject) -> None:
    engine = Engine()
    engine.do(data.draw(st.builds(c.SubmitJob, st.just(JOB), names, submissions, names, options)))
    for _ in range(data.draw(st.integers(0, 3))):
        for task in engine.claim(data.draw(texts))[:2]:
            if task in engine.job.claimed_by:
                engine.do(data.draw(reports(task, engine.job.attempt[task])))
        if data.draw(st.integers(0, 3)) == 0:
            engine.do(data.draw(interventions))
    if engine.commits:
        read_in_every_way(JOB, engine.commits)


DEEP = b"[" * 100_000 + b"]" * 100_000


def test_json_that_is_nested_deeper_than_anybody_can_walk_is_shown_as_text() -> None:
    engine = Engine()
    engine.do(
        c.SubmitJob(JOB, "a job", next(columns([NewTask(TaskSpec("T", 1, 0, "d"), DEEP, frozenset())])))
    )
    engine.claim("runner")
    engine.do(c.ReportComputed(JOB, 0, 1, 1, 2, result=e.Value(DEEP)))
    assert json_of(DEEP) is None  # the feed says it as base64
    view = JobView(JOB)
    for placed in engine.commits:
        view.apply(*placed)
    assert view.result == DEEP.decode()
    read_in_every_way(JOB, engine.commits)


@examples(30)
@given(
    st.lists(
        st.builds(e.UnknownEvent, st.integers(1000, 2**63), st.lists(hostile(object), max_size=3)), max_size=3
    )
)
def test_events_of_a_later_version_are_shown_whatever_they_hold(unknown: list[e.UnknownEvent]) -> None:
    engine = Engine()
    engine.do(c.SubmitJob(JOB, "a job", next(columns([NewTask(TaskSpec("T", 1, 0, "d"), b"", frozenset())]))))
    commit = Commit(bytes(16), bytes(32), T0, "engine", False, list(unknown))
    engine.commits.append(Placed(9, 2, decode_commit(encode_commit(commit))))
    read_in_every_way(JOB, engine.commits)
    context, encoder = JobContext(), FeedEncoder("default")
    for unsent in told(context, Place(JOB, 1, 1, T0), engine.commits[-1].commit.events):
        json.loads(encoder.encode(unsent, 1).payload)


def test_a_sealed_job_is_shown_to_whoever_has_no_key() -> None:
    engine = Engine()
    tasks = next(columns([NewTask(TaskSpec("T", 1, 0, "d"), b"", frozenset())]))
    engine.do(c.SubmitJob(JOB, "a job", tasks, "", e.JobOptions(sealed="nats/one")))
    engine.claim("runner")
    engine.do(c.ReportComputed(JOB, 0, 1, 1, 2, result=e.Value(b"1")))
    view = JobView(JOB)
    for placed in engine.commits:
        view.apply(*placed)
    for bundle in (job_bundle(view), task_bundle(view.tasks[0])):
        assert "(sealed)" in bundle["text/plain"]

"""The feed as a pure function: what is said of each event, to whom, and under which name."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any, get_args

import msgspec
import pytest

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core import ranges
from jobledger.core.job import Job, evolve
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.projections.feed import FeedEncoder, FeedId, JobContext, Place, told, told_damaged
from jobledger.projections.feed.mapping import TOLD
from jobledger.projections.feed.messages import LARGEST
from jobledger.projections.feed.subjects import kind_token, text_of_kind
from support.histories import ERROR, JOB, JobDriver, submission, task
from support.random_history import T0, committed, random_history

ATTRIBUTE = re.compile(r"[a-z0-9]+")
SEEDS = range(25)


class Told:
    """What the feed says of one commit after the other."""

    def __init__(self) -> None:
        self.context = JobContext()
        self.subjects: list[str] = []
        self.payloads: list[bytes] = []
        self._encoder = FeedEncoder("default")
        self._position = 0

    def tell(
        self, *events: e.Event | e.UnknownEvent, at: int = T0, position: int = 0
    ) -> list[dict[str, Any]]:
        self._position = position or self._position + 1
        first = len(self.payloads)
        place = Place(JOB, self._position, self.context.version + 1, at)
        for unsent in told(self.context, place, events):
            message = self._encoder.encode(unsent, len(self.payloads) + 1)
            self.subjects.append(message.subject)
            self.payloads.append(message.payload)
        return self.events[first:]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads]

    def of(self, subject: str) -> list[dict[str, Any]]:
        """Return what a subscriber to a subject with wildcards hears."""
        wanted = re.compile(subject.replace(".", r"\.").replace("*", "[^.]+").replace(">", ".+"))
        return [
            event for name, event in zip(self.subjects, self.events, strict=True) if wanted.fullmatch(name)
        ]


def told_of(driver: JobDriver) -> Told:
    feed = Told()
    for placed in committed(driver):
        feed.tell(*placed.commit.events, at=placed.commit.at, position=placed.position)
    return feed


def data(events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(event["type"].split(".", 1)[1].removesuffix(".v1"), event["data"]) for event in events]


# -- what is said -----------------------------------------------------------------------------------------------------


def test_every_type_of_event_has_a_message() -> None:
    assert set(TOLD) == set(get_args(e.Event))


def test_a_job_is_told_from_its_submission_to_its_end() -> None:
    feed = Told()
    options = e.JobOptions({"team": "maps"}, deadline=T0 + 1, trace="00-ab-cd-01")
    roots = submission(task("Fetch", data=b'{"url":"a"}', retries=2, optional=True))
    submitted = feed.tell(e.JobSubmitted("nightly", roots, "ada@host", options))
    fetched = e.TaskComputed(
        0, 1, T0, T0 + 5, None, "done", [e.Progress("tiles", 9, 3)], e.Value(b'{"bytes":7}')
    )
    rest = feed.tell(e.TasksClaimed("runner-1", 1, [0, 1]), fetched, e.JobCompleted(), at=T0 + 6)
    assert data(submitted) == [
        (
            "job.submitted",
            {
                "name": "nightly",
                "tasks": 1,
                "by": "ada@host",
                "labels": {"team": "maps"},
                "deadline": "2023-11-14T22:13:20.000001Z",
            },
        ),
        (
            "task.submitted",
            {
                "groups": [
                    {
                        "version": "v1.0",
                        "tasks": [{"task": 0, "input": {"url": "a"}}],
                        "max_retries": 2,
                        "optional": True,
                    }
                ]
            },
        ),
    ]
    assert data(rest) == [
        ("task.claimed", {"runner": "runner-1", "attempt": 1, "tasks": [0]}),
        (
            "task.computed",
            {
                "task": 0,
                "attempt": 1,
                "started": "2023-11-14T22:13:20Z",
                "stopped": "2023-11-14T22:13:20.000005Z",
                "display": "done",
                "progress": [{"label": "tiles", "total": 9, "done": 3}],
                "result": {"bytes": 7},
            },
        ),
        ("job.completed", {"name": "nightly"}),
    ]
    assert {event["traceparent"] for event in feed.events} == {"00-ab-cd-01"}


def test_the_envelope_of_a_message() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task("Fetch", cluster="gpu"))))
    feed.tell(e.TasksClaimed("r", 1, [0, 1]), position=77)
    (event,) = feed.tell(e.TaskReleased(0, 1, "enough"), position=78)
    assert {key: value for key, value in event.items() if key != "data"} == {
        "specversion": "1.0",
        "id": "78-0",
        "source": "/jobledger/default",
        "type": "jobledger.task.released.v1",
        "subject": f"jobs/{JOB}/tasks/0",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000004",
        "jobid": JOB,
        "position": "78",
        "version": 3,
        "index": 0,
        "time": "2023-11-14T22:13:20Z",
        "cluster": "gpu",
        "taskname": "Fetch",
    }
    assert feed.subjects[-1] == f"gpu.{JOB}.Fetch.task.released"


@pytest.mark.parametrize("seed", SEEDS)
def test_random_histories_are_told_whole_in_order_and_as_legal_cloudevents(seed: int) -> None:
    random = Random(seed)
    history = committed(random_history(random), random)
    feed = Told()
    for placed in history:
        feed.tell(*placed.commit.events, at=placed.commit.at, position=placed.position)
    events = feed.events
    ids = [FeedId.parse(event["id"]) for event in events]
    assert ids == sorted(set(ids))
    places = [(placed.position, index) for placed in history for index in range(len(placed.commit.events))]
    assert list(dict.fromkeys((at.position, at.event) for at in ids)) == places
    for number, (event, at) in enumerate(zip(events, ids, strict=True), 1):
        assert int(event["sequence"]) == number
        assert (event["position"], event["index"], event.get("part", 0)) == (
            str(at.position),
            at.event,
            at.part,
        )
        assert at.part < event.get("parts", 1)
        for name, value in event.items():
            assert ATTRIBUTE.fullmatch(name)
            assert name == "data" or isinstance(value, str | int)
            assert not isinstance(value, int) or -(2**31) <= value < 2**31


@pytest.mark.parametrize("seed", SEEDS)
def test_who_subscribes_to_a_kind_hears_all_of_its_tasks_and_of_no_others(seed: int) -> None:
    driver = random_history(Random(seed))
    feed, job = told_of(driver), Job(JOB)
    expected: dict[str, list[tuple[str, int]]] = {name: [] for name in "ABC"}
    for at, events in driver.history:
        for event in events:
            evolve(job, event, at)
            found: list[int] = []
            match event:
                case e.TasksClaimed() | e.TasksSkipped() | e.TasksCanceled() | e.TasksAbandoned():
                    found = list(ranges.numbers(event.tasks))
                case e.TaskComputed() | e.TaskFailed() | e.OptionalTaskFailed() | e.AttemptFailed():
                    found = [event.task]
            for number in found:
                expected[job.spec_of(number).name].append((TOLD[type(event)][0].TYPE, number))
    for name, wanted in expected.items():
        heard = []
        for said in feed.of(f"default.*.{name}.task.*"):
            kind = said["type"].split(".", 1)[1].removesuffix(".v1")
            if kind in {one for one, _ in wanted}:
                numbers = said["data"].get("tasks", [said["data"].get("task")])
                heard += [(kind, number) for number in numbers]
        assert sorted(heard) == sorted(wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_new_tasks_are_told_with_number_input_and_what_they_wait_for(seed: int) -> None:
    driver = random_history(Random(seed))
    found: dict[int, tuple[Any, set[int], int | None]] = {}
    for event in told_of(driver).of("*.*.*.task.submitted"):
        for group in event["data"]["groups"]:
            waits = {n for first, last in group.get("depends_on", []) for n in range(first, last + 1)}
            for one in group["tasks"]:
                found[one["task"]] = (one["input"], waits, event["data"].get("parent"))
    graph = driver.job.graph
    assert found == {
        number: (
            json.loads(driver.job.inputs[number]),
            set(ranges.numbers(graph.members[at])) if (at := graph.dependencies[number]) >= 0 else set(),
            parent if (parent := graph.parent[number]) >= 0 else None,
        )
        for number in range(len(graph))
    }


# -- parts ------------------------------------------------------------------------------------------------------------


def test_an_event_about_tasks_of_several_kinds_is_told_to_each() -> None:
    feed = Told()
    kinds = [("gpu", "Fetch"), ("gpu", "Load"), ("cpu", "Fetch"), ("gpu", "Fetch")]
    feed.tell(e.JobSubmitted("a job", submission(*(task(name, cluster=cluster) for cluster, name in kinds))))
    claims = feed.tell(e.TasksClaimed("r", 1, [0, 4]))
    assert [(one["id"], one.get("part", 0), one["parts"]) for one in claims] == [
        ("2-0-0", 0, 3),
        ("2-0-1", 1, 3),
        ("2-0-2", 2, 3),
    ]
    assert [one["data"]["tasks"] for one in claims] == [[0, 3], [1], [2]]
    assert [one["data"]["tasks"] for one in feed.of("gpu.*.Fetch.task.claimed")] == [[0, 3]]
    assert [one["data"]["tasks"] for one in feed.of("gpu.>") if "claimed" in one["type"]] == [[0, 3], [1]]


def test_more_than_a_message_can_hold_is_told_in_several() -> None:
    feed = Told()
    inputs = [json.dumps("x" * 400 + str(number)).encode() for number in range(30_000)]
    spec = TaskSpec("Fetch", 1, 0, "default")
    roots = submission(*(NewTask(spec, one, frozenset()) for one in inputs))
    _, *parts = feed.tell(e.JobSubmitted("many", roots))
    assert len(parts) > 10
    told_tasks = [one for part in parts for group in part["data"]["groups"] for one in group["tasks"]]
    assert [one["task"] for one in told_tasks] == list(range(30_000))
    assert [json.dumps(one["input"]).encode() for one in told_tasks] == inputs
    claims = feed.tell(e.TasksClaimed("r", 1, [0, 30_000]))
    assert [len(one["data"]["tasks"]) for one in claims] == [10_000] * 3
    assert max(map(len, feed.payloads)) < LARGEST


def test_what_fits_no_message_is_left_out_and_said_to_be() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task())))
    (event,) = feed.tell(e.TaskProgressed(0, 1, T0, None, "ä" * LARGEST))
    assert event["omittedbytes"] > LARGEST
    assert "data" not in event


def test_a_cancellation_is_heard_by_the_kind_that_was_canceled_and_by_those_that_run() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task("A"), task("B"), task("A"))))
    told_to = feed.tell(e.CancelRequested(0, [1, 3], "command", "ada", "no need", 1_500_000, 3))
    assert [(one["taskname"], one["data"]["running"]) for one in told_to] == [("A", [2]), ("B", [1])]
    assert told_to[0]["data"]["grace"] == 1.5
    (alone,) = feed.tell(e.CancelRequested(1, [], "other"))
    assert (alone["taskname"], alone["data"]["running"]) == ("B", [])


def test_a_retry_is_told_of_the_job_and_of_each_kind_that_was_reset() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task("A"), task("B"))))
    feed.tell(e.JobRetried("command", [0, 2], 5, "ada"))
    assert [event["data"]["tasks"] for event in feed.of("_.*._.job.retried")] == [2]
    assert [event["data"]["tasks"] for event in feed.of("*.*.B.task.retried")] == [[1]]


# -- inputs, results, names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (b"", {}),
        (b"null", {"input": None}),
        (b' {"a": [1, "\xc3\xa4"]}', {"input": {"a": [1, "ä"]}}),
        (b"\x00\x01", {"input_base64": "AAE="}),
        (b'"\xff"', {"input_base64": "Iv8i"}),
        (b"1 2", {"input_base64": "MSAy"}),
    ],
)
def test_an_input_is_json_or_base64(stored: bytes, said: dict[str, Any]) -> None:
    _, event = Told().tell(e.JobSubmitted("a job", submission(task(data=stored))))
    assert event["data"]["groups"][0]["tasks"] == [{"task": 0, **said}]


def test_what_is_too_large_for_the_log_is_named() -> None:
    feed = Told()
    roots = submission(task(data=b"job-1/abc"))
    roots.references.extend([0, 1])
    _, event = feed.tell(e.JobSubmitted("a job", roots))
    assert event["data"]["groups"][0]["tasks"] == [{"task": 0, "input_object": {"name": "job-1/abc"}}]
    (event,) = feed.tell(e.TaskComputed(0, 1, T0, T0, result=e.Value(object="job-1/def", size=5)))
    assert event["data"]["result_object"] == {"name": "job-1/def", "size": 5}


@pytest.mark.parametrize(
    "name", ["Fetch", "example.org/Fetch", "two words", "Größe", "_", "%", "*", ">", "~", "a_b"]
)
def test_names_are_tokens_of_subjects_and_can_be_read_back(name: str) -> None:
    feed = Told()
    _, event = feed.tell(e.JobSubmitted("a job", submission(task(name, cluster=name))))
    cluster, _, token, *what = feed.subjects[-1].split(".")
    assert (text_of_kind(cluster), text_of_kind(token), what) == (name, name, ["task", "submitted"])
    assert (event["cluster"], event["taskname"]) == (name, name)
    assert re.fullmatch(r"[A-Za-z0-9_%-]+", token)
    assert token != "_"


def test_the_empty_name_is_a_token_too_and_no_name_is_none() -> None:
    assert text_of_kind(kind_token("")) == ""
    with pytest.raises(ValueError, match="stands for no name"):
        text_of_kind("_")


def test_a_name_as_long_as_can_be_keeps_the_subject_short_and_is_said_in_the_message() -> None:
    feed = Told()
    name = "\U0001f30d" * 256
    _, event = feed.tell(e.JobSubmitted("a job", submission(task(name, cluster="ß" * 100))))
    assert len(feed.subjects[-1]) < 3000
    assert event["taskname"] == name
    with pytest.raises(ValueError, match="attributes"):
        text_of_kind(kind_token(name))
    assert kind_token(name) != kind_token(name[:-1] + "x")


def test_an_attribute_holds_no_control_characters() -> None:
    _, event = Told().tell(e.JobSubmitted("a job", submission(task("two\nlines"))))
    assert event["taskname"] == "two%0Alines"


def test_of_a_sealed_job_only_what_is_encrypted_is_told() -> None:
    feed = Told()
    options = e.JobOptions(sealed="key-1")
    (submitted, task_submitted) = feed.tell(
        e.JobSubmitted("a job", submission(task(data=b"\xff\x01")), "", options)
    )
    assert submitted["data"]["sealed"] == "key-1"
    assert task_submitted["data"]["groups"][0]["tasks"] == [{"task": 0, "input_base64": "/wE="}]
    (failed,) = feed.tell(e.TaskFailed(0, 1, T0, T0, e.Error("ValueError", "", sealed=b"\xff\x02")))
    assert failed["data"]["error"] == {"reason": "ValueError", "message": "", "sealed": "/wI="}
    feed.tell(e.JobDeleted("command"))
    (erased,) = feed.tell(e.JobErased("key-1"))
    assert data([erased]) == [("job.erased", {"name": "a job", "key": "key-1"})]


# -- what is not known ------------------------------------------------------------------------------------------------


def test_an_event_of_a_later_version_is_told() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task())))
    (event,) = feed.tell(e.UnknownEvent(99, [1, b"ab", {2: [float("nan"), None]}, 2**70]))
    assert event["type"] == "jobledger.unknown.99"
    assert feed.subjects[-1] == f"_.{JOB}._.unknown.99"
    assert event["data"] == {"tag": 99, "fields": [1, "YWI=", {"2": ["nan", None]}, str(2**70)]}
    feed.tell(e.UnknownEvent("a.b c", []))
    assert feed.subjects[-1] == f"_.{JOB}._.unknown.a%2Eb%20c"


def test_a_commit_that_cannot_be_read_is_told_and_names_are_unknown_from_there_on() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task("A"))))
    (damaged,) = told_damaged(feed.context, Place(JOB, 2, 2, None), "not a commit", 17)
    message = json.loads(FeedEncoder("default").encode(damaged, 3).payload)
    assert message["data"] == {"reason": "not a commit", "bytes": 17}
    assert "time" not in message
    feed.tell(e.TasksClaimed("r", 1, [0, 1]), position=3)
    assert feed.subjects[-1] == f"_.{JOB}._.task.claimed"


def test_times_that_no_calendar_has_hold_nothing_up() -> None:
    feed = Told()
    feed.tell(e.JobSubmitted("a job", submission(task())))
    (event,) = feed.tell(e.TaskFailed(0, 1, -(2**63), 2**63, ERROR))
    assert (event["data"]["started"][:4], event["data"]["stopped"][:4]) == ("0001", "9999")


# -- what is remembered -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_a_context_that_was_made_anew_tells_the_same(seed: int) -> None:
    """Wherever it is made anew: what is said depends on the log alone."""
    random = Random(seed)
    history = committed(random_history(random), random)
    feed, again = Told(), Told()
    for number, placed in enumerate(history):
        feed.tell(*placed.commit.events, at=placed.commit.at, position=placed.position)
        if random.random() < 0.3:
            again.context = JobContext()
            for before in history[:number]:
                for event in before.commit.events:
                    again.context.fold(event)
            again.context.version = number
        again.tell(*placed.commit.events, at=placed.commit.at, position=placed.position)
    assert again.payloads == feed.payloads
    assert again.subjects == feed.subjects


def test_staged_subtasks_are_told_with_their_inputs_once_they_come_into_being() -> None:
    driver = JobDriver(task("Root"))
    driver.claim()
    driver.do(c.StageSubtasks(JOB, 0, 1, submission(task("A", data=b"1"), task("B", data=b"2"))))
    last = submission(task("A", data=b"3"))
    driver.do(c.ReportComputed(JOB, 0, 1, 1, 2, msgspec.structs.replace(last, start=2)))
    feed = told_of(driver)
    (staged,) = feed.of("*.*.Root.task.staged")
    assert staged["data"] == {"task": 0, "attempt": 1, "start": 0, "tasks": 2}
    told_tasks = [
        (event["taskname"], one["task"], one["input"])
        for event in feed.of("*.*.*.task.submitted")
        for group in event["data"]["groups"]
        for one in group["tasks"]
        if "parent" in event["data"]
    ]
    assert told_tasks == [("A", 1, 1), ("B", 2, 2), ("A", 3, 3)]


def test_a_fork_tells_what_it_took_over() -> None:
    over = e.TasksTakenOver(
        b"plan",
        0,
        [
            e.TakenOver(0, 0, 3, 1, 0, T0, T0, T0 + 5, result=e.Value(b"7")),
            e.TakenOver(2, 5, 3, 1, 0, T0, T0, T0 + 9),
        ],
        [e.SubtasksOf(0, submission(task("Child"), task("Child")))],
        ["runner-1"],
    )
    feed = Told()
    (forking,) = feed.tell(over)
    assert data([forking]) == [("job.forking", {"part": 0, "tasks": 2, "subtasks": 2})]
    origin = e.Origin("job-0", 9, 4, b"\xab" * 32)
    feed.tell(e.JobSubmitted("a fork", submission(task("Root")), "", e.JobOptions(origin=origin)))
    (submitted,) = feed.of("*.*.*.job.submitted")
    assert submitted["data"]["origin"] == {"job": "job-0", "position": 9, "version": 4, "digest": "ab" * 32}
    assert [one["data"]["parent"] for one in feed.of("*.*.Child.task.submitted")] == [0]
    (root,) = feed.of("*.*.Root.task.taken_over")
    assert [(one["task"], one["source_task"], one["result"]) for one in root["data"]["tasks"]] == [(0, 0, 7)]
    (child,) = feed.of("*.*.Child.task.taken_over")
    assert [(one["task"], one["source_task"]) for one in child["data"]["tasks"]] == [(2, 5)]

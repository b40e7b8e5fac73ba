"""What users may say about the jobs they mean, and what they are told about the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from jobledger import JobState, Task, TaskState
from jobledger.adapters.client.query.selection import job_filter
from jobledger.core.errors import ArgumentError
from jobledger.projections.jobs import JobFilter

SECOND = 1_000_000
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NOON_MICROSECONDS = int(NOON.timestamp()) * SECOND


class Load(Task):
    pass


class Named(Task):
    @staticmethod
    def identifier() -> tuple[str, str]:
        return "acme.com/Named", "v2.1"


def test_nothing_said_means_all_jobs() -> None:
    assert job_filter(None, {}) == JobFilter()
    nothing: Any = dict.fromkeys(("job_states", "task_states", "name", "clusters", "labels", "tasks"))
    assert job_filter(None, nothing) == JobFilter()
    assert job_filter(None, {"name": ""}) == JobFilter()


@pytest.mark.parametrize(
    "noon",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
        "2026-05-01T12:00:00",
        "2026-05-01T12:00:00Z",
        "2026-05-01 14:00+02:00",
        "20260501T12",
    ],
    ids=str,
)
def test_a_time_is_utc_unless_it_says_otherwise(noon: Any) -> None:
    assert job_filter((noon, None), {}) == JobFilter(since=NOON_MICROSECONDS)
    assert job_filter((None, noon), {}) == JobFilter(before=NOON_MICROSECONDS)
    assert job_filter((None, None), {}) == JobFilter()


def test_a_single_time_is_an_exact_instant() -> None:
    assert job_filter(NOON, {}) == JobFilter(since=NOON_MICROSECONDS, before=NOON_MICROSECONDS + 1)


def test_a_date_is_its_first_moment() -> None:
    day = NOON_MICROSECONDS - 12 * 3600 * SECOND
    assert job_filter((date(2026, 5, 1), "2026-05-02"), {}) == JobFilter(
        since=day, before=day + 86400 * SECOND
    )


def test_a_pair_of_ids_is_a_range_that_holds_both() -> None:
    first, last = UUID(int=1), UUID(int=2)
    for pair in ((first, last), (str(first), str(last).upper()), [first.hex, last]):
        assert job_filter(pair, {}) == JobFilter(first_id=str(first), last_id=str(last))  # type: ignore[arg-type]


def test_one_value_is_a_list_of_one() -> None:
    assert job_filter(None, {"job_states": JobState.FAILED}) == JobFilter(states=[5])
    assert job_filter(None, {"job_states": [JobState.FAILED, JobState.CANCELED]}) == JobFilter(states=[5, 6])
    assert job_filter(None, {"task_states": {TaskState.FAILED}}) == JobFilter(task_states=[4])
    assert job_filter(None, {"clusters": "gpu"}) == job_filter(None, {"clusters": ["gpu"]})
    assert job_filter(None, {"labels": {"team": "a", "stage": ["b", "c"]}}) == JobFilter(
        labels={"team": ["a"], "stage": ["b", "c"]}
    )


def test_a_task_is_named_by_class_instance_or_name() -> None:
    for task in (Named, Named(), "acme.com/Named", [Named]):
        assert job_filter(None, {"tasks": task}) == JobFilter(task_names=["acme.com/Named"])
    assert job_filter(None, {"tasks": [Load, "Save"]}) == JobFilter(task_names=["Load", "Save"])


@pytest.mark.parametrize(
    ("extent", "told"),
    [
        ("yesterday", r"temporal_extent: 'yesterday' is no time: pass a datetime"),
        (17, r"temporal_extent=17 is no extent: pass a pair of times"),
        ((NOON,), r"is no extent"),
        ((NOON, NOON, NOON), r"is no extent"),
        ((NOON, "soon"), r"'soon' is no time"),
        ((UUID(int=1), NOON), r"mixes an id and a time"),
        ((3, 4), r"temporal_extent: 3 is no time"),
        ((NOON, datetime(2020, 1, 1, tzinfo=UTC)), r"ends before it begins: pass the earlier end first"),
        ((UUID(int=2), UUID(int=1)), r"ends before it begins"),
    ],
    ids=str,
)
def test_an_extent_that_is_none(extent: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        job_filter(extent, {})


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ({"job_states": "FAILED"}, r"job_states='FAILED' is a str: pass a JobState such as JobState.FAILED"),
        (
            {"job_states": [TaskState.FAILED]},
            r"job_states=<TaskState.FAILED: 4> is a TaskState: pass a JobState",
        ),
        ({"task_states": [JobState.FAILED]}, r"task_states=.* is a JobState: pass a TaskState"),
        ({"job_states": []}, r"job_states is an empty list, which no job fits: leave it out"),
        ({"clusters": [""]}, r"clusters='' is no cluster"),
        ({"clusters": 3}, r"clusters=3 is a int: pass the slug"),
        ({"labels": "team=a"}, r"labels='team=a' is no mapping: pass such as labels=\{'team': 'blue'\}"),
        ({"labels": {"team": 3}}, r"labels=3 is a int"),
        ({"labels": {3: "a"}}, r"labels: 3 is a int: names of labels are text"),
        ({"name": 3}, r"name=3 is a int, not text"),
        ({"name": "x" * 101}, r"name has 101 characters, at most 100"),
        ({"tasks": int}, r"tasks=<class 'int'> is no task"),
        ({"tasks": 3}, r"tasks=3 is a int: pass a task class"),
    ],
    ids=str,
)
def test_a_condition_that_is_none(selection: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        job_filter(None, selection)


def test_a_condition_there_is_not() -> None:
    with pytest.raises(
        TypeError, match="'state' is no condition for jobs: there are temporal_extent, job_states"
    ):
        job_filter(None, {"state": JobState.FAILED})  # type: ignore[typeddict-unknown-key]

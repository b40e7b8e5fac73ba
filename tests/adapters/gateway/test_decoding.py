"""Whatever bytes arrive, a request comes of them or a problem that says what is wrong with them."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.client.intervene import intervening
from jobledger.adapters.client.query.selection import Selection
from jobledger.adapters.client.submit import submitting
from jobledger.adapters.gateway import requests
from jobledger.adapters.gateway.decoding import compact, decoder_of
from jobledger.adapters.gateway.fields import MAX_DEPTH, MAX_TASKS
from jobledger.adapters.gateway.operations import OPERATIONS
from jobledger.adapters.gateway.problems import CODES, Problem
from jobledger.adapters.gateway.requests import (
    Cancel,
    ConcurrencyLimit,
    ListJobs,
    NewTask,
    RetryPolicy,
    Submit,
)
from jobledger.adapters.gateway.translation import submit_command
from jobledger.core.options import Concurrency, PolicyOptions, Retry

JOB = "018dd029-58ca-74e5-8b58-b4f99d610f9a"
DECODERS = {name: decoder_of(operation.request) for name, operation in OPERATIONS.items()}


def problem(kind: type[Any], request: bytes | dict[str, Any]) -> Problem:
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    with pytest.raises(Problem) as found:
        decoder_of(kind)(data)
    return found.value


def submit(**task: Any) -> dict[str, Any]:
    return {"name": "a job", "tasks": [{"name": "Task", **task}]}


def words(of: Any) -> set[str]:
    """Return what a function of the client, or a class of options, can be told."""
    if dataclasses.is_dataclass(of):
        return {field.name for field in dataclasses.fields(of)}
    return set(inspect.signature(of).parameters) - {"session", "policy", "job_or_task", "job_or_id"}


def test_the_words_are_those_of_the_python_client() -> None:
    of_tasks = {"cluster", "max_retries"}
    assert words(submitting.submit) - of_tasks - {"root_task_or_tasks"} <= set(Submit.__struct_fields__)
    assert PolicyOptions.__optional_keys__ | of_tasks <= set(NewTask.__struct_fields__)
    assert words(Retry) == set(RetryPolicy.__struct_fields__)
    assert words(Concurrency) == set(ConcurrencyLimit.__struct_fields__)
    for function, request in (
        (intervening.cancel, requests.Cancel),
        (intervening.retry, requests.Retry),
        (intervening.delete, requests.Delete),
    ):
        assert words(function) <= set(request.__struct_fields__)
    conditions = {word.removeprefix("job_") for word in Selection.__optional_keys__}
    assert conditions <= set(ListJobs.__struct_fields__)


def test_all_that_can_be_said_of_a_job_and_its_tasks_is_understood() -> None:
    request = decoder_of(Submit)(
        json.dumps(
            {
                "name": "a job",
                "tasks": [
                    {"name": "First"},
                    {
                        "name": "example.org/Second",
                        "version": "v1.2",
                        "input": {"n": 3},
                        "depends_on": [0],
                        "cluster": "gpu",
                        "optional": True,
                        "retry": {
                            "max": 3,
                            "delay": 1.5,
                            "backoff": 2,
                            "cap": 60,
                            "jitter": 0.1,
                            "on": ["OSError"],
                        },
                        "timeout": 30,
                        "start": "2030-01-01T12:00:00+01:00",
                        "priority": -5,
                        "on_failure": "continue",
                        "concurrency": {"key": "api", "limit": 2},
                        "reuse": True,
                    },
                ],
                "labels": {"team": "maps"},
                "deadline": "2031-01-01T00:00:00Z",
                "on_failure": "continue",
                "force": True,
                "idempotency_key": "order-4711",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "by": "shop@example.org",
            }
        ).encode()
    )
    command = submit_command(request, "default", 0)
    first, second = command.tasks.specs
    assert (first.name, first.major, first.minor, first.cluster, first.policy) == (
        "First",
        0,
        0,
        "default",
        None,
    )
    assert (second.name, second.major, second.minor, second.cluster) == ("example.org/Second", 1, 2, "gpu")
    assert second.optional
    assert second.max_retries == 3
    asked = second.asked
    assert (asked.delay, asked.backoff, asked.cap, asked.jitter) == (1_500_000, 2.0, 60_000_000, 0.1)
    assert (asked.retry_on, asked.timeout, asked.priority, asked.reuse) == (
        ("OSError",),
        30_000_000,
        -5,
        True,
    )
    assert (asked.key, asked.limit, asked.not_before) == ("api", 2, 1_893_495_600_000_000)
    assert command.tasks.inputs == [b"", b'{"n":3}']
    assert [run.dependencies for run in command.tasks.runs()] == [-1, 0]
    assert command.tasks.dependency_sets == [[0, 1]]
    options = command.options
    assert options is not None
    assert options.labels == {"team": "maps"}
    assert (options.continues, options.force, options.key) == (True, True, "order-4711")
    assert options.trace == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert (command.name, command.by) == ("a job", "shop@example.org")


@pytest.mark.parametrize(
    ("request_", "field", "said"),
    [
        ({"tasks": [{"name": "A"}]}, "name", "name is missing. What the job is called"),
        ({"name": " ", "tasks": [{"name": "A"}]}, "name", 'name=" " cannot be used'),
        ({"name": "a", "tasks": []}, "tasks", "tasks=[] cannot be used"),
        ({"name": "a", "tasks": [{"name": "A"}] * (MAX_TASKS + 1)}, "tasks", "expected array of length <= 10000"),
        ({"name": "a", "tasks": [{"name": "A"}], "lables": {}}, "lables", "lables is not known. Did you mean 'labels'?"),
        ({"name": "a", "tasks": [{"name": "A"}], "labels": {"a": 5}}, "labels", 'labels={"a":5} cannot be used'),
        (submit(verison="v1.0"), "tasks[0].verison", "Did you mean 'version'?"),
        (submit(version="1.0"), "tasks[0].version", 'tasks[0].version="1.0" cannot be used'),
        (submit(max_retries="3"), "tasks[0].max_retries", 'max_retries="3" cannot be used: expected integer, got string'),
        (submit(max_retries=-1), "tasks[0].max_retries", "expected integer >= 0"),
        (submit(timeout=True), "tasks[0].timeout", "expected number or null, got boolean"),
        (submit(start="2030-01-01T12:00:00"), "tasks[0].start", "an ISO 8601 time with a zone"),
        (submit(start="tomorrow"), "tasks[0].start", 'start="tomorrow" cannot be used'),
        (submit(retry={"max": 3, "dely": 1}), "tasks[0].retry.dely", "Did you mean 'delay'?"),
        (submit(retry={"delay": 1}), "tasks[0].retry.max", "is missing. How many are tried again"),
        (submit(concurrency={"key": ""}), "tasks[0].concurrency.key", 'key="" cannot be used'),
        (submit(on_failure="stop"), "tasks[0].on_failure", "halt or continue"),
        (submit(depends_on=0), "tasks[0].depends_on", "expected array, got integer"),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_told_by_field_value_and_remedy(
    request_: dict[str, Any], field: str, said: str
) -> None:
    found = problem(Submit, request_)
    assert (found.code, found.field) == ("invalid_argument", field)
    assert said in found.message


@pytest.mark.parametrize(
    ("request_", "field", "said"),
    [
        (submit(depends_on=[0]), "tasks[0].depends_on[0]", "depends_on[0]=0 is no task before this one"),
        (submit(retry={"max": 1, "delay": 5, "cap": 1}), "tasks[0].retry", "cap=1.0 is less than delay=5.0"),
        (submit(version="v1.0\n"), "tasks[0].version", "reads 'v<int>.<int>'"),
    ],
)
def test_what_fields_say_together_is_checked_as_the_client_checks_it(
    request_: dict[str, Any], field: str, said: str
) -> None:
    request = decoder_of(Submit)(json.dumps(request_).encode())
    with pytest.raises(Problem) as found:
        submit_command(request, "default", 0)
    assert (found.value.code, found.value.field) == ("invalid_argument", field)
    assert said in found.value.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "expected object, got array"),
        (b"5", "expected object, got integer"),
        (b'{"name": "a"', "cannot be read as JSON"),
        (b"name=a", "cannot be read as JSON"),
        (b'{"name": "\xff"}', "utf-8"),
        (b'{"name": "\\ud800"}', "cannot be read as JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes, said: str) -> None:
    found = problem(Submit, data)
    assert found.code == "invalid_json"
    assert said in found.message


def test_nothing_at_all_is_an_empty_object() -> None:
    assert decoder_of(ListJobs)(b"") == ListJobs()
    assert problem(Cancel, b"").field == "job"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_has_a_limit_whatever_stands_in_texts(opening: bytes) -> None:
    deep = b'{"name": "a", "tasks": [{"name": "T", "input": %s}]}'
    data = deep % (b"[" * (MAX_DEPTH - 3) + b"]" * (MAX_DEPTH - 3))
    assert decoder_of(Submit)(data).name == "a"
    brackets = b'"%s"' % (b"[" * 1000 + b'\\"' + b"{" * 1000)
    assert decoder_of(Submit)(deep % brackets).name == "a"
    found = problem(Submit, deep % (opening * 100_000))
    assert found.code == "invalid_json"
    assert "nested 100,003 deep" in found.message


def test_inputs_travel_as_they_were_written_but_for_blanks() -> None:
    written = b'{ "price" : 12.50, "id":123456789012345678901234567890 ,\n "text": "a  b", "e": 1e3 }'
    assert (
        compact(written, "input")
        == b'{"price":12.50,"id":123456789012345678901234567890,"text":"a  b","e":1e3}'
    )
    for broken in (b"1e999", b'"\xff"', b'"\\ud800"'):
        with pytest.raises(Problem, match="is no JSON value"):
            compact(broken, "input")


# -- anything -----------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
#: objects that look like requests: known fields with anything in them
FIELDS = sorted({name for one in OPERATIONS.values() for name in one.request.__struct_fields__})
ALMOST = st.dictionaries(
    st.sampled_from([*FIELDS, "nmae"]), JSON | st.just(JOB) | st.just([{"name": "A"}]), max_size=6
)


def check(name: str, data: bytes) -> None:
    """Nothing but a request or a problem with a known code comes out."""
    problem = None
    try:
        request = DECODERS[name](data)
        if isinstance(request, Submit):
            submit_command(request, "default", 0)
    except Problem as found:
        problem = found
    if problem is None:
        assert isinstance(request, OPERATIONS[name].request)
    else:
        assert problem.code in CODES
        assert 0 < len(problem.message) < 3000


@given(st.sampled_from(sorted(OPERATIONS)), st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(name: str, data: bytes) -> None:
    check(name, data)


@given(st.sampled_from(sorted(OPERATIONS)), JSON | ALMOST)
def test_any_json_is_decoded_or_refused(name: str, value: Any) -> None:
    check(name, json.dumps(value).encode())


@given(
    st.sampled_from(
        [submit(input=[1, {"a": "b"}], retry={"max": 1}, depends_on=[]), {"job": JOB, "task": 1}]
    ),
    st.sampled_from(sorted(OPERATIONS)),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_a_request_with_some_bytes_changed_is_decoded_or_refused(
    request_: dict[str, Any], name: str, edits: list[tuple[int, bytes]]
) -> None:
    data = bytearray(json.dumps(request_).encode())
    for place, change in edits:
        data[place : place + len(change)] = change
    check(name, bytes(data))

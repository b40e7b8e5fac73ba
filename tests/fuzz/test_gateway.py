"""JSON from programs without this package: every request is understood, or answered with a problem that names its field."""

from __future__ import annotations

import json
import tracemalloc
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters import protocol as p
from jobledger.adapters.gateway import requests as r
from jobledger.adapters.gateway import translation
from jobledger.adapters.gateway.decoding import decoder_of
from jobledger.adapters.gateway.operations import OPERATIONS
from jobledger.adapters.gateway.problems import CODES, Problem
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job, evolve
from support.random_history import T0

from .budget import examples
from .mutation import damaged, lied_about

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
TASK = {
    "name": "Thumbnail",
    "version": "v1.2",
    "input": {"image": "cat.png", "width": 64},
    "cluster": "gpu",
    "optional": True,
    "retry": {
        "max": 3,
        "delay": 1.5,
        "backoff": 2,
        "cap": 60,
        "jitter": 0.1,
        "on": ["OSError"],
        "give_up": [],
    },
    "timeout": 5,
    "start": "2030-01-01T12:00:00Z",
    "priority": 3,
    "on_failure": "continue",
    "concurrency": {"key": "k", "limit": 2},
    "reuse": True,
}
VALID: dict[str, dict[str, object]] = {
    "submit": {
        "name": "thumbnails",
        "tasks": [TASK, {"name": "Collect", "depends_on": [0]}],
        "labels": {"team": "maps"},
        "deadline": 30,
        "idempotency_key": "today's",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "by": "me",
    },
    "cancel": {"job": JOB, "task": 1, "reason": "why", "grace": 3.5, "idempotency_key": "x", "by": "me"},
    "retry": {"job": JOB, "task": 1, "deadline": "2030-01-01T12:00:00+02:00"},
    "delete": {"job": JOB, "force": True, "reason": "why"},
    "find": {"job": JOB},
    "wait": {"job": JOB, "timeout": 3},
    "tasks": {"job": JOB, "states": ["QUEUED"], "limit": 3, "after": 2},
    "results": {"job": JOB, "task": 0},
    "list": {
        "states": ["FAILED"],
        "name": "n",
        "labels": {"a": ["b"]},
        "since": "2030-01-01T12:00:00Z",
        "limit": 3,
    },
}
EVERYTHING = [json.dumps(request).encode() for request in VALID.values()]
DECODERS = {name: decoder_of(operation.request) for name, operation in OPERATIONS.items()}


def carried_out(name: str, data: bytes) -> None:
    """Do with a request what the service does before it asks anybody else. Errors: Problem."""
    request = DECODERS[name](data)
    match request:
        case r.Submit():
            command = translation.submit_command(request, "default", T0)
            p.decode_command(p.encode(command))
            try:
                events = decide(Job(command.job_id), command, T0)
            except Refusal as refusal:  # the engine has a bound that its clients do not know
                raise AssertionError(f"{refusal}: {data!r:.500}") from refusal
            for event in events:
                evolve(Job(command.job_id), event, T0)
        case r.Cancel():
            p.decode_command(p.encode(translation.cancel_command(request)))
        case r.Retry():
            p.decode_command(p.encode(translation.retry_command(request, T0)))
        case r.Delete():
            p.decode_command(p.encode(translation.delete_command(request)))
        case r.ListJobs():
            assert len(translation.wanted_jobs(request).places) == 2


def test_every_operation_is_tried() -> None:
    assert VALID.keys() == OPERATIONS.keys()
    for name, request in VALID.items():
        carried_out(name, json.dumps(request).encode())


@examples(60)
@given(name=st.sampled_from(sorted(VALID)), random=st.randoms(use_true_random=True))
def test_a_request_that_makes_no_sense_is_a_problem_and_nothing_else(name: str, random: Random) -> None:
    valid = json.dumps(VALID[name]).encode()
    for _ in range(20):
        data = (
            damaged(valid, random, EVERYTHING)
            if random.random() < 0.3
            else lied_about(valid, random, json=True)
        )
        problem = problem_of(name, data)
        if problem is not None:
            assert problem.code in CODES
            msgspec.json.encode((problem.message, problem.field))
            assert len(problem.message) < 2000


def problem_of(name: str, data: bytes) -> Problem | None:
    try:
        carried_out(name, data)
    except Problem as problem:
        return problem
    return None


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"tasks":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name":"' + b"\\u0000" * 200_000 + b'"}',
        b'{"' + b"x" * 1_000_000 + b'":1}',
        b'{"name":' + b"9" * 1_000_000 + b"}",
        b'{"name":"a","tasks":[' + b"{}," * 200_000 + b"{}]}",
        b'{"name":"a","tasks":[{"name":"T","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        b'{"name":"a","labels":{' + b",".join(b'"%d":"x"' % n for n in range(50_000)) + b"}}",
    ],
    ids=lambda data: f"{data[:20]!r}",
)
def test_no_request_takes_much_more_memory_than_it_is_long(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Problem) as caught:
            DECODERS["submit"](data)
        assert tracemalloc.get_traced_memory()[1] <= 100 * len(data)
        assert len(caught.value.message) < 2000
    finally:
        tracemalloc.stop()

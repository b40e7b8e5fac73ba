"""The AsyncAPI document: fresh, complete, valid, and true of what is really said."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, get_args

import jsonschema
import pytest

from jobledger.core import events as e
from jobledger.projections.asyncapi import Contribution, document, schemas_of
from jobledger.projections.feed import FeedEncoder, JobContext, Place, told, told_damaged
from jobledger.projections.feed.described import described, messages
from jobledger.projections.feed.mapping import TOLD
from support.histories import JOB
from support.node import Node
from support.random_history import T0, committed, random_history

DOCS = Path(__file__).parents[2] / "docs"
FEED = described()


#: what no random history has
RARE: list[e.Event | e.UnknownEvent] = [
    e.TaskFailed(
        0, 1, T0, T0, e.Error("ValueError", "", sealed=b"\x00\xff"), None, [e.Progress("", 2, 1, b"\x01")]
    ),
    e.TaskComputed(0, 1, T0, T0, result=e.Value(b"\x00"), reuse_key=b"\xab"),
    e.TasksClaimed("runner", 1, []),
    e.JobErased("key"),
    e.UnknownEvent(99, [b"x", {"a": 1}]),
]


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))
    return found


def test_it_is_what_the_types_say() -> None:
    fresh = runpy.run_path(str(DOCS / "generate.py"))["asyncapi_document"]()
    assert (DOCS / "asyncapi.json").read_text(encoding="utf-8") == fresh, "run: python docs/generate.py"


def test_every_type_of_event_has_a_channel_and_a_message(asyncapi: dict[str, Any]) -> None:
    for event in get_args(e.Event):
        for message in TOLD[event]:
            assert f"feed.{message.TYPE}" in asyncapi["channels"]
            assert asyncapi["components"]["messages"][f"feed.{message.TYPE}"]["summary"]
    assert "feed.unknown" in asyncapi["channels"]


def test_it_is_valid_asyncapi(asyncapi: dict[str, Any], node: Node) -> None:
    path = node.packages / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(asyncapi)


def test_every_reference_leads_somewhere(asyncapi: dict[str, Any]) -> None:
    for reference in set(_references(asyncapi)):
        found: Any = asyncapi
        for key in reference.removeprefix("#/").split("/"):
            found = found[key]


@pytest.mark.parametrize("seed", range(12))
def test_what_the_feed_says_of_a_random_history_is_as_described(seed: int) -> None:
    random = Random(seed)
    context = JobContext()
    unsent = [
        one
        for placed in committed(random_history(random), random)
        for one in told(
            context, Place(JOB, placed.position, placed.version, placed.commit.at), placed.commit.events
        )
    ]
    unsent += told(context, Place(JOB, 900, 900, T0), RARE)
    unsent += told_damaged(context, Place(JOB, 901, 901, None), "not a commit", 3)
    for number, one in enumerate(unsent, 1):
        message = FeedEncoder("default").encode(one, number)
        said = json.loads(message.payload)
        name = f"feed.{one.fact.data.TYPE}"
        _validator(name).validate(said)
        address = FEED.channels[name]["address"].removeprefix("jobledger.{namespace}.feed.")
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^.]+", address.replace(".", r"\.")), message.subject)


def test_a_message_of_another_shape_is_found_out() -> None:
    said = {"specversion": "1.0", "type": "jobledger.job.completed.v1", "data": {}}
    with pytest.raises(jsonschema.ValidationError):
        _validator("feed.job.completed").validate(said)


def test_two_parts_cannot_mean_different_things_by_one_name() -> None:
    one = Contribution(schemas={"A": {"type": "string"}})
    assert document({}, one, one)["components"]["schemas"] == {"A": {"type": "string"}}
    with pytest.raises(ValueError, match=r"schemas\.A"):
        document({}, one, Contribution(schemas={"A": {"type": "integer"}}))


def test_fields_are_described_by_the_comments_behind_them() -> None:
    schemas = schemas_of(messages())
    assert schemas["TaskClaimed"]["properties"]["attempt"]["description"] == "counts from 1"
    assert schemas["TaskClaimed"]["description"].startswith("A runner took these tasks")


def _validator(message: str) -> jsonschema.Draft7Validator:
    if message not in _VALIDATORS:
        whole = document({}, FEED)
        schema = {**whole["components"]["messages"][message]["payload"], "components": whole["components"]}
        _VALIDATORS[message] = jsonschema.Draft7Validator(schema)
    return _VALIDATORS[message]


_VALIDATORS: dict[str, jsonschema.Draft7Validator] = {}


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)

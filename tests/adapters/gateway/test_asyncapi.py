"""The AsyncAPI document says of the commands what the service does."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from jobledger.adapters.gateway.asyncapi import parts
from jobledger.adapters.gateway.decoding import decoder_of
from jobledger.adapters.gateway.operations import OPERATIONS
from jobledger.adapters.gateway.problems import CODES, Problem
from jobledger.adapters.nats.names import Names
from support.api import Api

PARTS = parts()
DOCUMENT: dict[str, Any] = {
    "channels": PARTS.channels,
    "operations": PARTS.operations,
    "components": {
        "messages": PARTS.messages,
        "schemas": PARTS.schemas,
        "parameters": PARTS.parameters,
    },
}
JOB = "018dd029-58ca-74e5-8b58-b4f99d610f9a"


def at(reference: str) -> Any:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for part in node.values() for found in references(part)]
    return [found for part in node for found in references(part)] if isinstance(node, list) else []


def check(message: str, payload: Any) -> None:
    """Errors: ValidationError where a payload is not what the document says of a message."""
    schema = PARTS.messages[f"api.{message}"]["payload"] | {"components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(payload)


def test_every_operation_is_in_it_and_everything_that_is_referred_to() -> None:
    assert PARTS.operations.keys() == {f"api.{name}" for name in OPERATIONS}
    assert [at(reference) for reference in references(DOCUMENT)]
    for name in OPERATIONS:
        address = PARTS.channels[f"api.{name}"]["address"]
        assert address.format(namespace="maps") == Names("maps").api_subject(name)
    assert PARTS.schemas["ErrorFacts"]["properties"]["code"]["enum"] == list(CODES)


def test_every_field_says_what_it_is_for() -> None:
    for operation in OPERATIONS.values():
        for field, schema in PARTS.schemas[operation.request.__name__]["properties"].items():
            assert schema.get("description"), f"{operation.request.__name__}.{field}"


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("submit", {"name": "a", "tasks": [{"name": "T", "input": [1], "start": 5, "retry": {"max": 1}}], "deadline": 5}),
    ("submit", {"name": "a", "tasks": []}),
    ("submit", {"name": " ", "tasks": [{"name": "T"}]}),
    ("submit", {"name": "a", "tasks": [{"name": "T", "version": "1.0"}]}),
    ("submit", {"name": "a", "tasks": [{"name": "T", "timeout": 0}]}),
    ("submit", {"name": "a", "tasks": [{"name": "T"}], "labels": {"a": 1}}),
    ("cancel", {"job": JOB, "task": 3, "grace": 1.5}),
    ("cancel", {"job": JOB, "task": -1}),
    ("cancel", {"task": 1}),
    ("retry", {"job": JOB, "deadline": None, "idempotency_key": "k"}),
    ("delete", {"job": JOB, "force": 1}),
    ("find", {"job": JOB, "jbo": 1}),
    ("wait", {"job": JOB, "timeout": 301}),
    ("tasks", {"job": JOB, "states": ["DONE"]}),
    ("results", {"job": JOB, "after": 3}),
    ("list", {"states": ["FAILED"], "labels": {"team": ["a"]}, "limit": 500}),
    ("list", {"limit": 501}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "request_"), REQUESTS)
def test_a_request_fits_the_document_if_and_only_if_it_is_taken(
    operation: str, request_: dict[str, Any]
) -> None:
    try:
        decoder_of(OPERATIONS[operation].request)(json.dumps(request_).encode())
    except Problem:
        with pytest.raises(jsonschema.ValidationError):
            check(f"{operation}.request", request_)
    else:
        check(f"{operation}.request", request_)


def test_replies_fit_the_document(api: Api, projector: None) -> None:
    submit = {"name": "a job", "tasks": [{"name": "Task", "input": 1}], "labels": {"team": "maps"}}
    job = api("submit", **submit)["job"]
    for operation, fields in (
        ("submit", submit),
        ("find", {"job": job}),
        ("wait", {"job": job, "timeout": 0}),
        ("tasks", {"job": job}),
        ("list", {}),
        ("cancel", {"job": job}),
        ("retry", {"job": job}),
        ("delete", {"job": job, "force": True}),
    ):
        check(f"{operation}.reply", {"ok": api(operation, **fields)})
    check("error", api.send("v1.results", json.dumps({"job": job}).encode()))

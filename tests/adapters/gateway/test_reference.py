"""docs/commands.md says what the code does, and what it shows can be done."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from jobledger.adapters.gateway.asyncapi import parts
from jobledger.adapters.gateway.decoding import decoder_of
from jobledger.adapters.gateway.fields import MAX_DEPTH, MAX_TASKS
from jobledger.adapters.gateway.operations import OPERATIONS
from jobledger.adapters.gateway.problems import CODES
from jobledger.adapters.gateway.reference import with_tables
from jobledger.adapters.gateway.service import ANSWERED, Limits
from jobledger.adapters.nats.names import Names
from support.api import Api
from support.servers import NatsServer

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^nats req jobledger\.default\.api\.v1\.(\w+) '(.*?)'", PAGE, re.MULTILINE)


def test_the_tables_are_those_of_the_code() -> None:
    assert with_tables(PAGE) == PAGE, "run: python docs/generate.py"


def test_every_operation_message_and_code_has_its_place() -> None:
    for name in OPERATIONS:
        assert f"`jobledger.default.api.v1.{name}`" in PAGE
    for code in CODES:
        assert f"| `{code}` |" in PAGE
    for name in parts().schemas.keys() - {"Error", "ErrorFacts"}:
        assert f"### {name}\n" in PAGE
        assert re.search(f"<!-- (request|reply) {name} -->", PAGE)


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert f"answered within {ANSWERED:g} seconds" in text
    assert f"at most {MAX_TASKS:,} tasks, and arrays and objects at most {MAX_DEPTH} deep" in text
    assert f"{Limits().requests} requests of each operation" in text
    assert f"and {Limits().waiting:,} that wait" in text


@pytest.mark.parametrize(("operation", "request_"), SHOWN)
def test_requests_that_are_shown_are_taken(operation: str, request_: str) -> None:
    decoder_of(OPERATIONS[operation].request)(request_.encode())


def test_the_submission_that_is_shown_is_carried_out(api: Api) -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    request = json.loads(shown)
    for task in request["tasks"]:
        task.pop("cluster", None)  # there is no warehouse here
    job = api("submit", **request)["job"]
    assert [task["name"] for task in api("tasks", job=job)["tasks"]] == ["Charge", "Pack", "Ship"]


def test_bytes_over_a_socket_are_enough(api: Api, nats_server: NatsServer, names: Names) -> None:
    """What the page shows by hand, done by hand."""
    job = api("submit", name="resize", tasks=[{"name": "Resize"}])["job"]
    request = json.dumps({"job": job}, separators=(",", ":"))
    assert f"my.inbox {len(request)}\n" in PAGE
    with socket.create_connection(("127.0.0.1", nats_server.port), timeout=10) as connection:
        lines = connection.makefile("rb")
        assert lines.readline().startswith(b"INFO ")
        subject = names.api_subject("find")
        said = f'CONNECT {{"verbose":false}}\r\nSUB my.inbox 1\r\nPUB {subject} my.inbox {len(request)}\r\n{request}\r\n'
        connection.sendall(said.encode())
        assert lines.readline().startswith(b"MSG my.inbox 1 ")
        assert json.loads(lines.readline())["ok"]["name"] == "resize"


def test_the_error_that_is_shown_is_the_one_that_comes(api: Api) -> None:
    shown: Any = re.search(r"`(\{\"error\".*?\})`:", PAGE, re.DOTALL)
    error = json.loads(" ".join(shown[1].split()))["error"]
    met = api.refused("submit", name="a", tasks=[{"name": "A", "verison": "v1.0"}])
    assert (met.code, met.field, met.temporary) == (error["code"], error["field"], error["temporary"])
    assert met.message.startswith(error["message"].removesuffix("…"))

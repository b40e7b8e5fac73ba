"""Engines are killed under a program that repeats what was not answered: nothing is done twice, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import nats.errors
import pytest

from jobledger import Client
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from support.api import Api, ApiError, ApiService
from support.engines import EngineHarness
from support.processes import PythonProcess, engine_process
from support.servers import NatsServer

TASK = {"name": "Task", "input": {"n": 3}}


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def engine_beside_api(url: str, names: Names, ends: ExitStack) -> PythonProcess:
    process = engine_process(url, names.namespace, lease=5.0)
    ends.callback(lambda: print(process.log))
    ends.callback(process.kill)
    return process


async def insist(api: Api, operation: str, **fields: Any) -> Any:
    """As a program does: send the same request until it is answered, and again when the answer is a passing fault."""
    while True:
        try:
            return await api.asking(operation, **fields)
        except (nats.errors.Error, TimeoutError):
            continue
        except ApiError as error:
            if not error.temporary:
                raise
            await asyncio.sleep(0.05)


def kinds(client: Client, job: str) -> list[str]:
    return [type(entry.event).__name__ for entry in client.jobs().find(job).history]


def test_every_command_can_be_repeated(api: Api, client: Client) -> None:
    """The reply that was lost is the one that comes the second time."""
    key = {"idempotency_key": "order-4711"}
    submit = {"name": "a job", "tasks": [TASK, TASK | {"depends_on": [0]}], "deadline": 3600} | key
    submitted = api("submit", **submit)
    assert api("submit", **submit) == submitted
    job = {"job": submitted["job"]}
    for operation, fields in (
        ("cancel", {"task": 1, "reason": "wrong"}),
        ("retry", {"task": 1}),
        ("cancel", {"grace": 5}),
        ("retry", {}),
    ):
        assert api(operation, **job, **fields, **key) == api(operation, **job, **fields, **key)
    # Late repetitions of what is over have no effect any more, either.
    assert api("cancel", **job, grace=5, **key)["affected"] == 1
    assert api("find", **job)["state"] == "SUBMITTED"
    api("delete", **job, force=True, **key)
    assert api("delete", **job, force=True, **key) == job
    assert api.refused("submit", **submit).code == "conflict"


def test_a_key_stands_for_what_was_asked_with_it(api: Api, client: Client) -> None:
    """With another task, or another operation, it is another request."""
    job = api("submit", name="a job", tasks=[TASK, TASK, TASK])["job"]
    assert api("cancel", job=job, task=0, idempotency_key="k")["affected"] == 1
    assert api("cancel", job=job, task=1, idempotency_key="k")["affected"] == 1
    assert api("retry", job=job, task=0, idempotency_key="k")["rescheduled"] == 1
    assert api("retry", job=job, task=1, idempotency_key="k")["rescheduled"] == 1
    assert api("find", job=job)["tasks"] == {"QUEUED": 3}


def test_the_same_request_sent_many_times_at_once_is_carried_out_once(
    api: Api, client: Client, nats_server: NatsServer, names: Names
) -> None:
    """By two services side by side."""
    second = ApiService(nats_server.url, names.namespace).wait_ready()
    key = {"idempotency_key": "order-4711"}
    submitting = [api.begin("submit", name="a job", tasks=[TASK], **key) for _ in range(30)]
    (job,) = {one.result(20)["job"] for one in submitting}
    canceling = [api.begin("cancel", job=job, **key) for _ in range(30)]
    assert [one.result(20)["affected"] for one in canceling] == [1] * 30
    assert kinds(client, job) == ["JobSubmitted", "JobCanceled"]
    second.stop()


def test_an_engine_is_killed_between_request_and_reply(
    nats_server: NatsServer, names: Names, program: Api, client: Client, ends: ExitStack
) -> None:
    """Its process, and with it the service that had taken the request; another one stands by."""
    first = engine_beside_api(nats_server.url, names, ends).start()
    job = program("submit", name="before", tasks=[TASK], idempotency_key="before")["job"]
    standing_by = engine_beside_api(nats_server.url, names, ends).launch()

    async def storm() -> list[tuple[Any, Any, Any]]:
        async def order(number: int) -> tuple[Any, Any, Any]:
            key = {"idempotency_key": f"order {number}"}
            made = await insist(program, "submit", name=f"job {number}", tasks=[TASK], **key)
            canceled = await insist(program, "cancel", job=made["job"], **key)
            return made, canceled, await insist(program, "retry", job=made["job"], **key)

        orders = [asyncio.create_task(order(number)) for number in range(40)]
        await asyncio.wait(orders, return_when=asyncio.FIRST_COMPLETED)
        first.freeze()  # what it has taken it does not answer
        first.kill()
        return await asyncio.gather(*orders)

    program.patience = 1.0
    done = shared_portal().run(storm(), timeout=60)
    standing_by.wait_ready()
    jobs = [made["job"] for made, _, _ in done]
    assert len(set(jobs)) == 40
    assert [(canceled["affected"], retried["rescheduled"]) for _, canceled, retried in done] == [(1, 1)] * 40
    for made in jobs:
        assert kinds(client, made) == ["JobSubmitted", "JobCanceled", "JobRetried"]
    assert program("submit", name="before", tasks=[TASK], idempotency_key="before")["job"] == job


def test_a_reply_that_nobody_took_is_given_again(
    engine: EngineHarness, service: ApiService, program: Api, client: Client
) -> None:
    """The program dies after it has asked: its successor asks the same, and has the same job."""
    request = {"name": "a job", "tasks": [TASK], "idempotency_key": "order-4711"}
    waiting = program.begin("submit", **request)
    waiting.cancel()
    job = program("submit", **request)["job"]
    assert kinds(client, job) == ["JobSubmitted"]

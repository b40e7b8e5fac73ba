"""The service where it lives: with engines that stand by, leave or are not there, and servers that restart."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobledger.adapters.embedded.start import ensure_server, stop_server
from jobledger.adapters.engine.options import EngineOptions
from jobledger.adapters.gateway.hosting import run_engine_with_api
from jobledger.adapters.gateway.operations import OPERATIONS
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.sealing import MemoryKeys
from support.api import Api, ApiService
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually

TASK = {"name": "Task"}


def test_without_an_engine_it_says_so(service: ApiService, program: Api) -> None:
    error = program.refused("submit", name="a job", tasks=[TASK])
    assert (error.code, error.temporary) == ("unavailable", True)
    assert "no engine serves this namespace" in error.message
    assert "asking again is safe" in error.message


def test_a_request_outlasts_the_change_from_one_engine_to_the_next(
    nats_server: NatsServer, names: Names, program: Api
) -> None:
    service = ApiService(nats_server.url, names.namespace).wait_ready()
    try:
        submitting = program.begin("submit", name="a job", tasks=[TASK])
        engine = EngineHarness(nats_server.url, names).wait_ready()
        job = submitting.result(10)["job"]
        waiting = program.begin("wait", job=job, timeout=30)
        engine.stop()
        successor = EngineHarness(nats_server.url, names).wait_ready()
        program("cancel", job=job)
        assert waiting.result(10)["state"] == "CANCELED"
        successor.stop()
    finally:
        service.stop()


def test_one_that_leaves_answers_who_waits(
    engine: EngineHarness, nats_server: NatsServer, names: Names
) -> None:
    program = Api(nats_server.url, names.namespace)
    service = ApiService(nats_server.url, names.namespace).wait_ready()
    job = program("submit", name="a job", tasks=[TASK])["job"]
    waiting = program.begin("wait", job=job, timeout=60)
    program("find", job=job)  # what was sent before has arrived
    service.stop()
    error = waiting.exception(10)
    assert "is leaving" in str(error)
    program.close()


def test_two_services_share_the_requests(api: Api, nats_server: NatsServer, names: Names) -> None:
    second = ApiService(nats_server.url, names.namespace).wait_ready()
    try:
        jobs = [api("submit", name="a job", tasks=[TASK], idempotency_key=str(n))["job"] for n in range(20)]
        assert len(set(jobs)) == 20
        seen = [stats["endpoints"][0]["num_requests"] for stats in discovered(api, names, "STATS", 2)]
        assert sum(seen) == 20
        assert api.send("v1.nothing", b"")["error"]["code"] == "unknown_operation"
    finally:
        second.stop()
    assert api("find", job=jobs[0])["name"] == "a job"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path).start()
    yield server
    server.kill()


def test_it_is_back_after_a_restart_of_the_server(own_server: NatsServer) -> None:
    names = Names("default")
    engine = EngineHarness(own_server.url, names).wait_ready()
    service = ApiService(own_server.url, "default").wait_ready()
    program = Api(own_server.url, "default")
    try:
        job = program("submit", name="a job", tasks=[TASK], idempotency_key="one")["job"]
        own_server.kill()
        own_server.start()

        def repeated() -> Any:
            reply = program.begin("submit", name="a job", tasks=[TASK], idempotency_key="one")
            return reply.exception(20) is None and reply.result()

        assert eventually(repeated, within=20) == {"job": job, "name": "a job"}
    finally:
        program.close()
        service.stop()
        engine.stop()


def test_it_stands_beside_an_engine_on_a_thread_of_its_own(
    nats_server: NatsServer, names: Names, program: Api
) -> None:
    """And keeps keys of sealed jobs where the engine does, asking for them on the engine's own event loop."""
    keys = MemoryKeys("vault")

    async def hosted() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        endpoint = Endpoint(nats_server.url)
        running = asyncio.create_task(
            run_engine_with_api(
                endpoint,
                names.namespace,
                stop=stop,
                on_ready=ready.set,
                options=EngineOptions(keys=keys),
            )
        )
        await asyncio.wait_for(ready.wait(), 10)
        job = (await program.asking("submit", name="a job", tasks=[TASK], encrypt=True))["job"]
        assert len(await keys.fetch(job)) == 32
        waiting = asyncio.create_task(program.asking("wait", job=job, timeout=60))
        await program.asking("find", job=job)
        stop.set()
        with pytest.raises(Exception, match="is leaving"):
            await waiting
        await asyncio.wait_for(running, 10)

    shared_portal().run(hosted())


def test_the_embedded_server_answers_too(tmp_path: Path) -> None:
    endpoint = ensure_server(tmp_path / "data")
    try:
        (url,) = endpoint.urls
        program = Api(url, "default", user=endpoint.user, password=endpoint.password)
        job = program("submit", name="a job", tasks=[TASK])["job"]
        assert program("find", job=job)["state"] == "SUBMITTED"
        eventually(lambda: program("list")["jobs"])  # its projector starts last
        program.close()
    finally:
        stop_server(tmp_path / "data")


def test_it_answers_whatever_bytes_it_is_sent_and_lives_on(api: Api) -> None:
    draw = random.Random(32)
    request = json.dumps(
        {"name": "a job", "tasks": [TASK | {"input": {"a": [1, "b"]}}], "labels": {"c": "d"}}
    ).encode()

    def bytes_of_some_kind() -> bytes:
        if draw.random() < 0.3:
            return draw.randbytes(draw.randrange(300))
        changed = bytearray(request)
        for _ in range(draw.randrange(1, 5)):
            changed[draw.randrange(len(changed))] = draw.choice(b'{}[]",:\\x00\xff019\\ue')
        return bytes(changed)

    async def sent(operation: str) -> Any:
        return await api.sending(f"v1.{operation}", bytes_of_some_kind())

    async def storm() -> list[Any]:
        return await asyncio.gather(*(sent(draw.choice([*OPERATIONS, "x.y"])) for _ in range(1000)))

    replies = shared_portal().run(storm())
    assert all(reply.keys() in ({"ok"}, {"error"}) for reply in replies)
    codes = {reply["error"]["code"] for reply in replies if "error" in reply}
    assert {"invalid_json", "invalid_argument", "unknown_operation"} <= codes
    assert "internal" not in codes
    assert api("submit", name="a job", tasks=[TASK])["name"] == "a job"


def discovered(api: Api, names: Names, verb: str, count: int) -> list[Any]:
    """Return what the services of a namespace say of themselves, once as many have answered."""

    async def asked() -> list[Any]:
        inbox = api.nc.new_inbox()
        subscription = await api.nc.subscribe(inbox)
        await api.nc.publish(f"$SRV.{verb}.jobledger-{names.namespace}", b"", reply=inbox)
        found = [json.loads((await subscription.next_msg(10)).data) for _ in range(count)]
        await subscription.unsubscribe()
        return found

    return shared_portal().run(asked())


def test_programs_find_it_as_a_nats_micro_service(api: Api, names: Names) -> None:
    (ping,) = discovered(api, names, "PING", 1)
    assert (ping["type"], ping["metadata"]) == (
        "io.nats.micro.v1.ping_response",
        {"namespace": names.namespace},
    )
    (info,) = discovered(api, names, "INFO", 1)
    assert info["id"] == ping["id"]
    assert {one["name"]: one["subject"] for one in info["endpoints"]} == {
        name: names.api_subject(name) for name in OPERATIONS
    }
    api.refused("cancel", job="me")
    (stats,) = discovered(api, names, "STATS", 1)
    cancel = next(one for one in stats["endpoints"] if one["name"] == "cancel")
    assert (cancel["num_requests"], cancel["num_errors"], cancel["last_error"]) == (1, 1, "invalid_argument")
    assert cancel["processing_time"] >= cancel["average_processing_time"] > 0


def test_who_wants_no_reply_gets_none(api: Api, names: Names) -> None:
    async def told() -> None:
        request = {"name": "a job", "tasks": [TASK], "idempotency_key": "told"}
        await api.nc.publish(names.api_subject("submit"), json.dumps(request).encode())
        await api.nc.publish(names.api_subject("submit"), b"nonsense")

    shared_portal().run(told())
    again = api("submit", name="a job", tasks=[TASK], idempotency_key="told")
    assert eventually(lambda: api("find", job=again["job"]))["name"] == "a job"

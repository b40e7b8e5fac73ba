"""Every error that is promised to programs can be met, and says what is wrong and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from nats.js.api import ObjectStoreConfig, StorageType

from jobledger import Client, ExecutionContext, Task
from jobledger.adapters import objects
from jobledger.adapters.gateway.operations import OPERATIONS
from jobledger.adapters.gateway.problems import CODES
from jobledger.adapters.gateway.service import Limits, Service
from jobledger.adapters.gateway.session import ApiSession
from jobledger.adapters.nats import leader
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import limit_log
from jobledger.adapters.portal import shared_portal
from support.api import Api, ApiError, ApiService
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually

NOBODY = "018dd029-58ca-74e5-8b58-b4f99d610f9a"
TASK = {"name": "Fill", "input": 10}


class Fill(Task):
    size: int

    def execute(self, context: ExecutionContext) -> str:
        return "x" * self.size


class Site:
    """What errors need to come about."""

    def __init__(self, api: Api, client: Client, names: Names, url: str) -> None:
        self.api = api
        self.client = client
        self.names = names
        self.url = url

    def submit(self, *tasks: dict[str, Any], **fields: Any) -> str:
        job: str = self.api("submit", name="a job", tasks=list(tasks or (TASK,)), **fields)["job"]
        return job

    def submit_done(self, size: int = 10) -> str:
        job = self.submit({"name": "Fill", "input": size})
        self.client.runner(tasks=[Fill]).run_all()
        return job


@pytest.fixture
def nats_server(plain_nats_server: NatsServer) -> NatsServer:
    return plain_nats_server


@pytest.fixture
def site(api: Api, client: Client, names: Names, nats_server: NatsServer) -> Site:
    return Site(api, client, names, nats_server.url)


def no_value(site: Site) -> ApiError:
    job = site.submit_done(300_000)
    link = shared_portal().run(site.client._session.link())
    stream = objects._stream(site.names)
    subjects = shared_portal().run(leader.subjects_in(link.nc, stream, f"$O.{site.names.objects_bucket}.>"))
    shared_portal().run(leader.purge(link.nc, stream, subjects))
    return site.api.refused("results", job=job)


def key_elsewhere(site: Site) -> ApiError:
    job = site.client.jobs().submit("sealed", Fill(10), encrypt=True)
    site.client.runner(tasks=[Fill]).run_all()
    link = shared_portal().run(site.client._session.link())
    shared_portal().run(link.nc.jetstream().purge_stream(f"KV_{site.names.keys_bucket}"))
    return site.api.refused("results", job=str(job.id))


def damaged(site: Site) -> ApiError:
    job = site.submit_done()
    link = shared_portal().run(site.client._session.link())
    subject = site.names.log_subject(job)
    shared_portal().run(link.nc.jetstream().publish(subject, b"no commit"))
    return site.api.refused("find", job=job)


def too_large(site: Site) -> ApiError:
    # Every second task of a thousand, but for one: a set of its own for each, which takes more bytes packed than in JSON.
    every_second = [list(range(256 + odd, 1000, 2)) for odd in (0, 1)]
    sets = [members[:place] + members[place + 1 :] for members in every_second for place in range(300)]
    tasks = [TASK] * 1000 + [TASK | {"depends_on": members} for members in sets]
    return site.api.refused("submit", name="large", tasks=tasks)


def key_of_another(site: Site) -> ApiError:
    site.submit(TASK, idempotency_key="order-4711")
    return site.api.refused("submit", name="another", tasks=[TASK], idempotency_key="order-4711")


def retry_of_a_completed_one(site: Site) -> ApiError:
    return site.api.refused("retry", job=site.submit_done())


def full(site: Site) -> ApiError:
    site.submit()
    link = shared_portal().run(site.client._session.link())
    js = link.nc.jetstream()
    used = shared_portal().run(js.stream_info(site.names.log_stream)).state.bytes
    shared_portal().run(limit_log(js, site.names, used))
    return site.api.refused("submit", name="one too many", tasks=[TASK])


#: how each error comes about, and a word of what it says
SCENES: dict[str, tuple[Callable[[Site], ApiError], str]] = {
    "invalid_argument": (lambda site: site.api.refused("find", jbo=NOBODY), "Did you mean 'job'?"),
    "job_not_found": (lambda site: site.api.refused("cancel", job=NOBODY), "check the id"),
    "task_not_found": (
        lambda site: site.api.refused("cancel", job=site.submit(), task=7),
        "no task 7, only 1",
    ),
    "cluster_not_found": (
        lambda site: site.api.refused("submit", name="a", tasks=[TASK, TASK | {"cluster": "gpuu"}]),
        "there is no cluster 'gpuu'",
    ),
    "value_not_found": (no_value, "is not in the object store"),
    "key_unavailable": (key_elsewhere, "there is no key of job"),
    "conflict": (key_of_another, "pass another key"),
    "not_retryable": (retry_of_a_completed_one, "submit it again to run it anew"),
    "not_deletable": (lambda site: site.api.refused("delete", job=site.submit()), "or delete it with force"),
    "no_result": (lambda site: site.api.refused("results", job=site.submit()), "Wait for it"),
    "log_full": (full, "Make room: a larger limit"),
    "too_large": (too_large, "Let one root task submit the others"),
    "damaged": (damaged, "Restore the log from a backup"),
    "unavailable": (lambda site: site.api.refused("list"), "no projector serves namespace"),
}
#: what a request as such is refused with
OF_REQUESTS = {
    "invalid_json": ("v1.find", b"job=1", "Send one JSON object"),
    "unknown_operation": ("v1.submti", b"{}", "Did you mean 'v1.submit'?"),
}
#: these have tests of their own below
OTHERS = {"busy", "internal", "storage_full"}


def test_there_is_a_scene_for_each() -> None:
    assert SCENES.keys() | OF_REQUESTS.keys() | OTHERS == CODES.keys()


@pytest.mark.parametrize("code", SCENES)
def test_an_error_says_what_is_wrong(site: Site, code: str) -> None:
    scene, said = SCENES[code]
    error = scene(site)
    assert error.code == code, error
    assert said in error.message
    assert error.temporary is CODES[code].temporary
    assert "Traceback" not in error.message


@pytest.mark.parametrize("code", OF_REQUESTS)
def test_what_is_no_request_is_answered_too(api: Api, code: str) -> None:
    operation, data, said = OF_REQUESTS[code]
    error = api.send(operation, data)["error"]
    assert error["code"] == code
    assert said in error["message"]


def test_errors_name_the_field(site: Site) -> None:
    error = site.api.refused("submit", name="a", tasks=[TASK, TASK | {"cluster": "gpuu"}])
    assert error.field == "tasks[1].cluster"
    assert site.api.refused("results", job=site.submit(), task=3).field == "task"
    assert site.api.refused("tasks", job=site.submit(), limit=0).field == "limit"
    several = site.api.refused("list", labels={"team": []})
    assert (several.field, several.message) == (
        None,
        "labels is an empty list, which no job fits: leave it out to mean all jobs",
    )
    early = site.api.refused("submit", name="a", tasks=[TASK], deadline="0001-01-01T00:00:00+14:00")
    assert early.code == "invalid_argument"


def test_errors_are_told_in_headers_as_nats_micro_services_do(api: Api, names: Names) -> None:
    reply = shared_portal().run(api.nc.request(names.api_subject("find"), b"{}", timeout=10))
    assert reply.headers == {
        "Nats-Service-Error": "invalid_argument: job is missing. Id of the job: a UUID, as `submit` replies it.",
        "Nats-Service-Error-Code": "400",
    }
    text = json.dumps({"job": "ж\n\r" * 500}).encode()
    reply = shared_portal().run(api.nc.request(names.api_subject("find"), text, timeout=10))
    assert json.loads(reply.data)["error"]["field"] == "job"
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error-Code"] == "400"


def test_too_many_requests_at_a_time_are_told_to_come_again(
    program: Api, engine: EngineHarness, nats_server: NatsServer, names: Names
) -> None:
    session = ApiSession(lambda: Endpoint(nats_server.url), names, name="small", patience=4.0)
    service = Service(session, Limits(waiting=1))
    shared_portal().run(service.start())
    try:
        job = program("submit", name="a job", tasks=[TASK])["job"]
        waiting = program.begin("wait", job=job, timeout=60)
        eventually(lambda: program.begin("wait", job=job, timeout=0).exception(10) is not None)
        error = program.refused("wait", job=job, timeout=0)
        assert (error.code, error.temporary) == ("busy", True)
        assert program("find", job=job)["state"] == "SUBMITTED"  # others are not concerned
        program("cancel", job=job)
        assert waiting.result(20)["settled"]
    finally:
        shared_portal().run(service.stop())
        shared_portal().run(session.close())


def test_a_fault_of_the_service_is_told_without_its_insides_and_it_lives_on(
    engine: EngineHarness,
    program: Api,
    nats_server: NatsServer,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(session: ApiSession, request: Any) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setitem(OPERATIONS, "find", OPERATIONS["find"]._replace(run=broken))
    service = ApiService(nats_server.url, names.namespace).wait_ready()
    try:
        error = program.refused("find", job=NOBODY)
        assert error.code == "internal"
        assert "a mistake of ours" not in error.message
        assert "a mistake of ours" in caplog.text
        assert program.refused("cancel", job=NOBODY).code == "job_not_found"
    finally:
        service.stop()


def test_an_object_store_without_room_is_told(
    program: Api, engine: EngineHarness, service: ApiService, client: Client, names: Names
) -> None:
    link = shared_portal().run(client._session.link())
    full = ObjectStoreConfig(bucket=names.objects_bucket, max_bytes=1000, storage=StorageType.FILE)
    shared_portal().run(link.nc.jetstream().create_object_store(names.objects_bucket, full))
    error = program.refused("submit", name="a", tasks=[{"name": "Fill", "input": "x" * 300_000}])
    assert error.code == "storage_full", error
    assert "Make room on the NATS server" in error.message

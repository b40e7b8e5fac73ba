"""What a program that knows nothing but NATS and JSON can do with jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from jobledger import Client, ExecutionContext, JobState, Task, TaskState
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.core.events import JobCanceled
from support.api import Api
from support.servers import NatsServer


class Double(Task):
    number: int

    def execute(self, context: ExecutionContext) -> int:
        return 2 * self.number


class Sum(Task):
    """Depends on tasks whose results it adds."""

    start: int
    label: str = ""

    def execute(self, context: ExecutionContext) -> dict[str, int]:
        return {"sum": self.start + sum(context.results(as_type=int))}


class Break(Task):
    def execute(self, context: ExecutionContext) -> None:
        raise ValueError("it broke")


class Fill(Task):
    size: int

    def execute(self, context: ExecutionContext) -> str:
        return "x" * self.size


def run(client: Client) -> None:
    client.runner(tasks=[Double, Sum, Break, Fill]).run_all()


def submit(api: Api, *tasks: dict[str, Any], **fields: Any) -> str:
    job: str = api("submit", name="a job", tasks=list(tasks), **fields)["job"]
    return job


def test_a_job_with_dependencies_is_submitted_run_and_read(api: Api, client: Client) -> None:
    submitted = api(
        "submit",
        name="sums",
        tasks=[
            {"name": "Double", "input": 4},
            {"name": "Double", "input": 5},
            {"name": "Sum", "input": {"start": 1, "label": "total"}, "depends_on": [0, 1]},
        ],
        labels={"team": "maps"},
        by="shop@example.org",
    )
    assert submitted["name"] == "sums"
    waiting = api.begin("wait", job=submitted["job"], timeout=30)
    run(client)
    job = waiting.result(30)
    assert (job["state"], job["settled"], job["percent"]) == ("COMPLETED", True, 100.0)
    assert (job["tasks"], job["labels"]) == ({"COMPUTED": 3}, {"team": "maps"})
    assert (job["root_tasks"], job["submitted_by"]) == (["Double", "Sum"], "shop@example.org")
    assert datetime.fromisoformat(job["finished_at"]) <= datetime.now(UTC)
    assert api("results", job=submitted["job"]) == {
        "job": submitted["job"],
        "results": [{"task": 0, "value": 8}, {"task": 1, "value": 10}, {"task": 2, "value": {"sum": 19}}],
        "next": None,
    }
    assert client.jobs().find(submitted["job"]).labels == {"team": "maps"}


def test_options_of_tasks_are_those_of_the_python_client(api: Api, client: Client) -> None:
    job_id = submit(
        api,
        {"name": "Break", "max_retries": 1, "optional": True},
        {"name": "Double", "input": 1, "priority": 7, "timeout": 30, "concurrency": {"key": "k", "limit": 2}},
        {"name": "Double", "input": 1, "start": 3600, "retry": {"max": 2, "delay": 1}},
        {"name": "Double", "input": 1, "reuse": True, "cluster": "default"},
    )
    run(client)
    job = client.jobs().find(job_id)
    assert [task.state for task in job.tasks] == [
        TaskState.FAILED_OPTIONAL,
        TaskState.COMPUTED,
        TaskState.QUEUED,
        TaskState.COMPUTED,
    ]
    broken, urgent, later, _ = job.tasks
    assert broken.attempt == 2
    assert (urgent.priority, urgent.timeout) == (7, 30.0)
    assert later.waiting is not None
    assert "its start" in later.waiting
    assert later.max_retries == 2


def test_tasks_are_listed_by_state_and_in_pages(api: Api, client: Client) -> None:
    job = submit(
        api, {"name": "Break"}, *({"name": "Double", "input": n} for n in range(4)), on_failure="continue"
    )
    run(client)
    (broken,) = api("tasks", job=job, states=["FAILED"])["tasks"]
    assert (broken["task"], broken["name"], broken["attempt"]) == (0, "Break", 1)
    error = broken["error"]
    assert (error["reason"], error["message"]) == ("ValueError", "it broke")
    assert "it broke" in error["traceback"]
    first = api("tasks", job=job, limit=3)
    assert [task["task"] for task in first["tasks"]] == [0, 1, 2]
    rest = api("tasks", job=job, limit=3, after=first["next"])
    assert ([task["task"] for task in rest["tasks"]], rest["next"]) == ([3, 4], None)
    found = api("find", job=job)
    assert (found["state"], found["error"]["task"], found["error"]["reason"]) == ("FAILED", 0, "ValueError")
    assert api("results", job=job, task=2)["results"] == [{"task": 2, "value": 2}]


def test_cancel_and_retry_of_a_job_and_of_a_task(api: Api, client: Client) -> None:
    job = submit(api, {"name": "Double", "input": 1}, {"name": "Double", "input": 2, "depends_on": [0]})
    assert api("cancel", job=job, task=0, reason="wrong", by="me") == {"job": job, "task": 0, "affected": 2}
    assert api("retry", job=job, task=0) == {"job": job, "task": 0, "rescheduled": 2}
    assert api("cancel", job=job, reason="enough") == {"job": job, "task": None, "affected": 1}
    assert api("cancel", job=job)["affected"] == 0
    assert api("retry", job=job, deadline=3600) == {"job": job, "task": None, "rescheduled": 2}
    found = client.jobs().find(job)
    assert found.deadline is not None
    assert found.deadline > datetime.now(UTC)
    # The first one left nothing of the job but what was canceled, so that the job was, too.
    canceled = [entry.event for entry in found.history if isinstance(entry.event, JobCanceled)]
    assert [(event.reason, event.by) for event in canceled] == [("wrong", "me"), ("enough", "JSON API")]
    run(client)
    assert client.jobs().find(job).state is JobState.COMPLETED


def test_waiting_ends_with_the_time_or_with_the_job(api: Api) -> None:
    job = submit(api, {"name": "Double", "input": 1})
    assert api("wait", job=job, timeout=0)["settled"] is False
    assert api("wait", job=job, timeout=0.05)["state"] == "SUBMITTED"
    waiting = api.begin("wait", job=job, timeout=60)
    api("cancel", job=job)
    assert waiting.result(20)["state"] == "CANCELED"


def test_a_deleted_job_is_shown_to_nobody(api: Api) -> None:
    job = submit(api, {"name": "Double", "input": 1})
    assert api("delete", job=job, force=True, reason="a typing error", by="me") == {"job": job}
    assert "was deleted at" in api.refused("find", job=job).message
    assert "by me: a typing error" in api.refused("wait", job=job, timeout=0).message


def test_jobs_are_listed_by_what_they_are_and_in_pages(api: Api, projector: None) -> None:
    began = datetime.now(UTC)
    ids = [submit(api, {"name": "Double", "input": n}, labels={"shop": str(n % 2)}) for n in range(4)]
    api("cancel", job=ids[0])
    first = api("list", limit=3)
    assert [job["id"] for job in first["jobs"]] == ids[:0:-1]
    assert [job["id"] for job in api("list", after=first["next"])["jobs"]] == ids[:1]
    assert [job["id"] for job in api("list", labels={"shop": ["0"]}, states=["SUBMITTED"])["jobs"]] == [
        ids[2]
    ]
    assert (
        len(api("list", name="A JO", tasks=["Double"], clusters=["default"], task_states=["QUEUED"])["jobs"])
        == 4
    )
    assert len(api("list", since=began.isoformat())["jobs"]) == 4
    assert api("list", before=began.isoformat())["jobs"] == []
    assert api("list", states=["CANCELED"])["jobs"][0] == api("find", job=ids[0])


def test_a_sealed_job_is_submitted_read_and_erased(api: Api, client: Client) -> None:
    sealed = {"name": "Sum", "input": {"start": 41, "label": "Ada Lovelace"}}
    job = submit(api, sealed, encrypt=True, idempotency_key="sealed")
    assert submit(api, sealed, encrypt=True, idempotency_key="sealed") == job
    run(client)
    assert api("results", job=job)["results"] == [{"task": 0, "value": {"sum": 41}}]
    commits = shared_portal().run(client._session.read(job))
    assert b"Ada" not in b"".join(msgspec.msgpack.encode(stored.commit.events) for stored in commits)
    api("delete", job=job)
    assert api.refused("results", job=job).code == "job_not_found"
    request = {"name": "a job", "tasks": [sealed], "encrypt": True, "idempotency_key": "sealed"}
    assert api.refused("submit", **request).code == "conflict"


class TestOnAServerWithSmallMessages:
    """Of at most 1 MiB: what is larger than a message goes by way of the object store."""

    @pytest.fixture
    def nats_server(self, plain_nats_server: NatsServer) -> NatsServer:
        return plain_nats_server

    def test_large_inputs_are_stored_as_the_python_client_stores_them(self, api: Api, client: Client) -> None:
        job = submit(api, {"name": "Sum", "input": {"start": 1, "label": "x" * 500_000}})
        assert client.jobs().find(job).tasks[0].input_object is not None
        run(client)
        assert api("results", job=job)["results"] == [{"task": 0, "value": {"sum": 1}}]

    def test_a_result_that_fits_no_reply_is_named_and_others_come_in_pages(
        self, api: Api, client: Client, names: Names
    ) -> None:
        job = submit(api, *({"name": "Fill", "input": size} for size in (500_000, 2_000_000, 500_000, 10)))
        run(client)
        pages = [api("results", job=job)]
        while pages[-1]["next"] is not None:
            pages.append(api("results", job=job, after=pages[-1]["next"]))
        assert len(pages) == 2
        results = [result for page in pages for result in page["results"]]
        assert [result["task"] for result in results] == [0, 1, 2, 3]
        assert [len(result.get("value", "")) for result in results] == [500_000, 0, 500_000, 10]
        named = results[1]["object"]
        assert (named["bucket"], named["size"]) == (names.objects_bucket, 2_000_002)
        assert named["name"].startswith(f"{job}/")


def test_many_ask_at_a_time(api: Api) -> None:
    """Hundreds wait, and nobody is held up by them."""
    job = submit(api, {"name": "Double", "input": 1})
    waiting = [api.begin("wait", job=job, timeout=60) for _ in range(300)]
    submitted = [
        api.begin(
            "submit",
            name="many",
            tasks=[{"name": "Double", "input": n}],
            idempotency_key=f"{n % 50} {uuid4()}",
        )
        for n in range(100)
    ]
    assert len({one.result(30)["job"] for one in submitted}) == 100
    assert not any(one.done() for one in waiting)
    api("cancel", job=job)
    assert {one.result(30)["state"] for one in waiting} == {"CANCELED"}

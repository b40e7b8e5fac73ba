"""Inputs larger than a message are submitted, and results of any size are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobledger import Client
from jobledger.adapters import objects
from jobledger.adapters.client.results import read_value
from jobledger.adapters.nats import leader
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.core import events as e
from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.lifecycle import JobState
from jobledger.core.task import ExecutionContext, Task
from support.servers import NatsServer


@pytest.fixture
def nats_server(plain_nats_server: NatsServer) -> NatsServer:
    return plain_nats_server


class Measure(Task):
    text: str

    def execute(self, context: ExecutionContext) -> int:
        return len(self.text)


class Repeat(Task):
    text: str
    times: int

    def execute(self, context: ExecutionContext) -> list[str]:
        return [self.text] * self.times


def values_of(client: Client, job_id: object) -> list[e.Value | None]:
    """Return the results of the tasks that were computed, in order of their numbers."""
    commits = shared_portal().run(client._session.read(str(job_id)))
    found = {
        event.task: event.result
        for stored in commits
        for event in stored.commit.events
        if isinstance(event, e.TaskComputed)
    }
    return [found[task] for task in sorted(found)]


def read(client: Client, value: e.Value | None, as_type: Any = Any) -> Any:
    return shared_portal().run(read_value(client._session, value, as_type))


def test_one_large_input(client: Client) -> None:
    job = client.jobs().submit("large", Measure("x" * 5_000_000))
    client.runner(tasks=[Measure]).run_all()
    assert job.wait().state is JobState.COMPLETED
    assert read(client, *values_of(client, job.id)) == 5_000_000


def test_many_inputs_that_are_large_together(client: Client) -> None:
    sizes = [100_000 + n for n in range(12)] + [5]
    job = client.jobs().submit("many", [Measure("x" * size) for size in sizes])
    client.runner(tasks=[Measure]).run_all()
    assert job.wait().state is JobState.COMPLETED
    assert [read(client, value) for value in values_of(client, job.id)] == sizes


def test_the_same_large_input_is_stored_once(client: Client, names: Names) -> None:
    job = client.jobs().submit("same", [Measure("x" * 400_000) for _ in range(5)])
    nc = shared_portal().run(client._session.link()).nc
    assert shared_portal().run(objects.purge(nc, names, str(job.id))) == 1


def test_results_are_read_whatever_their_size(client: Client) -> None:
    job = client.jobs().submit("results", [Repeat("a/b", 2), Repeat("c/d", 100_000)])
    client.runner(tasks=[Repeat]).run_all()
    job.wait()
    small, large = values_of(client, job.id)
    assert read(client, small) == ["a/b", "a/b"]
    assert read(client, small, list[Path]) == [Path("a/b")] * 2
    assert read(client, large) == ["c/d"] * 100_000
    assert read(client, None) is None
    with pytest.raises(TypeError, match=r"the result of the task is no int: Expected `int`"):
        read(client, large, int)


def test_a_large_result_that_is_gone(client: Client, names: Names) -> None:
    job = client.jobs().submit("gone", Repeat("c/d", 100_000))
    client.runner(tasks=[Repeat]).run_all()
    job.wait()
    nc = shared_portal().run(client._session.link()).nc
    shared_portal().run(objects.purge(nc, names, str(job.id)))
    with pytest.raises(
        NotFoundError, match=f"job {job.id} was deleted, or its objects were removed.*Submit the job again"
    ):
        read(client, *values_of(client, job.id))


def test_an_idempotency_key_covers_large_inputs(client: Client) -> None:
    jobs = client.jobs()
    first = jobs.submit("keyed", Measure("x" * 400_000), idempotency_key="k")
    assert jobs.submit("keyed", Measure("x" * 400_000), idempotency_key="k") == first
    with pytest.raises(ArgumentError):
        jobs.submit("keyed", Measure("y" * 400_000), idempotency_key="k")


def test_more_than_the_cap_is_refused_with_the_way_out(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.adapters.by_reference.LARGEST", 150_000)
    with pytest.raises(
        ArgumentError, match=r"the input of Measure v0.0 has 200,002 bytes, at most 150,000.*pass its path"
    ):
        client.jobs().submit("too large", Measure("x" * 200_000))


def test_more_tasks_than_a_message_holds_are_refused(client: Client) -> None:
    with pytest.raises(
        ArgumentError, match=r"the 30,000 root tasks take .*Let one root task submit the others"
    ):
        client.jobs().submit("too many", [Measure(f"{n:040}") for n in range(30_000)])


def test_nothing_is_stored_of_what_cannot_be_submitted_anyway(client: Client, names: Names) -> None:
    with pytest.raises(ArgumentError, match=r"the 9,000 root tasks take"):
        client.jobs().submit("too many", [Measure(f"{n:01000}") for n in range(9_000)])
    nc = shared_portal().run(client._session.link()).nc
    assert shared_portal().run(leader.subjects_in(nc, f"OBJ_{names.objects_bucket}", ">")) == []

"""What cannot be used is refused at once, by name, value and remedy, and without a server."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobledger import ArgumentError, Client, JobClient, ServerUnavailable, Task
from jobledger.adapters.client import arguments, ids
from jobledger.adapters.client.submit.submission import submit_command
from jobledger.errors import InputError


class Add(Task):
    left: int
    right: int = 0


class Shout(Task):
    text: str


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> JobClient:
    """Of a client whose server does not exist: a request would raise ServerUnavailable."""
    monkeypatch.delenv("JOBLEDGER_URL", raising=False)
    return Client("nats://127.0.0.1:1", patience=0).jobs()


# -- the client -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "http://example.org"}, "'http://example.org' is not the address of a NATS server"),
        ({"url": ""}, "is not the address of a NATS server"),
        ({"url": 4222}, "url=4222 is no address"),
        ({"url": []}, "at least one server address"),
        ({"url": ["nats://a", 5]}, r"url=\['nats://a', 5\] is no address"),
        ({"url": "nats://h", "data_folder": "x"}, "url and data_folder exclude each other"),
        ({"url": "nats://h", "user": "me"}, "user and password go together"),
        ({"url": "nats://h", "token": 5}, "token is a int: pass text"),
        ({"url": "nats://h", "tls_key": "k"}, "tls_key is the key of a certificate"),
        ({"token": "secret"}, "token: logins belong to a server with a url"),
        ({"data_folder": "x", "user": "u", "password": "p"}, "user, password: logins belong to a server"),
        ({"data_folder": ""}, "data_folder='' is no folder"),
        ({"data_folder": 5}, "data_folder=5 is no folder"),
        ({"data_folder": "a\0b"}, "cannot be a data folder"),
        ({"namespace": "a.b"}, r"namespace='a\.b' cannot be used"),
        ({"namespace": ""}, "namespace='' cannot be used"),
        ({"namespace": 5}, "namespace=5 cannot be used"),
        ({"name": 5}, "name=5 is a int, not text"),
        ({"patience": -1}, "patience=-1 is no time"),
        ({"patience": "long"}, "patience='long' is no time"),
    ],
)
def test_a_client_refuses(given: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBLEDGER_URL", raising=False)
    with pytest.raises(ArgumentError, match=says):
        Client(**given)


def test_no_secret_is_in_an_error_or_a_repr() -> None:
    with pytest.raises(ArgumentError) as caught:
        Client("http://me:hunter2@example.org")
    assert "hunter2" not in str(caught.value)
    client = Client("nats://me:hunter2@example.org", namespace="mine")
    assert repr(client) == "Client('nats://example.org', namespace='mine')"


def test_the_environment_names_the_server_of_a_bare_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JOBLEDGER_URL", "nats://elsewhere:4333")
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "home"))
    assert repr(Client()) == "Client('nats://elsewhere:4333')"
    assert repr(Client("nats://here")) == "Client('nats://here')"
    assert repr(Client(data_folder=tmp_path)) == f"Client(data_folder={str(tmp_path)!r})"
    assert repr(Client(token="t")) == "Client('nats://elsewhere:4333')"
    monkeypatch.setenv("JOBLEDGER_URL", "")
    assert repr(Client()) == f"Client(data_folder={str(tmp_path / 'home')!r})"
    monkeypatch.setenv("JOBLEDGER_URL", "http://elsewhere")
    with pytest.raises(ArgumentError, match="not the address of a NATS server"):
        Client()


def test_making_and_closing_a_client_needs_no_server(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with Client(data_folder=folder) as client:
        assert repr(client.jobs()) == "<JobClient of namespace 'default'>"
    client.close()
    assert not folder.exists()
    with pytest.raises(ServerUnavailable, match="this client was closed"):
        client.jobs().find(ids.new_id())
    assert not folder.exists()


def test_a_server_that_does_not_answer_shows_in_the_first_request(jobs: JobClient) -> None:
    with pytest.raises(ServerUnavailable, match=r"nats://127\.0\.0\.1:1"):
        jobs.submit("x", Add(1))


def test_a_client_is_not_copied(jobs: JobClient) -> None:
    client = Client("nats://127.0.0.1:1")
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a Client holds a connection"):
            attempt(client)


# -- submit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "name='' is empty"),
        ("  \n", r"name='  \\n' is empty"),
        (None, "name=None is a NoneType, not text"),
        (b"x", "name=b'x' is a bytes, not text"),
        (Add(1), r"name=Add\(left=1, right=0\) is a Add, not text: submit\('nightly build', …\)"),
        (1025 * "x", "name has 1025 characters, at most 1024"),
        ("\ud800", "half a character"),
    ],
)
def test_submit_refuses_a_name(jobs: JobClient, name: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        jobs.submit(name, Add(1))


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        (Add, r"root_task_or_tasks is the class Add: pass an instance, Add\(…\)"),
        ([Add(1), Shout], r"root_task_or_tasks\[1\] is the class Shout"),
        ([Add(1), 7], r"root_task_or_tasks\[1\] is 7, a int: pass an instance of a subclass of Task"),
        (None, "root_task_or_tasks is None"),
        ("Add", "root_task_or_tasks is 'Add', a str"),
        ({"a": Add(1)}, "a dict: pass an instance"),
        (Add("1"), "left"),  # type: ignore[arg-type]
        (Shout(5), "text"),  # type: ignore[arg-type]
    ],
)
def test_submit_refuses_what_is_no_task_or_does_not_fit_it(jobs: JobClient, tasks: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        jobs.submit("x", tasks)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ArgumentError)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"root_task_or_tasks": []}, "root_task_or_tasks is empty"),
        ({"cluster": 5}, "cluster=5 is no cluster"),
        ({"cluster": "  "}, "cluster='  ' is empty"),
        ({"cluster": 101 * "x"}, "cluster has 101 characters"),
        ({"cluster": ["a", "b"]}, "cluster lists 2 clusters for 1 root task:"),
        (
            {"root_task_or_tasks": [Add(1), Add(2)], "cluster": ["a"]},
            "cluster lists 1 clusters for 2 root tasks",
        ),
        ({"cluster": [5]}, "cluster=5 is a int, not text"),
        ({"max_retries": -1}, "max_retries=-1 cannot be used: pass a whole number from 0"),
        ({"max_retries": 1.5}, r"max_retries=1\.5 cannot be used"),
        ({"max_retries": True}, "max_retries=True cannot be used"),
        ({"max_retries": 2**40}, "max_retries=1099511627776 cannot be used"),
    ],
)
def test_submit_refuses(jobs: JobClient, given: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        jobs.submit("x", **{"root_task_or_tasks": Add(1), **given})


def test_a_submission_says_what_was_asked_for() -> None:
    command = submit_command("ns", "many", (Add(1), Shout("a"), Shout("b")), ["gpu", None, ""], 2)
    assert UUID(command.job_id).version == 7
    assert command.name == "many"
    assert command.tasks.inputs == [b'{"left":1,"right":0}', b'"a"', b'"b"']
    assert [(spec.name, spec.cluster, spec.max_retries) for spec in command.tasks.specs] == [
        ("Add", "gpu", 2),
        ("Shout", "default", 2),
    ]
    assert "@" in command.by
    generated = submit_command("ns", "many", (Add(n) for n in range(3)), "gpu")  # type: ignore[arg-type]
    assert len(generated.tasks) == 3
    assert [spec.cluster for spec in generated.tasks.specs] == ["gpu"]


# -- ids, times and reasons -------------------------------------------------------------------------------------

JOB_ID = "018dd029-58ca-74e5-8b58-b4f99d610f9a"


@pytest.mark.parametrize(
    "given", [JOB_ID, JOB_ID.upper(), JOB_ID.replace("-", ""), f"{{{JOB_ID}}}", UUID(JOB_ID)], ids=repr
)
def test_an_id_may_be_written_in_every_usual_way(given: Any) -> None:
    assert arguments.job_id(given) == JOB_ID


@pytest.mark.parametrize("given", ["", "movies", JOB_ID[:8], 5, None, b"x", Add(1), Add], ids=repr)
def test_what_is_no_id_is_refused(jobs: JobClient, given: Any) -> None:
    calls: list[Callable[[Any], object]] = [jobs.find, jobs.cancel, jobs.retry]
    for call in calls:
        with pytest.raises(ArgumentError, match="is not a job, nor the id of one"):
            call(given)


def test_a_reason_is_text(jobs: JobClient) -> None:
    with pytest.raises(ArgumentError, match="reason=5 is a int, not text"):
        jobs.cancel(JOB_ID, 5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="reason has 5000 characters"):
        jobs.cancel(JOB_ID, reason=5000 * "x")


@pytest.mark.parametrize("given", [-0.1, float("nan"), "5", True])
def test_what_is_no_time_is_refused(given: Any) -> None:
    with pytest.raises(ArgumentError, match=r"timeout=.* is no time: pass seconds from 0 up"):
        arguments.seconds("timeout", given)


def test_ids_are_uuids_of_version_7_in_order_of_time() -> None:
    made = [ids.new_id() for _ in range(1000)]
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert len(set(made)) == 1000
    assert [one.int >> 64 for one in made] == sorted(one.int >> 64 for one in made)

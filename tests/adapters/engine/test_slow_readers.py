"""Whoever reads slowly, or not at all, is waited for by nobody but himself."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from jobledger import Client
from jobledger.adapters import protocol as p
from jobledger.adapters.engine.clients import followers
from jobledger.adapters.engine.clients.followers import Followers
from jobledger.adapters.engine.runners import dispatch
from jobledger.adapters.engine.runners.dispatch import Capability, Dispatcher, Waiter
from jobledger.adapters.engine.runners.slots import Slots
from jobledger.adapters.link import Link
from jobledger.adapters.loops import run
from jobledger.adapters.nats.names import Names
from support.engines import BareRunner, EngineHarness, computed, folded, submit, task
from support.processes import PythonProcess
from support.servers import NatsServer
from support.waiting import eventually

_MAIN = "from jobledger.adapters.cli import main; main()"
_SUBSCRIBER = """
import sys, threading
from jobledger import Client
client = Client(sys.argv[1], namespace=sys.argv[2])
subscription = client.jobs().subscribe(lambda change: None, name="slow")
other = client.jobs().subscribe(lambda change: None)
print("subscribed", file=sys.stderr, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def deaf(nats_server: NatsServer) -> Iterator[Callable[..., socket.socket]]:
    """Open connections that send what they are told to, and never read."""
    with ExitStack() as ends:

        def connect(*lines: str) -> socket.socket:
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            ends.enter_context(closing(connection)).connect(("127.0.0.1", nats_server.port))
            connection.sendall(
                "".join(f"{line}\r\n" for line in ('CONNECT {"verbose":false}', *lines)).encode()
            )
            return connection

        yield connect


def work(link: Link, *, tasks: int = 400, size: int = 5_000) -> str:
    """Have a job done: 4 MB go through the log, more than any connection holds by itself."""
    job_id = submit(link, *[task()._replace(input=b"x" * size) for _ in range(tasks)])
    runner = BareRunner(link)
    while claimed := runner.claim(limit=100, wait=0):
        assert runner.report(*map(computed, claimed)) == []
    return job_id


def test_readers_that_stand_still_hold_up_no_work(
    start_engine: Callable[..., EngineHarness],
    nats_server: NatsServer,
    names: Names,
    link: Link,
    tmp_path: Path,
) -> None:
    start_engine().wait_ready()
    place = ("--nats", nats_server.url, "--namespace", names.namespace)
    store = ("--store", f"sqlite:///{tmp_path / 'view.sqlite3'}")
    readers = [
        PythonProcess("-c", _MAIN, "projector", *store, *place, ready="serving"),
        PythonProcess("-c", _SUBSCRIBER, nats_server.url, names.namespace, ready="subscribed"),
    ]
    try:
        for reader in readers:
            reader.launch()
        for reader in readers:
            reader.wait_ready().freeze()
        assert folded(link, work(link)).settled
        for reader in readers:
            reader.thaw()
        with Client(nats_server.url, namespace=names.namespace) as client:
            (job,) = client.jobs().query()  # the view catches up, and is asked for what is in the log by now
            assert job.state.name == "COMPLETED"
    finally:
        for reader in readers:
            reader.kill()


def test_connections_that_never_read_their_answers_hold_up_no_work(
    start_engine: Callable[..., EngineHarness], link: Link, names: Names, deaf: Callable[..., socket.socket]
) -> None:
    start_engine().wait_ready()
    followed = submit(link, task("Never"))
    deaf(f"SUB {names.log_subjects} 1")  # everything that is written
    question = p.encode(p.FollowJob(followed, after=0, wait=0.0))
    asking = f"PUB {names.command} _INBOX.deaf.1 {len(question)}\r\n"
    connection = deaf("SUB _INBOX.deaf.* 1")
    for _ in range(2_000):
        connection.sendall(asking.encode() + question + b"\r\n")
    assert folded(link, work(link)).settled


def test_a_runner_that_stands_still_keeps_what_it_holds_and_nothing_else(
    start_engine: Callable[..., EngineHarness], link: Link
) -> None:
    start_engine(lease=0.5).wait_ready()
    job_id = submit(link, *[task() for _ in range(20)])
    assert len(BareRunner(link).claim(limit=10)) == 10  # it says nothing more
    runner = BareRunner(link)
    assert runner.report(*map(computed, runner.claim(limit=10))) == []

    def settled() -> bool:
        runner.report(*map(computed, runner.claim(limit=10, wait=0.1)))
        return folded(link, job_id).settled

    eventually(settled)


def noting(told: list[int], number: int) -> Callable[[object], None]:
    """Return what notes the number when it is called."""
    return lambda _: told.append(number)


def test_so_many_questions_are_held_open_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> list[int]:
        questions, told = Followers(), list[int]()
        status = p.JobStatus(1, 1, 1, False, [])
        for number in range(10):
            request = p.FollowJob(f"job-{number % 2}", after=1, wait=1e9)
            questions.hold(request, status, noting(told, number))
        assert questions.waiting == 4
        questions.tell("job-0", p.JobStatus(2, 2, 1, False, []))
        questions.answer_all()
        assert questions.waiting == 0
        return told

    monkeypatch.setattr(followers, "_MOST", 4)
    assert run(ask()) == [0, 1, 2, 3, 4, 5, 6, 8, 7, 9]


def test_so_many_runners_are_kept_waiting_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait() -> list[int]:
        dispatcher, told = Dispatcher(Slots()), list[int]()
        for number in range(6):
            waiter = Waiter(f"runner-{number}", Capability("default", ()), noting(told, number))
            dispatcher.hold(waiter, 1e9)
        assert dispatcher.waiting == 4
        dispatcher.answer_all()
        return told

    monkeypatch.setattr(dispatch, "_MOST_WAITERS", 4)
    assert run(wait()) == [0, 1, 2, 3, 4, 5]

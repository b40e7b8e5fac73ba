"""What lies between a runner and a worker process: messages, shared memory, tickets, and names of classes."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger.adapters.runner.processes.importing import _is_guarded
from jobledger.adapters.runner.processes.messages import (
    Frames,
    FromProcess,
    Noted,
    decode_from_process,
    framed,
)
from jobledger.adapters.runner.processes.outgoing import Outgoing
from jobledger.adapters.runner.processes.page import Page, memory_file
from jobledger.adapters.runner.processes.tickets import Tickets, issue

from .test_todo import add, claimed, make_todo, numbers, rest


@pytest.fixture
def page() -> Iterator[Page]:
    descriptor = memory_file(Page.SIZE)
    shared = Page(descriptor)
    yield shared
    shared.close()
    os.close(descriptor)


def noted(number: int, size: int = 10) -> Noted:
    return Noted(str(number), b"", b"", bytes(size))


def test_messages_are_found_however_they_arrive() -> None:
    data = b"".join(framed(noted(number)) for number in range(3))
    for size in (1, 7, len(data)):
        frames = Frames()
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        found = [decode_from_process(one) for part in parts for one in frames.split(part)]
        assert found == [noted(0), noted(1), noted(2)]


def said(page: Page, received: list[FromProcess]) -> list[FromProcess]:
    """Return what was not received of what lies in the page."""
    waiting = [decode_from_process(one) for one in Frames().split(page.waiting)]
    return waiting[len(received) - page.frames_sent :]


def test_what_was_not_sent_survives_in_the_page(page: Page) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outgoing = Outgoing(theirs, page)
        outgoing.add(noted(0))
        outgoing.add(noted(1))
        assert said(page, []) == [noted(0), noted(1)]
        outgoing.send(noted(2))
        received: list[FromProcess] = [decode_from_process(one) for one in Frames().split(ours.recv(10_000))]
        assert received == [noted(0), noted(1), noted(2)]
        outgoing.add(noted(3))
        assert said(page, received) == [noted(3)]


def test_what_is_larger_than_the_page_is_sent_at_once_and_in_order(page: Page) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outgoing = Outgoing(theirs, page)
        large = noted(1, 2 * Page.SIZE)

        def say() -> None:
            for message in (noted(0), large, noted(2)):
                outgoing.add(message)

        saying = threading.Thread(target=say)
        saying.start()
        frames, received = Frames(), list[FromProcess]()
        while len(received) < 2:
            received += [decode_from_process(one) for one in frames.split(ours.recv(100_000))]
        saying.join(10)
        assert received == [noted(0), large]
        assert said(page, received) == [noted(2)]


def test_each_ticket_is_taken_once() -> None:
    reading, writing = os.pipe()
    process, runner = Tickets(reading), Tickets(reading)
    issue(writing, 5, 4)
    assert process.take() == 5
    assert runner.take_all() == [6, 7, 8]
    assert process.take() is None
    issue(writing, 9, 1)
    process.wait()
    assert process.take() == 9
    os.close(writing)
    with pytest.raises(EOFError):
        process.take()
    os.close(reading)


@pytest.mark.parametrize(
    ("source", "guarded"),
    [
        ('if __name__ == "__main__":\n    main()\n', True),
        ("if '__main__' == __name__: main()\n", True),
        ("main()\n", False),
        ("def f():\n    if __name__ == '__main__': pass\n", False),
        ("not python\n", False),
    ],
)
def test_whether_a_script_says_what_it_does_when_it_is_started(
    tmp_path: Path, source: str, guarded: bool
) -> None:
    script = tmp_path / "script.py"
    script.write_text(source)
    assert _is_guarded(str(script)) == guarded


# -- what is handed on, and comes back ----------------------------------------------------------------------------


def test_more_is_taken_without_waiting_for_it() -> None:
    todo = make_todo(exact=False)
    assert todo.take_more(3) == []
    add(todo, claimed(1, 2, 3, 4))
    assert numbers(todo.take_more(3)) == [1, 2, 3]
    assert numbers(todo.take_more(3)) == [4]
    stale = make_todo(exact=False, lease=-1.0)
    add(stale, claimed(1))
    assert stale.take_more(3) == []


def test_what_is_put_back_comes_first_again() -> None:
    todo = make_todo(exact=False)
    add(todo, claimed(1, 2, 3, 4))
    taken = todo.take_more(3)
    taken[1].lost = True
    todo.put_back(taken)
    assert [task for _, task in rest(todo)] == [1, 3, 4]


def test_what_processes_have_not_begun_is_taken_back_with_the_rest() -> None:
    todo = make_todo(exact=False)
    add(todo, claimed(1, 2, 3, 4), claimed(1, job="other"))
    handed_on = todo.take_more(5)
    todo.on_take_back = lambda: [handed_on.pop() for _ in range(len(handed_on))][::-1]
    assert sorted(numbers(todo.take_back_job("job"))) == [1, 2, 3, 4]
    assert rest(todo) == [("other", 1)]

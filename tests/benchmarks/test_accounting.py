"""What processes use is told of any of them, and of all that they have started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from benchmarks.accounting import Usage, forget_peak, memory, processor_time, with_descendants
from benchmarks.burning import burn, burned

#: programs that say something once they have done what they are for, and then wait
THREADED = (
    "import sys, threading, time\n"
    "thread = threading.Thread(target=lambda: sum(range(2_000_000))); thread.start(); thread.join()\n"
    "print(time.process_time(), flush=True); sys.stdin.read()"
)
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {THREADED!r}])"


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the program of the test."""
    command = [sys.executable, "-c", request.param]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate()


def said(child: subprocess.Popen[str]) -> float:
    assert child.stdout is not None
    return float(child.stdout.readline())


@pytest.mark.parametrize("child", [THREADED], indirect=True)
def test_threads_that_have_ended_count(child: subprocess.Popen[str]) -> None:
    used = said(child)
    assert processor_time(child.pid) >= used


@pytest.mark.parametrize("child", [PARENT], indirect=True)
def test_what_a_process_has_started_belongs_to_it(child: subprocess.Popen[str]) -> None:
    said(child)
    grandchildren = with_descendants(child.pid)[1:]
    assert len(grandchildren) == 1
    assert {child.pid, *grandchildren} <= set(with_descendants(os.getpid()))


def test_usage_is_what_was_used_inside_its_blocks() -> None:
    usage = Usage(lambda: {"client": [os.getpid()]})
    outside, began = 0.0, time.process_time()
    for _ in range(2):
        with usage:
            burn(1, 100_000)
        before = time.process_time()
        burn(1, 100_000)
        outside += time.process_time() - before
    assert 0 < usage.total <= time.process_time() - began - outside
    assert usage.each(2) == {"client": usage.total / 2 * 1e6}


def test_messages_are_those_of_its_blocks() -> None:
    counts = iter([(10, 100), (13, 104), (20, 200), (23, 206)])
    usage = Usage(dict, lambda: next(counts))
    for _ in range(2):
        with usage:
            pass
    assert usage.messages_each(2) == (3, 5)


def test_the_peak_of_memory_can_be_forgotten() -> None:
    block = bytearray(b"1") * 50_000_000
    del block
    assert memory(os.getpid(), "VmHWM") > memory(os.getpid()) + 20
    forget_peak(os.getpid())
    assert memory(os.getpid(), "VmHWM") < memory(os.getpid()) + 20


def test_a_process_that_is_gone_is_an_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(ProcessLookupError, match=str(gone.pid)):
        processor_time(gone.pid)


def test_plain_processes_do_all_of_the_work() -> None:
    work = burned(4, 20_000, processes=2)
    assert work.processor > 0
    assert work.rate > 0

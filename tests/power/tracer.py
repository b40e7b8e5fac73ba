"""Runs a program and keeps a journal of what it does to the files of one folder.

`python tracer.py FOLDER JOURNAL PROGRAM …` traces the program's system calls (ptrace). What the kernel has done is in the
journal before the program goes on: whatever it tells others afterwards, such as an acknowledgement, comes later. What
cannot be understood is not passed over: the program is ended. SIGTERM is passed on to it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from power import journal as j
from power import kernel

_ALL_THREADS = 0x40000000
_HERE, _REMOVE_FOLDER, _EXCHANGE = -100, 0x200, 0x2
_CREATED_BY_TRACING = signal.SIGSTOP

_ON_DESCRIPTORS = frozenset({"write", "pwrite64", "fsync", "fdatasync", "ftruncate"})
_ON_PATHS = frozenset(
    {
        "open",
        "openat",
        "creat",
        "mkdir",
        "mkdirat",
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
        "rmdir",
    }
)
#: by the place of the descriptor that they would change: a program that used one on the folder would not be understood
_UNKNOWN = {
    "writev": 0,
    "pwritev": 0,
    "pwritev2": 0,
    "fallocate": 0,
    "sendfile": 0,
    "dup": 0,
    "dup2": 0,
    "dup3": 0,
    "splice": 2,
    "copy_file_range": 2,
}
_REFUSED = frozenset({"truncate", "link", "linkat", "io_uring_setup", "openat2"})
_TRACED = ("close", *_ON_DESCRIPTORS, *_ON_PATHS, *_UNKNOWN, *_REFUSED)


class NotUnderstood(Exception):
    """The program did something to the folder that a journal has no word for."""


class Tracer:
    """Follows one program, whose threads share their descriptors."""

    def __init__(self, folder: Path, write: Callable[[bytes], object]) -> None:
        self._folder = f"{folder.resolve()}"
        self._write = write
        self._begun: dict[int, kernel.Call] = {}  #: by thread: the call it is at, whose result is waited for
        self._known: set[int] = set()  #: descriptors of the folder
        self._threads: set[int] = set()

    def run(self, command: list[str]) -> int:
        """Run a program to its end and return its exit code. Errors: NotUnderstood; CannotTrace."""
        self._pid = pid = kernel.start(command, _TRACED)
        self._threads.add(pid)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        while True:
            thread, status = os.waitpid(-1, _ALL_THREADS)
            if os.WIFSTOPPED(status):
                try:
                    self._stopped(thread, status)
                except ProcessLookupError:
                    continue  # killed while it was stopped
            elif thread == pid:
                return os.waitstatus_to_exitcode(status)

    def _stopped(self, thread: int, status: int) -> None:
        event, sign = status >> 16, os.WSTOPSIG(status)
        if event == kernel.EVENT_SECCOMP:
            call = kernel.call(thread)
            wanted = self._matters(thread, call)
            if wanted:
                self._begun[thread] = call
            kernel.resume(thread, to_exit=wanted)
        elif event:
            kernel.resume(thread)
        elif sign == signal.SIGTRAP | 0x80:
            result = kernel.result(thread)
            call = self._begun.pop(thread)
            if result >= 0:
                self._done(thread, call, result)
            kernel.resume(thread)
        elif thread not in self._threads:  # a new thread begins with a stop of its own
            self._threads.add(thread)
            kernel.resume(thread, signal=0 if sign == _CREATED_BY_TRACING else sign)
        else:
            kernel.resume(thread, signal=sign)

    def _matters(self, thread: int, call: kernel.Call) -> bool:
        """Whether the result of a call is to be waited for. Errors: NotUnderstood."""
        if call.name in _ON_PATHS:
            return True
        if call.name in _REFUSED:
            raise NotUnderstood(call.name)
        descriptor = call.descriptor(_UNKNOWN.get(call.name, 0))
        if call.name == "close":
            # Not once it is done: by then the number may be another file's.
            if descriptor in self._known:
                self._known.discard(descriptor)
                self._say(j.Close(time.monotonic(), descriptor))
            return False
        if descriptor not in self._known:
            if self._within(_target(self._pid, descriptor)) is not None:
                raise NotUnderstood(f"{call.name} on descriptor {descriptor}, which was never opened")
            return False
        if call.name in _UNKNOWN:
            raise NotUnderstood(f"{call.name} on {_target(self._pid, descriptor)}")
        return True

    def _done(self, thread: int, call: kernel.Call, result: int) -> None:
        """Write down what was done. The thread that did it is stopped behind it."""
        now = time.monotonic()
        arguments = call.arguments
        match call.name:
            case "write":
                descriptor = call.descriptor()
                end = _place(self._pid, descriptor)
                data = kernel.bytes_at(thread, arguments[1], result)
                self._say(j.Write(now, descriptor, end - result, data))
            case "pwrite64":
                data = kernel.bytes_at(thread, arguments[1], result)
                self._say(j.Write(now, call.descriptor(), arguments[3], data))
            case "ftruncate":
                self._say(j.Truncate(now, call.descriptor(), arguments[1]))
            case "fsync" | "fdatasync":
                self._say(j.Sync(now, call.descriptor()))
            case "open" | "openat" | "creat":
                path = self._within(_target(self._pid, result))
                if path is not None:
                    flags = {"open": arguments[1], "openat": arguments[2]}.get(
                        call.name, os.O_CREAT | os.O_TRUNC
                    )
                    self._known.add(result)
                    self._say(j.Open(now, result, path, flags))
            case "rename":
                self._renamed(now, thread, (_HERE, arguments[0]), (_HERE, arguments[1]))
            case "renameat" | "renameat2":
                if call.name == "renameat2" and arguments[4] & _EXCHANGE:
                    raise NotUnderstood("an exchange of two names")
                self._renamed(
                    now, thread, (call.descriptor(), arguments[1]), (call.descriptor(2), arguments[3])
                )
            case _:
                at = call.name.endswith("at")
                path = self._path(
                    thread, call.descriptor() if at else _HERE, arguments[1] if at else arguments[0]
                )
                if path is not None:
                    made = call.name in ("mkdir", "mkdirat")
                    self._say(j.Make(now, path) if made else j.Remove(now, path))

    def _renamed(self, now: float, thread: int, old: tuple[int, int], new: tuple[int, int]) -> None:
        before, after = self._path(thread, *old), self._path(thread, *new)
        if before is not None and after is not None:
            self._say(j.Rename(now, before, after))
        elif before != after:
            raise NotUnderstood(f"a rename into the folder or out of it: {before} to {after}")

    def _path(self, thread: int, folder: int, address: int) -> str | None:
        text = kernel.text_at(thread, address)
        if not os.path.isabs(text):
            where = f"/proc/{thread}/cwd" if folder == _HERE else f"/proc/{thread}/fd/{folder}"
            text = os.path.join(os.readlink(where), text)
        parent, name = os.path.split(os.path.normpath(text))
        return self._within(os.path.join(os.path.realpath(parent), name))

    def _within(self, path: str) -> str | None:
        """Return a path as one within the folder; None if it is none."""
        inside = path == self._folder or path.startswith(f"{self._folder}/")
        return os.path.relpath(path, self._folder) if inside else None

    def _say(self, operation: j.Operation) -> None:
        self._write(j.encode(operation))


def _target(pid: int, descriptor: int) -> str:
    """Return what a descriptor of a process is open on; "" if it is not."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return ""


def _place(pid: int, descriptor: int) -> int:
    """Return how far a descriptor has come in its file."""
    with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as facts:
        return int(facts.readline().removeprefix("pos:"))


def main(arguments: list[str]) -> int:
    folder, kept, *command = arguments
    # Not buffered: what is journaled stays so, however this process ends.
    with open(kept, "wb", buffering=0) as file:
        try:
            return Tracer(Path(folder), file.write).run(command)
        except (NotUnderstood, kernel.CannotTrace, OSError) as error:
            sys.stderr.write(f"tracer: {type(error).__name__}: {error}\n")
            return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

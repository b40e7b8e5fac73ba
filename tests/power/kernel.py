"""The few calls of Linux that tracing takes: ptrace, and a seccomp filter that says which system calls stop a process.

Both are for everybody to use on processes of their own: no root, no kernel module, nothing to install. Without the filter
a traced process would stop at each of its system calls, which are a hundred times as many as those on files.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Iterable
from ctypes import POINTER, c_int, c_int64, c_long, c_uint8, c_uint16, c_uint32, c_uint64, c_ulong
from typing import ClassVar, NamedTuple

#: by machine: its name for seccomp, and the numbers of the system calls that matter here, where it has them
_MACHINES = {
    "x86_64": (
        0xC000003E,
        {
            "write": 1,
            "close": 3,
            "pwrite64": 18,
            "writev": 20,
            "sendfile": 40,
            "dup": 32,
            "dup2": 33,
            "fsync": 74,
            "fdatasync": 75,
            "truncate": 76,
            "ftruncate": 77,
            "rename": 82,
            "mkdir": 83,
            "rmdir": 84,
            "creat": 85,
            "link": 86,
            "unlink": 87,
            "open": 2,
            "openat": 257,
            "mkdirat": 258,
            "unlinkat": 263,
            "renameat": 264,
            "linkat": 265,
            "splice": 275,
            "fallocate": 285,
            "dup3": 292,
            "pwritev": 296,
            "renameat2": 316,
            "copy_file_range": 326,
            "pwritev2": 328,
            "io_uring_setup": 425,
            "openat2": 437,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "dup": 23,
            "dup3": 24,
            "mkdirat": 34,
            "unlinkat": 35,
            "linkat": 37,
            "renameat": 38,
            "truncate": 45,
            "ftruncate": 46,
            "fallocate": 47,
            "openat": 56,
            "close": 57,
            "write": 64,
            "writev": 66,
            "pwrite64": 68,
            "pwritev": 70,
            "sendfile": 71,
            "splice": 76,
            "fsync": 82,
            "fdatasync": 83,
            "renameat2": 276,
            "copy_file_range": 285,
            "pwritev2": 287,
            "io_uring_setup": 425,
            "openat2": 437,
        },
    ),
}

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
#: stops are told apart from signals; threads are traced as well; seccomp stops; whoever traces ends, the traced ends
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000
EVENT_SECCOMP = 7
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_KILL, _TRACE, _ALLOW = 0x80000000, 0x7FF00000, 0x7FFF0000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [c_long, c_long, c_ulong, ctypes.c_void_p]
_libc.ptrace.restype = c_long


class _Instruction(ctypes.Structure):
    _fields_: ClassVar = [("code", c_uint16), ("jt", c_uint8), ("jf", c_uint8), ("k", c_uint32)]


class _Program(ctypes.Structure):
    _fields_: ClassVar = [("len", c_uint16), ("filter", POINTER(_Instruction))]


class _Info(ctypes.Structure):
    """`struct ptrace_syscall_info`: at a seccomp stop `nr` and `args`, behind the call `result` in the place of `nr`."""

    _fields_: ClassVar = [
        ("op", c_uint8),
        ("pad", c_uint8 * 3),
        ("arch", c_uint32),
        ("pc", c_uint64),
        ("sp", c_uint64),
        ("nr", c_int64),
        ("args", c_uint64 * 6),
        ("more", c_uint64 * 2),
    ]


class Call(NamedTuple):
    """A system call that is about to be made."""

    name: str
    arguments: tuple[int, ...]

    def descriptor(self, index: int = 0) -> int:
        """Return an argument that is a file descriptor: an `int` in a register that is wider."""
        return c_int(self.arguments[index] & 0xFFFFFFFF).value


class CannotTrace(Exception):
    """This kernel, or this machine, does not let us."""


@functools.cache
def _machine() -> tuple[int, dict[str, int]]:
    """Return what this machine is called, and its numbers of system calls. Errors: CannotTrace."""
    try:
        return _MACHINES[platform.machine()]
    except KeyError:
        raise CannotTrace(f"system calls of {platform.machine()} are not known here") from None


def start(command: list[str], calls: Iterable[str]) -> int:
    """Start a program that stops at these system calls, and return its process id. Errors: CannotTrace; OSError."""
    architecture, numbers = _machine()
    program = _filter(architecture, sorted(numbers[name] for name in calls if name in numbers))
    pid = os.fork()
    if not pid:
        try:
            if _libc.ptrace(_TRACEME, 0, 0, None) == 0:
                os.kill(os.getpid(), 19)  # until whoever traces has said how
                if (
                    _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                    and _libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0
                ):
                    os.execv(command[0], command)
        finally:
            os._exit(127)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        raise CannotTrace("PTRACE_TRACEME was refused")
    _ptrace(_SETOPTIONS, pid, _OPTIONS)
    resume(pid)
    return pid


def _filter(architecture: int, numbers: list[int]) -> _Program:
    """Return a program for the kernel: stop at these calls, let others be; no calls of another architecture."""
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    lines += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _TRACE)]
    return _Program(len(lines), (_Instruction * len(lines))(*(_Instruction(*line) for line in lines)))


def resume(thread: int, *, to_exit: bool = False, signal: int = 0) -> None:
    """Let a stopped thread go on: to the end of the system call it is at, or to whatever stops it next."""
    _ptrace(_SYSCALL if to_exit else _CONT, thread, signal)


def call(thread: int) -> Call:
    """Return the system call that a thread has stopped at."""
    info = _info(thread)
    return Call(_names()[info.nr], tuple(info.args))


@functools.cache
def _names() -> dict[int, str]:
    return {number: name for name, number in _machine()[1].items()}


def result(thread: int) -> int:
    """Return what the system call came to that a thread has stopped behind; negative for an error."""
    return int(_info(thread).nr)


def _info(thread: int) -> _Info:
    info = _Info()
    done = _libc.ptrace(_GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.byref(info))
    if done < 0:
        raise OSError(ctypes.get_errno(), "PTRACE_GET_SYSCALL_INFO")
    return info


def _ptrace(request: int, thread: int, data: int) -> None:
    if _libc.ptrace(request, thread, 0, ctypes.c_void_p(data)) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def text_at(thread: int, address: int) -> str:
    """Return the text, ended by a zero, at an address of a stopped thread."""
    found = b""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        while b"\0" not in found:
            # Not beyond the page: the next one may not be there.
            memory.seek(address + len(found))
            found += memory.read(4096 - (address + len(found)) % 4096)
    return os.fsdecode(found.split(b"\0")[0])


def bytes_at(thread: int, address: int, length: int) -> bytes:
    """Return bytes at an address of a stopped thread."""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        found = b""
        while len(found) < length:
            found += memory.read(length - len(found))
    return found

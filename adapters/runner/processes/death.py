"""What is said of a worker process that died, and of the attempt that died with it."""

from __future__ import annotations

import os
import signal

from jobledger.core.errors import JobLedgerError

_MOST = 64 * 1024  # bytes


class WorkerDied(JobLedgerError):
    """The process that ran an attempt died: by a signal, such as SIGSEGV of native code, or by `os._exit`.

    It is the reason of the failed attempt; other attempts on the same runner do not notice. `Retry(on=(WorkerDied,))` has
    such a task tried again, `Retry(give_up=(WorkerDied,))` never.

    >>> class Render(Task, retry=Retry(2, on=(WorkerDied,))):
    ...     def execute(self, context: ExecutionContext) -> None: ...
    """


def ending(code: int) -> str:
    """Return how a process ended, from its exit code.

    >>> ending(3), ending(-11)
    ('exit code 3', 'signal SIGSEGV')
    """
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def died(code: int, pid: int) -> WorkerDied:
    """Return the error of the attempt that a process ran when it ended with this code."""
    hint = {
        -signal.SIGKILL: ". Where nobody killed it, the machine, or its container, ran out of memory",
        -signal.SIGSEGV: ". Native code of a library that the task uses did that, not Python code",
    }.get(code, "")
    return WorkerDied(f"the process {pid} that ran this attempt ended with {ending(code)}{hint}")


def written_down(descriptor: int) -> str:
    """Return what `faulthandler` wrote: the Python code that ran, the innermost call first."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, min(size, _MOST), 0).decode(errors="replace").rstrip() if size else ""

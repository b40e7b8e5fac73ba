"""Tasks that leave a record, outside of the log, of every time one of them is begun."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from jobledger import ExecutionContext, Task

#: names the file of the record
RECORD = "FAULTS_RECORD"


def note(context: ExecutionContext) -> None:
    """Append `<job>/<task> <attempt> <µs since 1970> <process>`, in one write: lines of several processes do not mix."""
    task = context.current_task
    line = f"{task.id} {task.attempt} {time.time_ns() // 1000} {os.getpid()}\n"
    file = os.open(os.environ[RECORD], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Step(Task):
    """Takes a while."""

    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        if self.milliseconds:
            threading.Event().wait(self.milliseconds / 1000)


class Fan(Task):
    """Many tasks side by side, and one that waits for all of them."""

    width: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        steps = context.submit_subtasks([Step(self.milliseconds)] * self.width)
        context.submit_subtask(Step(), depends_on=steps)


class Chain(Task):
    """One after another."""

    length: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        last = context.submit_subtask(Step(self.milliseconds))
        for _ in range(self.length - 1):
            last = context.submit_subtask(Step(self.milliseconds), depends_on=last)


class KillsItsProcess(Task):
    """Takes its whole process with it, in one way or the other, until attempt `survives` or until `mended` exists."""

    survives: int
    mended: str = ""

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        attempt = context.current_task.attempt
        if attempt >= self.survives or (self.mended and Path(self.mended).exists()):
            return
        if attempt % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(3)


TASKS: list[type[Task]] = [Step, Fan, Chain, KillsItsProcess]

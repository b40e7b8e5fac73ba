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


class Tree(Task):
    """Two below each, `depth` levels of them."""

    depth: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        threading.Event().wait(self.milliseconds / 1000)
        if self.depth:
            context.submit_subtasks([Tree(self.depth - 1, self.milliseconds)] * 2)


class Layers(Task):
    """Each layer waits for the whole of the one before, and for all below it."""

    layers: int
    width: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        before = context.submit_subtasks([Chain(2, self.milliseconds)] * self.width)
        for _ in range(self.layers - 1):
            before = context.submit_subtasks([Step(self.milliseconds)] * self.width, depends_on=before)


class Mixed(Task):
    """Tasks that fail once, tasks that fail always and may, and tasks that wait for them."""

    width: int
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        failing = [context.submit_subtask(Fails(), optional=True) for _ in range(self.width)]
        flaky = context.submit_subtasks([FailsOnce(self.milliseconds)] * self.width, max_retries=2)
        context.submit_subtask(Step(), depends_on=[*failing, *flaky])


class FailsOnce(Task):
    milliseconds: int = 0

    def execute(self, context: ExecutionContext) -> None:
        note(context)
        threading.Event().wait(self.milliseconds / 1000)
        if context.current_task.attempt == 1:
            raise RuntimeError("the first attempt always fails")


class Fails(Task):
    def execute(self, context: ExecutionContext) -> None:
        note(context)
        raise RuntimeError("every attempt fails")


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


TASKS: list[type[Task]] = [Step, Fan, Chain, Tree, Layers, Mixed, FailsOnce, Fails, KillsItsProcess]

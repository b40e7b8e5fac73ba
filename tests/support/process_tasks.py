"""Tasks for worker processes, which import them from here."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from jobledger import ExecutionContext, Retry, RunnerContext, Task
from jobledger.errors import TaskCanceled, WorkerDied


class Made(RunnerContext):
    """The context of the runner: one in each process."""

    def __init__(self) -> None:
        self.pid = os.getpid()


class Where(Task):
    """In which process it runs, on which thread, and what is made of the context there."""

    def execute(self, context: ExecutionContext) -> list[int]:
        main = threading.current_thread() is threading.main_thread()
        return [os.getpid(), int(main), context.runner_context.pid]


class Nothing(Task):
    def execute(self, context: ExecutionContext) -> None: ...


class Many(Task):
    count: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Nothing() for _ in range(self.count)])


class Square(Task):
    number: int

    def execute(self, context: ExecutionContext) -> int:
        context.job_cache[f"squares/{self.number}"] = str(self.number**2).encode()
        return self.number**2


class Total(Task):
    def execute(self, context: ExecutionContext) -> list[int]:
        cached = sum(int(value) for _, value in context.job_cache.group("squares").items())
        return [sum(context.results(int)), cached]


class MapReduce(Task):
    count: int

    def execute(self, context: ExecutionContext) -> None:
        squares = context.submit_subtasks([Square(number) for number in range(self.count)])
        context.submit_subtask(Total(), depends_on=squares)


class Echo(Task):
    """Returns what it is given, as often as is said."""

    text: str
    times: int = 1

    def execute(self, context: ExecutionContext) -> str:
        return self.text * self.times


class Length(Task):
    def execute(self, context: ExecutionContext) -> list[int]:
        return [len(one or "") for one in context.results(str)]


class EchoAndMeasure(Task):
    times: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Length(), depends_on=context.submit_subtask(Echo("x" * 1000, self.times)))


class Misses(Task):
    """Looks for what is not in the cache, and says what it is told."""

    def execute(self, context: ExecutionContext) -> str:
        try:
            context.job_cache["nothing/there"]
        except KeyError as error:
            return f"{type(error).__name__}: {error}"
        return ""


class Elsewhere(Task):
    """Submits to a cluster that there is not."""

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(Nothing(), cluster="nowhere")


class Tells(Task):
    """Logs, traces, counts and displays, and then waits for a file to be there."""

    file: str

    def execute(self, context: ExecutionContext) -> None:
        context.logger.info("a line from afar", part=7)
        with context.tracer.span("afar"):
            pass
        context.progress("parts").add(3)
        context.progress("parts").done(1)
        context.current_task.display = "telling"
        print("printed afar")
        while not Path(self.file).exists():
            time.sleep(0.01)


class WaitsFor(Task):
    """Says that it has begun, and waits for another file to be there."""

    begun: str
    go_on: str

    def execute(self, context: ExecutionContext) -> int:
        Path(self.begun).write_text(str(os.getpid()))
        while not Path(self.go_on).exists():
            time.sleep(0.01)
        return os.getpid()


class Tree(Task):
    """Submits others like it, and says in a file that it has run."""

    file: str
    name: str
    width: int

    def execute(self, context: ExecutionContext) -> None:
        with Path(self.file).open("a") as file:
            file.write(self.name + " ")
        context.submit_subtasks([Tree(self.file, self.name + str(i), 0) for i in range(self.width)])


class Exits(Task):
    code: int

    def execute(self, context: ExecutionContext) -> None:
        os._exit(self.code)


class Leaves(Task):
    def execute(self, context: ExecutionContext) -> None:
        sys.exit("enough")


class Crashes(Task, retry=Retry(1, on=(WorkerDied,))):
    """Reads where nothing is."""

    def execute(self, context: ExecutionContext) -> None:
        ctypes.string_at(0)


class KilledOnce(Task, retry=Retry(2, on=(WorkerDied,))):
    def execute(self, context: ExecutionContext) -> int:
        if context.current_task.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return context.current_task.attempt


class Fails(Task):
    def execute(self, context: ExecutionContext) -> None:
        raise ValueError("as it was meant to")


class Mixed(Task):
    """Many that do nothing, and among them one that takes its process with it."""

    count: int

    def execute(self, context: ExecutionContext) -> None:
        half = self.count // 2
        context.submit_subtasks(
            [*(Nothing() for _ in range(half)), Exits(7), *(Nothing() for _ in range(half))],
            on_failure="continue",
        )


class Sleeps(Task, timeout=0.3):
    """Waits in a system call; says how it ended."""

    file: str

    def execute(self, context: ExecutionContext) -> None:
        try:
            time.sleep(60)
        except TaskCanceled:
            Path(self.file).write_text("stopped")
            raise


class HoldsTheInterpreter(Task):
    """Computes in native code that lets nothing else of its process run, once a child of its own has begun."""

    file: str

    def execute(self, context: ExecutionContext) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        Path(self.file).write_text(f"{os.getpid()} {child.pid}")
        sum(range(10**12))


class Forks(Task):
    """Leaves a process behind that was forked, and dies."""

    def execute(self, context: ExecutionContext) -> None:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        os._exit(9)


class SlowAmongFast(Task):
    """One that holds its interpreter until a file is there, before many that do nothing, and one that makes the file."""

    file: str
    count: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtasks([Nothing() for _ in range(self.count)])
        context.submit_subtask(Blocks(self.file))
        context.submit_subtasks([Nothing() for _ in range(self.count)])
        context.submit_subtask(Touch(self.file))


class Blocks(Task):
    """Waits in native code that keeps the interpreter to itself until a file is there."""

    file: str

    def execute(self, context: ExecutionContext) -> None:
        library = ctypes.PyDLL(None)  # unlike CDLL, it does not release the GIL
        while library.access(self.file.encode(), 0) != 0:
            library.usleep(100_000)


class Touch(Task):
    file: str

    def execute(self, context: ExecutionContext) -> None:
        Path(self.file).touch()


class Asks(Task):
    """Waits until it is canceled, and ends in order."""

    begun: str

    def execute(self, context: ExecutionContext) -> None:
        Path(self.begun).touch()
        while True:
            time.sleep(0.01)
            context.check_canceled()


class Once(Task, reuse=True):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        return f"{self.text} {os.getpid()} {time.time_ns()}"


class Awaits(Task):
    async def execute(self, context: ExecutionContext) -> str:
        import asyncio

        await asyncio.sleep(0)
        return "awaited"

"""Canceling a task that runs: it goes on, and what depends on it is abandoned. The second example of Taipy's page on jobs.

    .venv/bin/python examples/taipy_cancel_running.py [SECONDS]

As examples/taipy_cancel_waiting.py, which explains the words, but for the task that is canceled.
"""

from __future__ import annotations

import sys
from threading import Thread
from time import sleep
from uuid import uuid4

from jobledger import Client, ExecutionContext, Task
from jobledger.data import Status, TaskView


class Scenario(Task):
    """Doubles a number, and prints what comes of it."""

    number: int
    seconds: float

    def execute(self, context: ExecutionContext) -> None:
        double = context.submit_subtask(DoubleTask(self.number, self.seconds))
        context.submit_subtask(PrintTask(), depends_on=double)


class DoubleTask(Task):
    number: int
    seconds: float

    def execute(self, context: ExecutionContext) -> int:
        sleep(self.seconds)
        return self.number * 2


class PrintTask(Task):
    def execute(self, context: ExecutionContext) -> None:
        print(*context.results())


def main(seconds: float = 5.0) -> None:
    with Client() as client:
        jobs = client.jobs()
        labels = {"run": str(uuid4())}  # your data folder may hold other jobs than those of this run

        def executions() -> list[TaskView]:
            return [task for job in jobs.query(labels=labels) for task in job.tasks if task.parent]

        print(f"(1) Number of jobs: {len(executions())}.")

        runner = client.runner(tasks=[Scenario, DoubleTask, PrintTask])
        running = Thread(target=runner.run_forever)
        running.start()
        try:
            job = jobs.submit("my_scenario", Scenario(21, seconds), labels=labels)
            for _ in job.watch(timeout=60):  # told of every change
                if any(task.status is Status.RUNNING for task in job.tasks[1:]):
                    break

            print(f"(2) Number of jobs: {len(executions())}.")
            (double_task,) = job.tasks.filter(name="DoubleTask")
            (print_task,) = job.tasks.filter(name="PrintTask")
            print(f"(3) Status of job double_task: {double_task.status}")
            print(f"(4) Status of job print_task: {print_task.status}")

            jobs.cancel(double_task)
            job.wait(timeout=seconds + 60, raise_on_cancel=False)

            print(f"(5) Status of job double_task: {double_task.status}")
            print(f"(6) Status of job print_task: {print_task.status}")
        finally:
            runner.stop()
            running.join()


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))

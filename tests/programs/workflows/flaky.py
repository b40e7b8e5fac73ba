"""A task that fails more often than not, and may be tried again."""

import random

from jobledger import Client, ExecutionContext, Job, Task

dice = random.Random(4)


class RootTask(Task):
    retries: int

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(FlakyTask(), max_retries=self.retries)


class FlakyTask(Task):
    def execute(self, context: ExecutionContext) -> None:
        print("Executing FlakyTask")
        if dice.random() < 0.8:
            raise RuntimeError("FlakyTask had no luck")


def main(retries: int = 50) -> Job:
    client = Client()
    job = client.jobs().submit("flaky", RootTask(retries))

    client.runner(tasks=[RootTask, FlakyTask]).run_all()
    return job


if __name__ == "__main__":
    main()

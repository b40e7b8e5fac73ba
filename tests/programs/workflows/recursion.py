"""A task that submits itself, in halves, until there is nothing left to divide."""

from jobledger import Client, ExecutionContext, Job, Task


class RecursiveTask(Task):
    num: int

    def execute(self, context: ExecutionContext) -> None:
        print(f"at {self.num}")
        if self.num >= 2:
            context.submit_subtask(RecursiveTask(self.num // 2))
            context.submit_subtask(RecursiveTask(self.num // 2))


def main(num: int = 8) -> Job:
    client = Client()
    job = client.jobs().submit("recursion", RecursiveTask(num))

    client.runner(tasks=[RecursiveTask]).run_all()
    return job


if __name__ == "__main__":
    main()

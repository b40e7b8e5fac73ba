"""Tasks that run one after another, since each depends on the one before."""

from jobledger import Client, ExecutionContext, Job, Task


class PrintSequentially(Task):
    count: int

    def execute(self, context: ExecutionContext) -> None:
        last = context.submit_subtask(Print("1"))
        for i in range(2, self.count + 1):
            last = context.submit_subtask(Print(str(i)), depends_on=[last])


class Print(Task):
    text: str

    def execute(self, context: ExecutionContext) -> None:
        print(self.text)


def main(count: int = 3, concurrency: int = 1) -> Job:
    client = Client()
    job = client.jobs().submit("one-after-another", PrintSequentially(count))

    client.runner(tasks=[PrintSequentially, Print], concurrency=concurrency).run_all()
    return job


if __name__ == "__main__":
    main()

"""A first workflow: a task that submits one other."""

from jobledger import Client, ExecutionContext, Job, Task


class HelloWorkflow(Task):
    names: list[str]

    def execute(self, context: ExecutionContext) -> None:
        print(f"Greeting {len(self.names)} people")
        for name in self.names:
            context.submit_subtask(WriteGreeting(name=name, punctuation="!"))


class WriteGreeting(Task):
    name: str
    punctuation: str = "."

    def execute(self, context: ExecutionContext) -> None:
        print(f"Hello, {self.name}{self.punctuation}")


def main() -> Job:
    client = Client()
    job = client.jobs().submit("hello", HelloWorkflow(["Ada", "Grace"]))

    runner = client.runner(tasks=[HelloWorkflow, WriteGreeting])
    runner.run_all()
    return job


if __name__ == "__main__":
    main()

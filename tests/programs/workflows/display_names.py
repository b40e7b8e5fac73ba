"""Tasks that say what they are to be called."""

from jobledger import Client, ExecutionContext, Job, Task


class RootTask(Task):
    num_subtasks: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Root({self.num_subtasks})"
        for i in range(self.num_subtasks):
            context.submit_subtask(SubTask(i))


class SubTask(Task):
    index: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Leaf Nr. {self.index}"


def main() -> Job:
    client = Client()
    job = client.jobs().submit("custom-display-names", RootTask(3))

    client.runner(tasks=[RootTask, SubTask]).run_all()
    return job


if __name__ == "__main__":
    main()

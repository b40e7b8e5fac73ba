"""A parent hands out work to as many children as it likes."""

from jobledger import Client, ExecutionContext, Job, Task


class ParentTask(Task):
    num_subtasks: int

    def execute(self, context: ExecutionContext) -> None:
        print(f"parent: {self.num_subtasks} children to come")
        for i in range(self.num_subtasks):
            context.submit_subtask(ChildTask(i))


class ChildTask(Task):
    index: int

    def execute(self, context: ExecutionContext) -> None:
        print(f"child {self.index}")


def main(num_subtasks: int = 5) -> Job:
    client = Client()
    job = client.jobs().submit("parent-and-children", ParentTask(num_subtasks))

    client.runner(tasks=[ParentTask, ChildTask]).run_all()
    return job


if __name__ == "__main__":
    main()

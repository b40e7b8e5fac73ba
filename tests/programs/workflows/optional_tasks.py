"""Tasks that may fail without the job failing."""

from jobledger import Client, ExecutionContext, Job, Task


class Workflow(Task):
    """A required step, one that may fail, and a last one that waits for both."""

    def execute(self, context: ExecutionContext) -> None:
        required = context.submit_subtask(Required())
        flaky = context.submit_subtask(Fails(), optional=True)
        context.submit_subtask(Final(), depends_on=[required, flaky])


class Required(Task):
    def execute(self, context: ExecutionContext) -> None:
        print("required")


class Fails(Task):
    def execute(self, context: ExecutionContext) -> None:
        print("fails")
        raise ValueError("this step never works")


class Final(Task):
    def execute(self, context: ExecutionContext) -> None:
        print("final")


class Branches(Task):
    """Two branches; the first is optional as a whole."""

    def execute(self, context: ExecutionContext) -> None:
        context.submit_subtask(OptionalBranch(), optional=True)
        context.submit_subtask(Required())


class OptionalBranch(Task):
    def execute(self, context: ExecutionContext) -> None:
        failing = context.submit_subtask(Fails())
        context.submit_subtask(Final(), depends_on=[failing])


class OptionalLeaf(Task):
    """Its first subtask is optional by itself: that it fails skips nothing."""

    def execute(self, context: ExecutionContext) -> None:
        failing = context.submit_subtask(Fails(), optional=True)
        context.submit_subtask(Final(), depends_on=[failing])


def main(root: Task) -> Job:
    client = Client()
    job = client.jobs().submit("optional-tasks", root)

    runner = client.runner(tasks=[Workflow, Branches, OptionalBranch, OptionalLeaf, Required, Fails, Final])
    runner.run_all()
    return job


if __name__ == "__main__":
    for root in (Workflow(), Branches(), OptionalLeaf()):
        print(main(root))

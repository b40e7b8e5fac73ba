"""Two runners that know different tasks: between them, they can run the whole job."""

from jobledger import Client, ExecutionContext, Job, Task


class DistributedWorkflow(Task):
    def execute(self, context: ExecutionContext) -> None:
        images = [context.submit_subtask(DownloadImage(name)) for name in ("a.tif", "b.tif")]
        context.submit_subtask(StitchImages(), depends_on=images)


class DownloadImage(Task):
    name: str

    def execute(self, context: ExecutionContext) -> None:
        print(f"download {self.name}")


class StitchImages(Task):
    def execute(self, context: ExecutionContext) -> None:
        print("stitch")


def main() -> Job:
    client = Client()
    job = client.jobs().submit("distributed", DistributedWorkflow())

    # in two programs on two machines, usually
    with_network = client.runner(tasks=[DistributedWorkflow, DownloadImage])
    with_memory = client.runner(tasks=[StitchImages])

    with_memory.run_all()
    print(f"-- {job.state.name}")
    with_network.run_all()
    print(f"-- {job.state.name}")
    with_memory.run_all()
    return job


if __name__ == "__main__":
    main()

"""One job on two clusters: what needs a graphics card goes where the graphics cards are."""

from jobledger import Client, ExecutionContext, Job, Task

CLUSTER = "near-the-data"
GPU_CLUSTER = "with-graphics-cards"


class MultiCluster(Task):
    def execute(self, context: ExecutionContext) -> None:
        # without a cluster: where this task runs, too
        prepared = context.submit_subtask(DummyTask("prepare"))
        trained = context.submit_subtask(DummyTask("train"), cluster=GPU_CLUSTER, depends_on=[prepared])
        context.submit_subtask(DummyTask("evaluate"), cluster=CLUSTER, depends_on=[trained])


class DummyTask(Task):
    what: str

    def execute(self, context: ExecutionContext) -> None:
        print(self.what)


def main() -> Job:
    client = Client()
    client.clusters().create("near the data", slug=CLUSTER)
    client.clusters().create("with graphics cards", slug=GPU_CLUSTER)
    job = client.jobs().submit("multi-cluster", MultiCluster(), cluster=CLUSTER)

    runner = client.runner(tasks=[MultiCluster, DummyTask], cluster=CLUSTER)
    gpu_runner = client.runner(tasks=[MultiCluster, DummyTask], cluster=GPU_CLUSTER)

    for each, name in ((gpu_runner, "gpu"), (runner, "first"), (gpu_runner, "gpu"), (runner, "first")):
        print(f"-- the {name} runner")
        each.run_all()
    return job


if __name__ == "__main__":
    main()

"""A job with two root tasks, each for a cluster of its own."""

from jobledger import Client, ExecutionContext, Job, Task


class Ingest(Task):
    source: str

    def execute(self, context: ExecutionContext) -> None:
        print(f"ingest {self.source}")
        context.submit_subtask(Store(self.source))


class Store(Task):
    source: str

    def execute(self, context: ExecutionContext) -> None:
        print(f"store {self.source}")


def main() -> Job:
    client = Client()
    for cluster in ("north", "south"):
        client.clusters().create(f"where data of the {cluster} is", slug=cluster)
    job = client.jobs().submit("two-roots", [Ingest("radar"), Ingest("optical")], cluster=["north", "south"])

    for cluster in ("south", "north"):
        client.runner(tasks=[Ingest, Store], cluster=cluster).run_all()
    return job


if __name__ == "__main__":
    main()

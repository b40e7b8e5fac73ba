"""What one task leaves in the cache, a later one finds: a dependency is over when all below it is."""

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.cache import JobCache


class ProducerConsumer(Task):
    def execute(self, context: ExecutionContext) -> None:
        produced = context.submit_subtask(Producer(4))
        context.submit_subtask(Consumer(), depends_on=[produced])


class Producer(Task):
    """Leaves the producing to tasks of its own, which run after it."""

    items: int

    def execute(self, context: ExecutionContext) -> None:
        context.job_cache["first"] = b"made by the producer itself"
        for i in range(self.items):
            context.submit_subtask(ProduceItem(i))


class ProduceItem(Task):
    index: int

    def execute(self, context: ExecutionContext) -> None:
        context.job_cache.group("items")[f"item-{self.index}"] = str(self.index * 10).encode()


class Consumer(Task):
    def execute(self, context: ExecutionContext) -> None:
        print(context.job_cache["first"].decode())
        items = context.job_cache.group("items")
        for key in items:
            print(f"{key}: {items[key].decode()}")


class CacheGroupDemo(Task):
    def execute(self, context: ExecutionContext) -> None:
        cache = context.job_cache
        cache["level"] = b"top"
        cache.group("a").group("b")["level"] = b"two below"
        print(sorted(cache), cache["a/b/level"].decode(), "a/level" in cache)


def main(cache: JobCache | None = None) -> list[Job]:
    client = Client()
    job_client = client.jobs()
    jobs = [
        job_client.submit("producer-consumer", ProducerConsumer()),
        job_client.submit("cache-groups", CacheGroupDemo()),
    ]

    tasks: list[type[Task]] = [ProducerConsumer, Producer, ProduceItem, Consumer, CacheGroupDemo]
    client.runner(tasks=tasks, cache=cache).run_all()
    return jobs


if __name__ == "__main__":
    main()

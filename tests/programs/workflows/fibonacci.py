"""Recursion with results: each number waits for the two before it, and the cache keeps any from being computed twice."""

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.cache import InMemoryCache


class FibonacciTask(Task):
    n: int

    def execute(self, context: ExecutionContext) -> None:
        cache = context.job_cache
        if str(self.n) in cache:
            return
        if self.n <= 2:
            cache[str(self.n)] = b"1"
            return
        before = context.submit_subtask(FibonacciTask(self.n - 1))
        before_that = context.submit_subtask(FibonacciTask(self.n - 2))
        context.submit_subtask(AddNumbers(self.n), depends_on=[before, before_that])


class AddNumbers(Task):
    n: int

    def execute(self, context: ExecutionContext) -> None:
        cache = context.job_cache
        value = int(cache[str(self.n - 1)]) + int(cache[str(self.n - 2)])
        cache[str(self.n)] = str(value).encode()
        print(f"fib({self.n}) = {value}")


def main(n: int = 7) -> Job:
    client = Client()
    job = client.jobs().submit(f"fibonacci-{n}", FibonacciTask(n))

    client.runner(tasks=[FibonacciTask, AddNumbers], cache=InMemoryCache()).run_all()
    return job


if __name__ == "__main__":
    main()

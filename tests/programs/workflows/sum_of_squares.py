"""Tasks have no results: what one computes, another reads from the job's cache."""

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.cache import InMemoryCache


class SumOfSquares(Task):
    numbers: list[int]

    def execute(self, context: ExecutionContext) -> None:
        tasks = context.submit_subtasks([Square(number) for number in self.numbers])
        context.submit_subtask(Sum(), depends_on=tasks)


class Square(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None:
        squares = context.job_cache.group("squares")
        squares[str(self.number)] = str(self.number**2).encode()


class Sum(Task):
    def execute(self, context: ExecutionContext) -> None:
        squares = context.job_cache.group("squares")
        total = sum(int(squares[key]) for key in squares)
        print(f"Sum of squares: {total}")


def main() -> Job:
    client = Client()
    job = client.jobs().submit("sum-of-squares", SumOfSquares(list(range(1, 101))))

    runner = client.runner(tasks=[SumOfSquares, Square, Sum], cache=InMemoryCache())
    runner.run_all()
    return job


if __name__ == "__main__":
    main()

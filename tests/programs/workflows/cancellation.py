"""A job is canceled while a task of it runs, and resumed later."""

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.data import JobState


class Campaign(Task):
    """Cancels its own job, as somebody watching it might: what it submits is kept, and waits."""

    stations: list[str]

    def execute(self, context: ExecutionContext) -> None:
        for station in self.stations:
            context.submit_subtask(Measure(station))
        print("canceled" if Client().jobs().cancel(context.current_task.job.id) else "was not running")


class Measure(Task):
    station: str

    def execute(self, context: ExecutionContext) -> None:
        print(f"measure {self.station}")


def main() -> Job:
    client = Client()
    job_client = client.jobs()
    job = job_client.submit("campaign", Campaign(["north", "east", "south"]))

    runner = client.runner(tasks=[Campaign, Measure])
    runner.run_all()
    print(f"-- {job.state.name}, as asked for: {job.state == JobState.CANCELED}")
    print(f"-- canceled once more: {job_client.cancel(job)}")

    print(f"-- {job_client.retry(job)} rescheduled")
    runner.run_all()
    return job


if __name__ == "__main__":
    main()

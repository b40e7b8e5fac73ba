"""Retries of the root task, given with the submission; when they are used up, the job is retried by hand."""

from jobledger import Client, ExecutionContext, Job, Task

runs: list[str] = []


class MyFlakyTask(Task):
    needed: int

    def execute(self, context: ExecutionContext) -> None:
        runs.append("run")
        if len(runs) < self.needed:
            raise ValueError(f"run {len(runs)} of {self.needed}")


def main(needed: int, max_retries: int) -> Job:
    runs.clear()
    client = Client()
    job = client.jobs().submit("failing-root", MyFlakyTask(needed), max_retries=max_retries)

    client.runner(tasks=[MyFlakyTask]).run_all()
    return job


def go_on(job: Job) -> None:
    client = Client()
    rescheduled = client.jobs().retry(job)
    print(f"{rescheduled} rescheduled, the job is {job.state.name}")
    client.runner(tasks=[MyFlakyTask]).run_all()


if __name__ == "__main__":
    go_on(main(3, 1))

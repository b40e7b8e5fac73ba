"""Following a job that runs elsewhere: what Fiddler's page on jobs shows, done here.

    .venv/bin/python examples/fiddler_watch.py

`Job.get` is `find` here, `status` is `job_status`, `progress` is `percent`. Changes are pushed: `interval` only says how
often the job is shown although nothing has changed.
"""

from __future__ import annotations

from threading import Thread
from uuid import UUID, uuid4

from jobledger import Client, ExecutionContext, JobFailed, NotFoundError, Task
from jobledger.data import JobStatus


class Publish(Task):
    """Reads a data set, row by row."""

    source: str
    rows: int

    def execute(self, context: ExecutionContext) -> None:
        if not self.source.endswith(".csv"):
            raise ValueError(f"{self.source} is no table")
        progress = context.progress("rows")
        progress.add(self.rows)
        for _ in range(self.rows):
            progress.done(1)


def publish(client: Client, source: str) -> UUID:
    """Start something that takes a while, and return the id by which anybody can follow it."""
    return client.jobs().submit(f"publish {source}", Publish(source, 1000)).id


def main() -> None:
    with Client() as client:
        jobs = client.jobs()
        runner = client.runner(tasks=[Publish])
        running = Thread(target=runner.run_forever)
        running.start()
        try:
            # get by id, and wait
            job = jobs.find(publish(client, "prices.csv"))
            job.wait(
                interval=6, timeout=1800
            )  # logs how far it has come, where the program logs at level INFO
            print(f"Job: {job.name} - Status: {job.job_status.value}")
            print(f"Progress: {job.percent:.1f}%")

            # watch
            last = 0.0
            for update in jobs.find(publish(client, "customers.csv")).watch(interval=10, timeout=3600):
                over = update.job_status in (JobStatus.SUCCESS, JobStatus.FAILURE)
                if update.percent > last + 10:
                    last = update.percent
                    print(f"Progress milestone: {last:.1f}%")
                if over:
                    print(f"{update.name}: {update.job_status.value}")
                    break

            # what went wrong
            job = jobs.find(publish(client, "holiday.png"))
            try:
                job.wait()
            except JobFailed as error:
                print(f"Job failed: {error.reason}")
            if job.job_status is JobStatus.FAILURE and job.error is not None:
                print(f"Error: {job.error.reason}")
                print(f"Details: {job.error.message}")
                for task in job.tasks:  # verbose=True
                    print(f"Task details: {task.display} {task.job_status.value}, attempt {task.attempt}")
            print(f"Info: root task {job.info['root_task']}, clusters {job.info['clusters']}")

            # stopped before it began, by somebody else
            runner.stop()
            running.join()
            job = jobs.find(publish(client, "too-much.csv"))
            print(f"{job.name}: {job.job_status.value}")
            jobs.cancel(job)
            job.wait(raise_on_cancel=False)
            print(f"{job.name}: {job.job_status.value}")

            # not in time, not there
            job = jobs.find(publish(client, "nobody-runs-this.csv"))
            try:
                job.wait(timeout=0.1)
            except TimeoutError:
                print(f"{job.name}: still {job.job_status.value} when time was up")
            jobs.delete(job, force=True)
            try:
                jobs.find(uuid4())
            except NotFoundError as error:
                print(f"Not found: {error}")
        finally:
            runner.stop()
            running.join()


if __name__ == "__main__":
    main()

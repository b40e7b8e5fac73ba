"""What Tilebox's page on jobs goes through. Only the import lines differ from a script that runs there.

    .venv/bin/python examples/tilebox_page.py

Where they say `jobledger`, such a script says `tilebox.workflows`. For the failing job of that page see movies.py.
"""

from datetime import UTC, datetime, timedelta

from jobledger import Client, ExecutionContext, Job, Task
from jobledger.data import JobState


class Chapter(Task):
    """Splits into paragraphs."""

    paragraphs: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Chapter({self.paragraphs})"
        for number in range(self.paragraphs):
            context.submit_subtask(Paragraph(number), max_retries=2)


class Paragraph(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Paragraph\nNr. {self.number}"
        with context.tracer.span("read") as span:
            span.set_attribute("paragraph.number", self.number)
        context.logger.info("Read", number=self.number)


def state_of(job: Job) -> JobState:
    return job_client.find(job.id).state


client = Client()
job_client = client.jobs()
began = datetime.now(UTC)

# submission, with retries, to a cluster: the default one
job = job_client.submit("read-a-chapter", Chapter(3), max_retries=5, cluster="")
print("Job is submitted:", state_of(job) == JobState.SUBMITTED)

# cancellation, and going on
job_client.cancel(job)
print("Job is canceled:", state_of(job) == JobState.CANCELED)
print("Tasks that may run again:", job_client.retry(job))

# a runner, which is elsewhere as a rule
client.runner(tasks=[Chapter, Paragraph]).run_all()
print("Job is completed:", state_of(job) == JobState.COMPLETED)

# what there is, and one of it
jobs = job_client.query((began, began + timedelta(hours=1)), name="read-a-chapter")
print("Jobs of this hour:", len(jobs))
print("It is among them:", job_client.find(str(job.id)).id in [found.id for found in jobs])

# how it looks: an SVG diagram for a page, a picture in a notebook
print("A diagram:", job_client.visualize(job, direction="right")[:4])
job_client.display(job)

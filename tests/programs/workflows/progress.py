"""Tasks that count what they have to do and what is done."""

from __future__ import annotations

from jobledger import Client, ExecutionContext, Job, Task


class Survey(Task):
    sites: int

    def execute(self, context: ExecutionContext) -> None:
        context.progress("sites").add(self.sites)
        context.submit_subtasks([Visit(site) for site in range(self.sites)], max_retries=1)


class Visit(Task):
    site: int

    def execute(self, context: ExecutionContext) -> None:
        context.progress().add(2)
        context.progress().done(1)
        if self.site == 1 and context.current_task.attempt == 1:
            raise ConnectionError("rain")
        context.progress().done(1)
        context.progress("sites").done(1)


def main() -> Job:
    client = Client()
    job = client.jobs().submit("survey", Survey(3))
    client.runner(tasks=[Survey, Visit]).run_all()
    return job

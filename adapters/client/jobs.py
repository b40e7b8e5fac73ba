"""Submitting, finding, canceling and retrying jobs."""

from __future__ import annotations

from uuid import UUID

from jobledger.projections.diagram import Outline, drawn

from ..portal import shared_portal
from . import arguments, pictures, requests
from .arguments import Clusters, Tasks
from .job import Job
from .session import Session


class JobClient:
    """What can be done with jobs; from `client.jobs()`. May be used from several threads.

    Errors of every method: ServerUnavailable if no server or no engine answers, ServerUnsuitable if the server cannot
    hold a log.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def submit(
        self,
        name: str,
        root_task_or_tasks: Tasks,
        cluster: Clusters = None,
        max_retries: int = 0,
    ) -> Job:
        """Submit a job and return it: it is in the log, and its tasks wait for a runner.

        Shape:  one root task, or several that may run side by side. `cluster` says which runners may take them (None:
                the default cluster); for several tasks also a list, one for each. `max_retries` is how many failed
                attempts of each are tried again.
        Errors: ArgumentError for a bad name, cluster or max_retries, and for more input than fits a message of the
                server; InputError (an ArgumentError and a TypeError) for what is no task, or has an input that does
                not fit its fields. Nothing is sent in these cases.

        >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")], max_retries=2)
        >>> job.state
        <JobState.SUBMITTED: 1>
        """
        command = arguments.submit_command(name, root_task_or_tasks, cluster, max_retries)
        return Job(shared_portal().run(requests.submit(self._session, command)))

    def find(self, job_or_id: Job | UUID | str) -> Job:
        """Return the job of this id, read afresh.

        Errors: NotFoundError if there is none; ArgumentError if it is no id; DamagedLog if it cannot be read.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.jobs().find(str(job.id)) == job
        True
        """
        job_id = arguments.job_id(job_or_id)
        return Job(shared_portal().run(requests.find(self._session, job_id)))

    def cancel(self, job_or_id: Job | UUID | str, reason: str = "") -> bool:
        """Halt a job: no queued task of it is started any more. Return whether this call halted it.

        Running tasks are not interrupted, and what they submit is kept but not run; the job is settled when the last
        one has ended. A job that is completed, failed or canceled already stays as it is. `retry` resumes it.
        Errors: NotFoundError; ArgumentError.

        >>> job = client.jobs().submit("greetings", Greet("world"))
        >>> client.jobs().cancel(job, reason="not in the mood")
        True
        >>> job.state
        <JobState.CANCELED: 6>
        """
        job_id = arguments.job_id(job_or_id)
        arguments.checked_text("reason", reason, limit=4096, example="reason='wrong input'", blank=True)
        done = shared_portal().run(requests.cancel(self._session, job_id, reason))
        _expect(job_or_id, done.version)
        return bool(done.count)

    def retry(self, job_or_id: Job | UUID | str) -> int:
        """Resume a failed or canceled job. Return how many tasks may run again: those that failed, and those halted.

        What is computed is kept and not run again. The failed tasks have all their retries again.
        Errors: NotFoundError; JobNotRetryable (an ArgumentError) if the job is neither failed nor canceled;
                ArgumentError.

        >>> job = client.jobs().submit("greetings", [Greet("you"), Greet("me")])
        >>> client.jobs().cancel(job)
        True
        >>> client.jobs().retry(job)
        2
        """
        job_id = arguments.job_id(job_or_id)
        done = shared_portal().run(requests.retry(self._session, job_id))
        _expect(job_or_id, done.version)
        return done.count

    def visualize(
        self,
        job_or_id: Job | UUID | str,
        direction: str = "down",
        layout: str = "dagre",
        sketchy: bool = True,
        theme: str = "auto",
    ) -> str:
        """Return a diagram of the job as it stands now: SVG, for a file or a web page.

        A node for each task, with its display text, its state as colour and shape, its parent, and what it waits for.
        Siblings that are alike share one node, with a count; in a large job more and more of them do, so that any
        number of tasks makes a picture of a few hundred nodes.

        Shape:  `direction` is where the tree grows: "down", "up", "left" or "right". `theme` is "light", "dark", or
                "auto", which follows the viewer's. `layout` ("dagre" or "elk") and `sketchy` are accepted for scripts
                written for Tilebox, and change nothing: there is one layout.
        Errors: NotFoundError; ArgumentError for the job and for each option; DamagedLog.

        >>> svg = client.jobs().visualize(job, direction="right", theme="light")
        >>> svg[:4], "Hello, world" in svg
        ('<svg', True)
        """
        pictures.check_options(direction, layout, sketchy, theme)
        return drawn(self._outline(job_or_id), direction=direction, theme=theme)

    def display(
        self,
        job_or_id: Job | UUID | str,
        direction: str = "down",
        layout: str = "dagre",
        sketchy: bool = True,
        theme: str = "auto",
    ) -> None:
        """Show the job as it stands now: in a notebook as the diagram of `visualize`, elsewhere printed as a tree.

        Shape and errors: as `visualize`; the options change the diagram only.

        >>> client.jobs().display(job)
        greetings · COMPLETED · 1 task
        └─ ✓ Hello, world
        """
        pictures.check_options(direction, layout, sketchy, theme)
        pictures.show(self._outline(job_or_id), direction=direction, theme=theme)

    def _outline(self, job_or_id: Job | UUID | str) -> Outline:
        """Copy what a picture needs: it is then drawn on the caller's thread, holding up nobody else."""
        job = job_or_id if isinstance(job_or_id, Job) else self.find(job_or_id)
        return job._look(Outline.of)

    def __repr__(self) -> str:
        return f"<JobClient of namespace {self._session.names.namespace!r}>"


def _expect(job: object, version: int) -> None:
    """Whoever changed a job through its object must see the change in that object."""
    if isinstance(job, Job):
        job._reading.expect(version)

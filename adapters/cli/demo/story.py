"""What happens in the demo, in order. Whatever is said of the job is read from the log at that moment."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

from jobledger import Client, Job, JobLedgerError
from jobledger.cache import LocalFileSystemCache
from jobledger.core.events import TaskFailed
from jobledger.data import JobState, TaskState

from ...embedded.folder import DataFolder
from ...embedded.start import DEFAULT_IDLE, server_status
from . import survey
from .fleet import SIZE, Fleet
from .next_steps import next_steps
from .result import NotAsDescribed, show_evidence, show_totals
from .screen import Screen

CACHE = "demo"  # folder in the data folder that all runners share
LOOK = 0.1  # seconds between two looks at the job
STANDSTILL = 60.0  # seconds without any change after which something must be wrong
TAIL = 9  # lines of the log that are shown
INTERRUPTED = 130  # what shells expect after Ctrl-C


def tell(folder: Path | None) -> int:
    """Run the demo on this data folder, the default one if None. Return the exit code.

    Errors: NotAsDescribed; ServerUnavailable when no server can be started; RunnerEnded.
    """
    begun = time.monotonic()
    home = DataFolder.locate(folder).path
    screen = Screen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the demo as Ctrl-C does
    screen.title("A job will survey the standard library of this Python, one task for each module.")
    screen.say("Its code has a bug, so it will fail. Fixed code then resumes it where it failed.")
    if not survey.packages():
        raise NotAsDescribed(f"there is no source code to survey in {survey.LIBRARY}")
    try:
        with Client(data_folder=home, name="jobledger demo") as client:
            job = _play(client, home, screen)
    except KeyboardInterrupt:
        screen.title("Interrupted; no runner of the demo is left.")
        return INTERRUPTED
    screen.title("What next")
    screen.say(
        f"  The demo took {time.monotonic() - begun:.1f} s. Its server belongs to nobody: it ends by itself"
    )
    screen.say(f"  after {DEFAULT_IDLE / 60:g} minutes without use. The job stays in the log, in")
    screen.say(f"    {home}")
    for purpose, command in next_steps(job.id, folder, home).items():
        screen.say(f"  {purpose}:")
        screen.say(f"    {command}", "cyan")
    return 0


def _play(client: Client, home: Path, screen: Screen) -> Job:
    # A cluster of its own: the runners of another demo on the same folder run another version of the code.
    cluster = client.clusters().create("demo", "made by jobledger demo, for one run of it").slug
    cache = home / CACHE
    job = client.jobs().submit("standard library", survey.SurveyLibrary(), cluster=cluster)
    try:
        _show_place(job, home, screen)
        with Fleet(folder=home, cache=cache, cluster=cluster, say=screen.quote) as fleet:
            _run_until_it_fails(job, fleet, screen)
            _deploy_and_retry(job, client, fleet, screen)
        show_totals(job, LocalFileSystemCache(cache).group(str(job.id)), screen)
        show_evidence(job, screen)
    except BaseException:
        with contextlib.suppress(JobLedgerError):
            if client.jobs().cancel(job, reason="the demo ended early"):
                screen.say("  The job is canceled: without the demo, no runner would go on with it.")
        raise
    finally:
        with contextlib.suppress(JobLedgerError):  # a task of the canceled job may still be running
            client.clusters().delete(cluster)
    return job


def _show_place(job: Job, home: Path, screen: Screen) -> None:
    record = server_status(home).record
    screen.say()
    screen.facts(
        {
            "job": f"{job.id}, submitted as {job.name!r}",
            "log": str(home),
            "server": record.url if record else "just being started again",
        }
    )


def _run_until_it_fails(job: Job, fleet: Fleet, screen: Screen) -> None:
    screen.title(f"{SIZE} runners, with the first version of the code")
    fleet.start("before")
    _follow(job, fleet, screen)
    if job.state is not JobState.FAILED:
        raise NotAsDescribed(
            f"the job should have failed, and is {job.state.name}: is the whole library ASCII?"
        )
    screen.title("The job failed", "bold red")
    for task in job.tasks.filter(state=TaskState.FAILED):
        screen.facts(
            {
                "task": f"{task.number}, {task.name} with the input {task.input.decode()}",
                "error": f"{task.error.reason}: {task.error.message}" if task.error else "unknown",
            }
        )
    states = job.tasks_by_state
    screen.say(
        f"  {states[TaskState.COMPUTED]} tasks are computed, {states[TaskState.QUEUED]} have not started."
    )
    _show_log(job, screen)
    if job.error is None or job.error.reason != UnicodeDecodeError.__name__:
        raise NotAsDescribed(
            f"the first version should have failed of a file that is not ASCII, not of {job.error}"
        )


def _show_log(job: Job, screen: Screen) -> None:
    """Show the end of the log, from a little before the failure on."""
    history = job.history
    failures = (index for index, entry in enumerate(history) if isinstance(entry.event, TaskFailed))
    begin = max(0, min(next(failures) - 2, len(history) - TAIL))
    screen.say(f"  The log has {len(history)} events so far. From number {begin + 1} on:")
    for entry in history[begin : begin + TAIL]:
        screen.quote(str(entry))
    if len(history) > begin + TAIL:
        screen.quote(f"... and {len(history) - begin - TAIL} more")


def _deploy_and_retry(job: Job, client: Client, fleet: Fleet, screen: Screen) -> None:
    screen.title(f"Deploying the fixed version: the old runners end, {SIZE} new ones start")
    fleet.stop()
    fleet.start("after")
    rescheduled = client.jobs().retry(job)
    screen.say(f"  Retried: {rescheduled} tasks are rescheduled, those that failed and those that waited.")
    _follow(job, fleet, screen)
    if job.state is not JobState.COMPLETED:
        raise NotAsDescribed(
            f"the fixed version should have completed the job, and it is {job.state.name}: {job.error}"
        )
    screen.title("The job is completed", "bold green")


def _follow(job: Job, fleet: Fleet, screen: Screen) -> None:
    """Show progress until the job is settled."""
    seen: dict[TaskState, int] = {}
    changed_at = time.monotonic()
    with screen.progress() as show:
        while True:
            settled = job.settled  # asked first: what is shown after it is final
            states = job.tasks_by_state
            show(states)
            if settled:
                return
            fleet.check()
            now = time.monotonic()
            if states != seen:
                seen, changed_at = states, now
            elif now - changed_at > STANDSTILL:
                raise NotAsDescribed(f"nothing has happened to {job} for {STANDSTILL:g} s")
            time.sleep(LOOK)

"""`jobledger runner`: processes that run tasks."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from . import output
from .connection import HERE, Connection
from .times import Seconds

app = App(name="runner", help="Run tasks, in as many processes as wanted.")

#: the environment variable that names the lifeline of a supervised process: a pipe that ends with the supervisor
LIFELINE = "JOBLEDGER_RUNNER_LIFELINE"


@app.command
def start(
    tasks: Annotated[
        str,
        Parameter(
            help="module:object, imported from where you are: a Runner, a task class, or a list of them. A module alone "
            "means all its tasks."
        ),
    ],
    /,
    *,
    processes: Annotated[
        int | None,
        Parameter(
            name=["--processes", "-n"],
            help="Run them in so many processes, each started again when it dies; default: in this one.",
            validator=Number(gte=1, lte=1024),
            metavar="N",
        ),
    ] = None,
    concurrency: Annotated[
        int,
        Parameter(
            name=["--concurrency", "-c"],
            help="Tasks at a time in each process.",
            show_default=True,
            validator=Number(gte=1, lte=1024),
            metavar="N",
        ),
    ] = 1,
    pool: Annotated[
        Literal["threads", "processes"],
        Parameter(
            help="What these run on: threads, or processes, for tasks that compute. Each such process runs one task and has "
            "no connection of its own; a task that takes its process with it fails, and nothing else does.",
            show_default=True,
        ),
    ] = "threads",
    cluster: Annotated[str | None, Parameter(help="Where to take tasks from; default: default.")] = None,
    grace: Annotated[
        Seconds, Parameter(help="What running tasks have to finish once it is stopped.", show_default=True)
    ] = 10.0,
    server: Connection = HERE,
) -> int:
    """Run tasks until told to stop, by SIGTERM or Ctrl-C; a second one does not wait for those that run.

    A server that is away is waited for. Exit code 0 once all have finished what they were at.
    """
    lifeline = os.environ.pop(LIFELINE, None)
    if lifeline is not None:
        _end_with(int(lifeline))
    from .loading import runner_from

    runner = runner_from(tasks)  # also where other processes run them: a mistake shows here, and once
    if processes is None:
        from .service import log_to_stderr

        log_to_stderr()
        with server.client() as client:
            connected = runner.connect_to(client, cluster, concurrency, pool)
            names = ", ".join(map(str, connected.tasks_to_run))
            output.say(
                f"jobledger runner: process {os.getpid()} takes tasks of cluster {connected.cluster}: {names}"
                + ("" if lifeline else "; Ctrl-C stops it")
            )
            with contextlib.suppress(KeyboardInterrupt):
                connected.run_forever(grace=grace)
        return 0
    if cluster is not None:
        with server.client() as client:
            client.clusters().find(cluster)
    from .runner_processes import supervise

    options = [
        "--concurrency",
        str(concurrency),
        "--pool",
        pool,
        "--grace",
        str(grace),
        "--patience",
        str(server.patience),
    ]
    options += ["--cluster", cluster] if cluster is not None else []
    return supervise(["runner", "start", tasks, *options], server.environment(), processes, grace)


def _end_with(lifeline: int) -> None:
    """Stop this process, as SIGTERM does, once its supervisor is gone: nobody else would."""
    os.set_inheritable(lifeline, False)  # it is not for the children of tasks

    def watch() -> None:
        os.read(lifeline, 1)  # nothing is ever written: it returns when the other end is closed
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="jobledger-lifeline", daemon=True).start()

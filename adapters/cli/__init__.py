"""The command line, one file per noun. What a command needs is imported when it runs, so that `--help` stays quick."""

from __future__ import annotations

import difflib
import os
import sys
from typing import Any

from cyclopts import CycloptsError, Parameter
from cyclopts.exceptions import UnknownCommandError, UnusedCliTokensError

from jobledger.core.errors import (
    ArgumentError,
    JobLedgerError,
    JobNotDeletable,
    JobNotRetryable,
    LogFull,
    NotFoundError,
    ServerUnavailable,
)

from ..version import installed_version
from . import exits
from .help_page import App, commands_of, help_page
from .remedies import at_a_terminal

app = App(
    name="jobledger",
    help="Durable jobs on an event log.",
    version=installed_version,
    default_parameter=Parameter(negative=""),
)
app.offer("job", f"{__name__}.job:app", "Submit, look at, wait for, and step into jobs.")
app.offer(
    "replay",
    f"{__name__}.replay:replay",
    "Step through what happened to a job, commit by commit: who did it, and which states it changed.",
)
app.offer("cluster", f"{__name__}.cluster:app", "Where tasks run: the labels by which runners claim them.")
app.offer("runner", f"{__name__}.runner:app", "Run tasks, in as many processes as wanted.")
app.offer("server", f"{__name__}.server:app", "The background server of a data folder: all that jobs need.")
app.offer(
    "diff",
    f"{__name__}.diff:diff",
    "Compare two jobs: their tasks, outcomes, attempts, errors, results and inputs.",
)
app.offer(
    "what-if",
    f"{__name__}.what_if:what_if",
    "Fold recorded histories with the code installed now, and report every state that would differ.",
)
app.offer("view", f"{__name__}.view:app", "What projectors keep across jobs.")
app.offer("feed", f"{__name__}.feed:app", "The log as CloudEvents, for other services to subscribe to.")
app.offer(
    "metrics",
    f"{__name__}.metrics:app",
    "Print figures of queues, tasks, commits, the log and views, as Prometheus reads them.",
)
app.offer(
    "audit", f"{__name__}.audit:app", "Export the log, verify it, and detect a history that was rewritten."
)
app.offer(
    "access",
    f"{__name__}.access:app",
    "Users of a NATS server, each with the least rights that its role needs.",
)
app.offer(
    "doctor",
    f"{__name__}.doctor:doctor",
    "Examine the servers of a namespace: whether what is acknowledged is safe, and all that keeps it so.",
)
app.offer(
    "engine",
    f"{__name__}.engine:engine",
    "Run an engine against a NATS server until SIGTERM or Ctrl-C, and answer JSON requests beside it.",
)
app.offer(
    "projector", f"{__name__}.projector:projector", "Keep the view across jobs until SIGTERM or Ctrl-C."
)
app.offer(
    "demo",
    f"{__name__}.demo:demo",
    "Survey the standard library of this Python: a job that fails, and goes on where it failed once it is fixed.",
)
app.offer("completion", f"{__name__}.completion:completion", "Have your shell complete commands and options.")

#: what an error is to the exit code; the first that fits
_CODES = (
    (ServerUnavailable, exits.SERVER_UNAVAILABLE),
    (NotFoundError, exits.NOT_FOUND),
    (LogFull, exits.LOG_FULL),
    ((JobNotRetryable, JobNotDeletable), exits.FAILED),
    (ArgumentError, exits.USAGE),
    (JobLedgerError, exits.FAILED),
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code. An error made on purpose is one message on stderr."""
    for stream in (sys.stdout, sys.stderr):  # what it has no letters for is shown by number
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = exits.BROKEN_PIPE
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    try:
        page = help_page(app, arguments)
        if page is not None:
            sys.stdout.write(f"{page}\n")
            return 0
        code: Any = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        chain = " ".join(("jobledger", *(error.command_chain or ())))
        sys.stderr.write(f"jobledger: {_told(error)}\n`{chain} --help` shows what is possible\n")
        return exits.USAGE
    except JobLedgerError as error:
        sys.stderr.write(f"jobledger: {at_a_terminal(str(error))}\n")
        return next(code for kind, code in _CODES if isinstance(error, kind))
    return code if isinstance(code, int) else 0


def _told(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        left = " ".join(error.unused_tokens or ())
        return f"{left!r:.200} is more than this command takes: leave it out, or put quotes around what belongs together"
    if isinstance(error, UnknownCommandError):
        wrong = (error.unused_tokens or ("",))[0]
        there = commands_of(app, error.command_chain or ())
        near = difflib.get_close_matches(wrong, there, n=1)
        return f"there is no command {wrong!r:.100}{f', perhaps {near[0]!r}' if near else ''}: there are {', '.join(there)}"
    return str(error)

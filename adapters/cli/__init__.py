"""The command line, one file per noun. Each is imported only when its command runs, so that `--help` stays quick."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from jobledger.core.errors import JobLedgerError, ServerUnavailable

from ..version import installed_version

# Exit codes besides 0: they are part of what scripts rely on.
FAILED = 1
USAGE = 2
SERVER_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

app = App(name="jobledger", help="Durable jobs on an event log.", version=installed_version)
app.command(
    "jobledger.adapters.cli.server:app",
    name="server",
    help="The background server of a data folder: start, stop, status.",
)
app.command(
    "jobledger.adapters.cli.engine:engine",
    name="engine",
    help="Run an engine against a NATS server until told to stop.",
)
app.command(
    "jobledger.adapters.cli.demo:demo",
    name="demo",
    help="Watch a job fail of a real bug, and go on from there once the bug is fixed.",
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code. An error made on purpose is one message on stderr."""
    try:
        code = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:  # has been printed
        code = USAGE
    except JobLedgerError as error:
        sys.stderr.write(f"jobledger: {error}\n")
        code = SERVER_UNAVAILABLE if isinstance(error, ServerUnavailable) else FAILED
    sys.exit(code if isinstance(code, int) else 0)

"""`jobledger server`: the background server of a data folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ..embedded.folder import DataFolder
from ..embedded.nats_config import DURABILITY
from ..embedded.start import DEFAULT_IDLE, ServerStatus, ensure_server, server_status, stop_server

NOT_RUNNING = 3  # as service managers have it

app = App(name="server", help="The background server of a data folder.")

Folder = Annotated[
    Path | None,
    Parameter(name="--folder", help="The data folder; default: $JOBLEDGER_HOME, else your own."),
]


@app.command
def start(
    folder: Folder = None,
    *,
    idle: Annotated[
        float | None, Parameter(help="Seconds without a client after which it ends; 0: never.")
    ] = None,
    foreground: Annotated[
        bool, Parameter(negative="", help="Stay attached until Ctrl-C; log to stderr.")
    ] = False,
) -> int:
    """Start the server, or find it running. In the background it ends after 600 unused seconds, else never."""
    if foreground:
        home = DataFolder.locate(folder)
        home.create()
        # Replaced by the very program that runs in the background: one way to be a supervisor.
        module = "jobledger.adapters.embedded.supervisor"
        options = ["--foreground", "--idle", f"{idle or 0:g}", "--folder", str(home.path)]
        os.execv(sys.executable, [sys.executable, "-m", module, *options])
    before = server_status(folder)
    ensure_server(folder, idle=DEFAULT_IDLE if idle is None else idle)
    status = server_status(folder)
    _say(f"{'already running' if before.running else 'started'}: {_address(status)}, folder {status.folder}")
    return 0


@app.command
def stop(folder: Folder = None) -> int:
    """Stop the server; jobs go on when it is started again."""
    path = DataFolder.locate(folder).path
    _say(f"stopped: folder {path}" if stop_server(folder) else f"not running: folder {path}")
    return 0


@app.command
def status(
    folder: Folder = None,
    *,
    output: Annotated[Literal["table", "json"], Parameter(name=["--output", "-o"])] = "table",
) -> int:
    """Show the server: exit code 0 if it runs, 3 if not."""
    found = server_status(folder)
    facts = _facts(found)
    if output == "json":
        _say(json.dumps(facts, indent=1))
    else:
        _print_table(facts)
    return 0 if found.running else NOT_RUNNING


def _facts(found: ServerStatus) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"state": found.state, "folder": str(found.folder), "log": str(found.log)}
    record = found.record
    if record is not None:
        facts |= {
            "url": record.url,
            "started_at": record.started_at,
            "supervisor_pid": record.supervisor_pid,
            "server_pid": record.server_pid,
            "version": record.version,
            "server_version": record.server_version,
            "durability": DURABILITY,
        }
    return facts


def _print_table(facts: dict[str, str | int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    for name, value in facts.items():
        # Wrapped nowhere: what is copied from here is to stay whole.
        table.add_row(name.replace("_", " "), str(value), style="bold" if name == "state" else None)
    Console(soft_wrap=True).print(table)


def _address(found: ServerStatus) -> str:
    return found.record.url if found.record is not None else found.state


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

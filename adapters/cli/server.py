"""`jobledger server`: the background server of a data folder, which holds NATS, an engine and a projector."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from . import exits
from . import output as out
from .output import Output
from .sizes import MaxBytes
from .times import Seconds

if TYPE_CHECKING:
    from ..embedded.start import ServerStatus

app = App(name="server", help="The background server of a data folder: all that jobs need.")

Folder = Annotated[
    Path | None, Parameter(name="--folder", help="The data folder; default: your own. [env: JOBLEDGER_HOME]")
]


@app.command
def start(
    *,
    folder: Folder = None,
    idle: Annotated[
        Seconds | None,
        Parameter(
            help="Time without a client after which it ends, 0: never; default: 10m, 0 in the foreground."
        ),
    ] = None,
    sync_interval: Annotated[
        Seconds | None,
        Parameter(
            help="Acknowledge commits up to so long before they are on disk (fsync), which a power failure then loses. "
            "The folder remembers it; 0: none is acknowledged before, as in a new folder."
        ),
    ] = None,
    max_bytes: MaxBytes = None,
    foreground: Annotated[bool, Parameter(help="Stay attached until Ctrl-C; log to stderr.")] = False,
) -> int:
    """Start the server, or find it running: NATS with its log on disk, an engine and a projector."""
    from jobledger.core.errors import ArgumentError

    from ..embedded.folder import DataFolder
    from ..embedded.limiting import limit_server
    from ..embedded.nats_config import durability
    from ..embedded.start import DEFAULT_IDLE, ensure_server, relax_server, server_status

    if sync_interval is not None:
        relax_server(folder, sync_interval)
    relaxed = DataFolder.locate(folder).sync_interval()
    if relaxed:
        out.say(f"jobledger: {durability(relaxed)}")
    if foreground and max_bytes is not None:
        raise ArgumentError(
            "--max-bytes is for a server that runs in the background, or already: start it, then give the option to "
            "`jobledger server start` at another terminal"
        )
    if foreground:
        home = DataFolder.locate(folder)
        home.create()
        # Replaced by the very program that runs in the background: one way to be a supervisor.
        module = "jobledger.adapters.embedded.supervisor"
        options = ["--foreground", "--idle", f"{idle or 0:g}", "--folder", str(home.path)]
        os.execv(sys.executable, [sys.executable, "-m", module, *options])
    before = server_status(folder)
    endpoint = ensure_server(folder, idle=DEFAULT_IDLE if idle is None else idle)
    if max_bytes is not None:
        limit_server(endpoint, max_bytes)
    status = server_status(folder)
    out.line(
        f"{'already running' if before.running else 'started'}: {_address(status)}, folder {status.folder}"
    )
    return 0


@app.command
def stop(*, folder: Folder = None) -> int:
    """Stop the server; jobs go on when it is started again."""
    from ..embedded.folder import DataFolder
    from ..embedded.start import stop_server

    path = DataFolder.locate(folder).path
    out.line(f"stopped: folder {path}" if stop_server(folder) else f"not running: folder {path}")
    return 0


@app.command
def status(*, folder: Folder = None, output: Output = "table") -> int:
    """Show the server: exit code 0 if it runs, 3 if not."""
    from ..embedded.start import server_status

    found = server_status(folder)
    out.facts(_facts(found), output)
    return 0 if found.running else exits.NOT_RUNNING


def _facts(found: ServerStatus) -> dict[str, Any]:
    from ..embedded.nats_config import durability

    facts = {"state": found.state, "folder": str(found.folder), "log": str(found.log)}
    record = found.record
    if record is None:
        return facts
    return facts | {
        "url": record.url,
        "started_at": datetime.fromisoformat(record.started_at),
        "supervisor_pid": record.supervisor_pid,
        "server_pid": record.server_pid,
        "version": record.version,
        "server_version": record.server_version,
        "durability": durability(record.sync_interval),
    }


def _address(found: ServerStatus) -> str:
    return found.record.url if found.record is not None else found.state

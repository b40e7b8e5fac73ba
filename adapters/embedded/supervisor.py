"""The background process of a data folder, as a program.

`python -m jobledger.adapters.embedded.supervisor --folder PATH` locks the folder, detaches, and tells its starter on
stdout how that went, in one line of JSON: {"ready": true}, {"taken": true} or {"failed": "why"}. The lock lives exactly
as long as the process, so what a crash leaves behind blocks nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from jobledger.core.errors import JobLedgerError

from .. import loops
from .folder import DataFolder, ServerRecord
from .locks import FileLock
from .start import DEFAULT_IDLE

log = logging.getLogger(__name__)

_LOG_SIZE = 4_000_000  # bytes after which server.log is put aside at the next start
_STDOUT, _STDERR = 1, 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="jobledger-supervisor", description=__doc__)
    parser.add_argument("--foreground", action="store_true", help="stay attached, log to stderr")
    parser.add_argument(
        "--idle", type=float, default=DEFAULT_IDLE, help="end after so many unused seconds (0: never)"
    )
    # The folder comes last: by this end of its command line a supervisor is recognised.
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)

    os.umask(0o077)
    try:
        folder = DataFolder.locate(options.folder)
        folder.create()
    except JobLedgerError as error:
        _tell(options.foreground, failed=str(error))
        return 1
    lock = FileLock(folder.lock)
    # Others that only look whether the folder is locked hold it for an instant.
    if not lock.acquire(patience=0.3):
        _tell(options.foreground, taken=True)
        return 1 if options.foreground else 0
    if not options.foreground:
        _detach()
        _put_log_aside(folder)
    lock.write(str(os.getpid()))
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        loops.run(_serve(folder, lock, idle=options.idle or None, foreground=options.foreground))
    except JobLedgerError as error:
        log.error("%s", error)
        _tell(options.foreground, failed=str(error))
        return 1
    except Exception as error:
        log.exception("the supervisor failed")
        _tell(options.foreground, failed=f"{type(error).__name__}: {error}")
        return 1
    return 0


async def _serve(folder: DataFolder, lock: FileLock, *, idle: float | None, foreground: bool) -> None:
    # Loaded only now, behind the lock: a process that finds the folder taken need not take the time.
    from .supervision import Supervision

    def ready(record: ServerRecord) -> None:
        _tell(foreground, ready=True, url=record.url)

    supervision = Supervision(folder, lock, idle=idle, on_ready=ready)
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(sign, supervision.stop)
    await supervision.run()


def _detach() -> None:
    """Go on as a child that no living process waits for: it neither becomes a zombie nor ends with its starter."""
    if os.fork():
        os._exit(0)


def _put_log_aside(folder: DataFolder) -> None:
    """Begin a new log file when the old one has grown large. stderr is that file, as the starter opened it."""
    with contextlib.suppress(OSError):
        if os.fstat(_STDERR).st_size > _LOG_SIZE:
            folder.log.replace(folder.log.with_name(f"{folder.log.name}.1"))
            fd = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(fd, _STDERR)
            os.close(fd)


def _tell(foreground: bool, **outcome: Any) -> None:
    if foreground:
        if "ready" in outcome:
            sys.stderr.write(f"jobledger server: serving at {outcome['url']}, Ctrl-C stops it\n")
        else:
            reason = outcome.get("failed", "another process serves this folder already")
            sys.stderr.write(f"jobledger server: {reason}\n")
        return
    # The starter may have gone away; the server is for whoever comes next, too.
    with contextlib.suppress(OSError):
        os.write(_STDOUT, json.dumps(outcome).encode() + b"\n")
    # Letting go of the pipe tells the starter that nothing more comes.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STDOUT)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())

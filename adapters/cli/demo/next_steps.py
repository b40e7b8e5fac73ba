"""What to type after the demo: commands that work where they are printed, also without an activated environment."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from uuid import UUID

from jobledger.adapters.client.client import URL_VARIABLE


def next_steps(job_id: UUID, folder: Path | None, home: Path) -> dict[str, str]:
    """Return what each command does, and the command.

    Shape:  `folder` is the data folder that was asked for, None for the default one; `home` is the one in use.
    """
    program = Path(sys.argv[0])
    jobledger = _typed(program.absolute()) if program.is_file() else "jobledger"
    chosen = f" --folder {shlex.quote(str(home))}" if folder else ""
    # A variable that leads a client to another server is not this shell's wish for the next command.
    place = f"data_folder={json.dumps(str(home))}" if folder or os.environ.get(URL_VARIABLE) else ""
    history = f'from jobledger import Client; print(Client({place}).jobs().find("{job_id}").history)'
    return {
        "the server": f"{jobledger} server status{chosen}",
        "the whole history of the job": f"{_typed(Path(sys.executable))} -c {shlex.quote(history)}",
        "end the server now": f"{jobledger} server stop{chosen}",
    }


def _typed(program: Path) -> str:
    """Return the shortest way to type this program here."""
    if shutil.which(program.name) == str(program):
        return program.name
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))

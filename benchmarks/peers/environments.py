"""An environment for each system, with exactly the versions that its requirements name, installed when first needed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent
_PATIENCE = 600.0  # seconds that an installation may take


class Unavailable(Exception):
    """A system cannot be measured here. The message says why, in one line."""


def default_folder() -> Path:
    """Return where environments are kept.

    Those of root are not below its home: PostgreSQL, which refuses to run as root, runs as another user from there.
    """
    caches = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    return caches / "jobledger-bench"


def requirements(name: str) -> Path:
    return PEERS / name / "requirements.txt"


def pins(name: str, *, all_of_them: bool = False) -> dict[str, str]:
    """Return the version of each package that a system consists of, or of all it is installed with.

    Errors: ValueError for a line that pins no version.
    """
    wanted, _, needed = requirements(name).read_text(encoding="utf-8").partition("# what these need\n")
    found = {}
    for line in (wanted + needed if all_of_them else wanted).splitlines():
        if line and not line.startswith("#"):
            package, separator, version = line.partition("==")
            if not separator:
                raise ValueError(
                    f"{requirements(name)}: {line!r} does not pin a version, as package==version does"
                )
            found[package] = version
    return found


def environment(name: str, folder: Path) -> Path:
    """Return the environment of a system: one that exists with these versions and this Python, or a new one.

    Errors: Unavailable when it cannot be installed; a later call tries again.
    """
    fingerprint = hashlib.sha256(requirements(name).read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = folder / f"{name}-{fingerprint}"
    complete = place / "complete"  # the last thing to be written: what was interrupted is done again
    if not complete.exists():
        print(f"installing {name} into {place}", file=sys.stderr, flush=True)
        _run(name, sys.executable, "-m", "venv", "--clear", str(place))
        pip = str(place / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"
        _run(name, *pip, "install", "--quiet", "--requirement", str(requirements(name)))
        complete.touch()
    return place


def _run(name: str, *command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.CalledProcessError as error:
        # pip warns in many lines, and says in one that begins so what it stopped at
        lines = (error.stderr or error.stdout).strip().splitlines() or [f"exit code {error.returncode}"]
        why = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise Unavailable(f"{name} cannot be installed: {why}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{name} was not installed within {_PATIENCE:g} s") from error

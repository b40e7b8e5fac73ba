"""A real notebook: cells run one after another in a kernel process of their own, and their outputs are read."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen
from typing import Any, Self

import nbformat
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient

import jobledger

_SOURCE = str(Path(jobledger.__path__[0]).parent)
_node: Any = nbformat.from_dict  # which has no types


class Cell:
    """A cell that was run. What it shows may change afterwards, while later ones run."""

    def __init__(self, node: Any) -> None:
        self._node = node

    @property
    def shown(self) -> list[dict[str, str]]:
        """What it shows, by MIME type."""
        return [dict(output["data"]) for output in self._node.outputs if "data" in output]

    @property
    def text(self) -> str:
        """The plain text of the only thing it shows."""
        (shown,) = self.shown
        return shown["text/plain"]

    @property
    def printed(self) -> str:
        return "".join(output["text"] for output in self._node.outputs if output["output_type"] == "stream")


class Notebook:
    """A notebook whose kernel runs while inside, on loopback. It must end by itself, and in order, when left."""

    def __init__(self) -> None:
        self._notebook = _node({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": []})
        self._client = NotebookClient(
            self._notebook, timeout=30, kernel_name="python3", extra_arguments=["--log-level=ERROR"]
        )
        self._kernel: AbstractContextManager[None] = self._client.setup_kernel(
            env={**os.environ, "PYTHONPATH": _SOURCE}
        )
        self._process: Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._kernel.__enter__()
        assert self._client.km is not None
        assert isinstance(self._client.km.provisioner, LocalProvisioner)
        self._process = self._client.km.provisioner.process
        return self

    def __exit__(self, *error: object) -> None:
        self._kernel.__exit__(None, None, None)
        assert self._process is not None
        assert self._process.returncode == 0, "the kernel had to be killed"

    def run(self, code: str) -> Cell:
        """Run a cell. Errors: nbclient's CellExecutionError, for whatever it raises."""
        cells = self._notebook.cells
        empty: dict[str, Any] = {"cell_type": "code", "outputs": [], "execution_count": None, "metadata": {}}
        cells.append(_node({**empty, "source": code}))
        self._client.execute_cell(cells[-1], len(cells) - 1)
        return Cell(cells[-1])

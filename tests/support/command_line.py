"""The command line, run in this process as its `main` is, and what it said."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from jobledger.adapters.cli import main


@dataclass(frozen=True)
class Said:
    """What one run of it came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which is one JSON value."""
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        """stdout, each line of which is a JSON value."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class CommandLine:
    """Runs commands. Each must end with an exit code and leave no traceback."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: object, typed: str | None = None) -> Said:
        """Run it; `typed` is what stdin has."""
        if typed is not None:
            self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        said = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in said.err
        return Said(ended.value.code, said.out, said.err)

    def at_a_terminal(self, *arguments: object, typed: str) -> Said:
        """Run it where stdin is a terminal, and this is typed into it."""
        ours, theirs = os.openpty()
        with open(ours, "wb", buffering=0) as keyboard, open(theirs, encoding="utf-8") as terminal:
            self._monkeypatch.setattr(sys, "stdin", terminal)
            keyboard.write(typed.encode())
            return self(*arguments)

    def on_a_terminal(self, *arguments: object) -> str:
        """Run it where stdout is a terminal; return what is shown there."""
        ours, theirs = os.openpty()
        with open(ours, "rb", buffering=0) as screen, open(theirs, "w", encoding="utf-8") as terminal:
            with self._monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", terminal)
                assert self(*arguments).code == 0
            terminal.flush()
            return screen.read(65536).decode()

    def ok(self, *arguments: object, typed: str | None = None) -> Said:
        """Run what has to succeed."""
        said = self(*arguments, typed=typed)
        assert said.code == 0, said
        return said

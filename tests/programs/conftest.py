"""One embedded server for all programs: each makes its `Client()` without arguments, as its user would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger.adapters.embedded.start import stop_server


@pytest.fixture(scope="package")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("programs") / "data"
    yield folder
    stop_server(folder)


@pytest.fixture(autouse=True)
def home(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `Client()` finds."""
    monkeypatch.setenv("JOBLEDGER_HOME", str(data_folder))
    monkeypatch.delenv("JOBLEDGER_URL", raising=False)


class Output:
    """What a program printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def lines(self) -> list[str]:
        """Return the lines since the last call."""
        return self._capsys.readouterr().out.splitlines()


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Output:
    return Output(capsys)

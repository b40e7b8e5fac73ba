"""`jobledger doctor` on the embedded server: relaxed, and as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobledger.adapters.cli import exits
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.start import ensure_server, stop_server
from support.command_line import CommandLine

_RELAXED = "RELAXED: commits are acknowledged up to 2.5 s before they are on disk"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("JOBLEDGER_URL", "JOBLEDGER_NATS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    stop_server(tmp_path / "home")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


def test_the_embedded_server_keeps_what_is_promised_unless_it_is_relaxed_and_says_so(
    home: Path, run: CommandLine
) -> None:
    started = run.ok("server", "start", "--sync-interval", "2500ms")
    assert _RELAXED in started.err
    assert 'sync_interval: "2500ms"' in DataFolder.locate(home).config.read_text()
    assert _RELAXED in run.ok("server", "status", "-o", "json").json["durability"]
    (figure,) = [
        line for line in run.ok("metrics").lines if line.startswith("jobledger_server_sync_interval_seconds{")
    ]
    assert figure.endswith(" 2.5")

    said = run("doctor")
    assert said.code == exits.UNRELIABLE
    assert "what is promised does not hold" in said.err
    assert said.lines[0].startswith("failed   acknowledgements: acknowledged before the fsync")
    assert said.lines[1].lstrip().startswith("why: ")
    assert "--sync-interval 0" in said.lines[2]

    # The folder remembers, whoever starts its server.
    refused = run("server", "start", "--sync-interval", "0")
    assert refused.code == exits.USAGE
    assert "stop it first" in refused.err
    run.ok("server", "stop")
    ensure_server(home)
    assert _RELAXED in run.ok("server", "status", "-o", "json").json["durability"]
    run.ok("server", "stop")
    assert run.ok("server", "start", "--sync-interval", "0").err == ""
    assert "RELAXED" not in run.ok("server", "status", "-o", "json").json["durability"]

    findings = run.ok("doctor", "-o", "json").json
    assert {finding["state"] for finding in findings if finding["promise"]} == {"OK"}
    assert {finding["state"] for finding in findings} <= {
        "OK",
        "WARNING",
    }  # the disk of whoever runs this may be full
    looked_at = {finding["check"] for finding in findings}
    assert {"acknowledgements", "file system", "open files", "engines", "views"} <= looked_at
    (told,) = [line for line in run.ok("doctor").lines if " acknowledgements: " in line]
    assert told.startswith("ok       acknowledgements: on disk (fsync) before they are sent")


@pytest.mark.parametrize("interval", ["1ms", "2h"])
def test_an_interval_that_cannot_be_is_refused(home: Path, run: CommandLine, interval: str) -> None:
    said = run("server", "start", "--sync-interval", interval)
    assert said.code == exits.USAGE
    assert "give 0" in said.err
    assert not home.exists()


def test_a_setting_that_cannot_be_read_relaxes_nothing(tmp_path: Path) -> None:
    folder = DataFolder.locate(tmp_path / "home")
    folder.create()
    for damaged in ("", "soon", "nan", "-1", "1e9"):
        folder.relaxed.write_text(damaged)
        assert folder.sync_interval() == 0.0

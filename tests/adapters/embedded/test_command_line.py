"""`jobledger server` and `jobledger engine`, run as programs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import jobledger
from jobledger.adapters.embedded.start import ensure_server, server_status
from support.waiting import eventually

from .conftest import Home

_MAIN = f"import sys; sys.path.append({str(Path(jobledger.__path__[0]).parent)!r}); from jobledger.adapters.cli import main; main()"


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_start_status_stop(home: Home) -> None:
    assert _run("server", "status", "--folder", home.path).returncode == 3
    started = _run("server", "start", "--folder", home.path)
    assert (started.returncode, started.stderr) == (0, "")
    assert started.stdout.startswith("started: nats://127.0.0.1:")
    assert _run("server", "start", "--folder", home.path).stdout.startswith(
        "already running: nats://127.0.0.1:"
    )
    status = _run("server", "status", "--folder", home.path, "-o", "json")
    assert status.returncode == 0
    facts = json.loads(status.stdout)
    assert facts["state"] == "running"
    assert [facts["supervisor_pid"]] == home.supervisors()
    assert "fsync" in facts["durability"]
    stopped = _run("server", "stop", "--folder", home.path)
    assert (stopped.returncode, stopped.stdout) == (0, f"stopped: folder {home.path}\n")
    again = _run("server", "stop", "--folder", home.path)
    assert (again.returncode, again.stdout) == (0, f"not running: folder {home.path}\n")


def test_the_table_has_no_colour_where_none_is_wanted(home: Home) -> None:
    assert "\x1b" not in _run("server", "status", "--folder", home.path).stdout


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_it_stops_when_told(home: Home, sign: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, "server", "start", "--foreground", "--folder", str(home.path)],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(jobledger.__path__[0]).parent)},
    )
    try:
        eventually(lambda: server_status(home.path).running)
        assert home.supervisors() == [process.pid]
        second = _run("server", "start", "--folder", home.path)
        assert second.stdout.startswith("already running")
        process.send_signal(sign)
        assert process.stderr is not None
        assert b"serving at nats://127.0.0.1:" in process.stderr.read()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert home.servers() == []


def test_errors_are_one_message_and_an_exit_code(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    refused = _run("server", "start", "--folder", file)
    assert refused.returncode == 2
    assert refused.stderr.startswith("jobledger: cannot use data folder")
    unknown = _run("engine", "--nats", "no-such-host.invalid")
    assert unknown.returncode == 69
    assert "jobledger: no NATS server answers" in unknown.stderr
    assert "Traceback" not in refused.stderr + unknown.stderr
    assert _run("server", "begin").returncode == 2
    assert _run("server", "start", "--idle", "soon").returncode == 2


def test_an_engine_waits_for_a_server_that_is_away_and_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, "engine", "--nats", f"127.0.0.1:{free.getsockname()[1]}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            assert any("no NATS server answers" in line for line in process.stderr)
            process.terminate()
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
            process.communicate()


def test_an_engine_runs_until_told_to_stop(home: Home) -> None:
    endpoint = ensure_server(home.path)
    assert endpoint.user is not None
    assert endpoint.password is not None
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, "engine", "--nats", endpoint.urls[0], "--namespace", "other"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JOBLEDGER_USER": endpoint.user, "JOBLEDGER_PASSWORD": endpoint.password},
    )
    try:
        assert process.stderr is not None
        said = ""
        while "serving namespace other" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.terminate()
        said += process.stderr.read()
        assert process.wait(20) == 0
        assert endpoint.password not in said
        assert "Traceback" not in said
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()

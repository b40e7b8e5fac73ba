"""The production example: its files are understood by those they are for, and the cluster they make lets nobody in who may not.

That three nodes of it hold a log, and what becomes of work when they die, is seen by the other tests of this folder: they run on
these very files.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import Three
from cluster.deployed import DEPLOY, PASSWORD, USER, Authority, put_in
from jobledger import Client
from jobledger.adapters.cli import app, main
from jobledger.adapters.cli.runner_processes import _FAREWELL
from jobledger.errors import ServerUnavailable
from support.servers import nats_server_program

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


class Unit(configparser.RawConfigParser):
    """A unit of systemd: of what is said twice, the last counts here."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]  # names are told apart by case
        self.read(path)

    @property
    def command(self) -> list[str]:
        return shlex.split(self["Service"]["ExecStart"])


def grace_of(command: list[str]) -> float:
    return float(command[command.index("--grace") + 1]) if "--grace" in command else 0.0


def understands(arguments: list[str]) -> bool:
    """Whether `jobledger` takes these arguments. What the environment puts in is put in here."""
    known = [re.sub(r"^\$\{JOBLEDGER_PROCESSES\}$", "4", one) for one in arguments]
    app.parse_args([one.replace("%i", "1") for one in known], exit_on_error=False, print_error=False)
    return True


def checked(folder: Path, users: Path) -> None:
    """Have nats-server read the configuration of a node, with the users in this file. Errors: AssertionError."""
    authority = Authority(folder)
    authority.issue("node")
    there = {"/etc/jobledger/tls": str(folder), "/var/lib/jobledger/nats": str(folder / "jetstream")}
    (folder / "nats-server.conf").write_text(
        put_in((DEPLOY / "nats" / "nats-server.conf").read_text(), there)
    )
    shutil.copy(users, folder / "users.conf")
    environment = dict(
        line.split("=", 1)
        for line in (DEPLOY / "systemd" / "nats.env").read_text().splitlines()
        if not line.startswith("#")
    )
    done = subprocess.run(
        [nats_server_program(), "-t", "-c", str(folder / "nats-server.conf")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nats_server_takes_the_configuration(tmp_path: Path) -> None:
    checked(tmp_path, DEPLOY / "nats" / "users.conf")
    text = (DEPLOY / "nats" / "nats-server.conf").read_text()
    assert "sync_interval: always" in text
    assert "verify: true" in text


def test_nats_server_takes_the_users_that_jobledger_access_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for role, name in (("engine", "engine-1"), ("runner", "thumbnails"), ("client", "web")):
        command = ["access", "create", "--role", role, "--name", name, "--namespace", "production"]
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert not ended.value.code
    written = tmp_path / "jobledger-access"
    assert (written / "users" / "production.engine.engine-1.env").exists()
    assert (written / "users" / "production.runner.default.thumbnails.env").exists()
    (tmp_path / "node").mkdir()
    checked(tmp_path / "node", written / "nats-access.conf")


def test_nobody_is_let_in_without_a_login_or_a_certificate_to_trust(three: Three) -> None:
    for login in ({"user": USER, "password": PASSWORD}, {"tls_ca": three.endpoint.tls_ca}):
        with (
            pytest.raises(ServerUnavailable),
            Client(three.url, namespace="nobody", patience=0, **login) as client,
        ):
            client.jobs().find("018dd029-58ca-74e5-8b58-b4f99d610f9a")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_one_that_systemd_takes(path: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("no systemd-analyze on this machine")
    program = Unit(path).command[0]
    copy = tmp_path / path.name.replace("@", "@1")
    copy.write_text(path.read_text().replace(program, shutil.which("true") or "/bin/true"))
    done = subprocess.run(
        [verify, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_started_again_has_time_to_leave_and_may_do_little(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLEDGER_STORE", "sqlite:///jobs.sqlite3")
    unit = Unit(path)
    service = unit["Service"]
    assert (unit["Unit"]["StartLimitIntervalSec"], service["Restart"]) == ("0", "always")
    assert int(service["LimitNOFILE"]) >= 65_536
    assert float(service["TimeoutStopSec"]) > grace_of(unit.command) + _FAREWELL
    for setting in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID"):
        assert service[setting] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    program, *arguments = unit.command
    assert program.endswith("nats-server") or understands(arguments)
    if "runner" in arguments:
        # its supervisor tells the processes once: a second signal would have them drop what they run
        assert service["KillMode"] == "mixed"


def test_what_compose_starts_is_there_and_has_time_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLEDGER_STORE", "sqlite:///jobs.sqlite3")
    folder = DEPLOY / "compose"
    parts: dict[str, Any] = yaml.safe_load((folder / "compose.yaml").read_text())
    assert {"nats-1", "nats-2", "nats-3", "engine", "projector", "runner"} == set(parts["services"])
    assert parts["services"]["engine"]["deploy"]["replicas"] == 2
    for name, service in parts["services"].items():
        assert service["restart"] == "always"
        assert service["cap_drop"] == ["ALL"]
        assert set(service["networks"]) <= set(parts["networks"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            made_here = source in parts["volumes"] or source.startswith(("./tls/", "./program"))
            assert made_here or (folder / source).exists(), f"{name} mounts {source}, which is not there"
        assert "image" in service or (folder / service["build"] / "Dockerfile").exists()
        grace = float(service["stop_grace_period"].removesuffix("s"))
        if not name.startswith("nats-"):
            assert understands(service["command"])
            assert grace > grace_of(service["command"]) + _FAREWELL
        else:
            assert service["stop_signal"] == "SIGUSR2"
            assert service["environment"]["JOBLEDGER_NODE"] == name

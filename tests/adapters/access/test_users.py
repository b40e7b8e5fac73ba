"""Making, rotating and removing users, and what of it the server reads."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from jobledger.adapters.access.identity import Identity, Role
from jobledger.adapters.access.matrix import with_tables
from jobledger.adapters.access.users import Surroundings, Users
from jobledger.adapters.cli import main
from jobledger.adapters.nats.connection import open_connection
from jobledger.adapters.nats.endpoint import Endpoint, login_of
from jobledger.core.errors import ArgumentError, NotFoundError, ServerUnavailable
from support.servers import NatsServer, nats_server_program
from support.waiting import eventually

RUNNER = Identity.parse("runner.gpu.gpu-1")


def _variables(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_user_gets_a_file_with_all_that_its_programs_need(tmp_path: Path) -> None:
    around = Surroundings("tls://nats.example.org:4222", "/etc/jobledger/ca.pem")
    file = Users(tmp_path).create("prod", RUNNER, around=around)
    variables = _variables(file)
    assert variables.pop("JOBLEDGER_NKEY").startswith("SU")
    assert variables == {
        "JOBLEDGER_NAMESPACE": "prod",
        "JOBLEDGER_IDENTITY": "runner.gpu.gpu-1",
        "JOBLEDGER_URL": "tls://nats.example.org:4222",
        "JOBLEDGER_TLS_CA": "/etc/jobledger/ca.pem",
    }


@pytest.mark.parametrize("password", [False, True])
def test_nothing_secret_is_in_what_the_server_reads(tmp_path: Path, password: bool) -> None:
    users = Users(tmp_path)
    variables = _variables(users.create("prod", RUNNER, password=password))
    secret = variables["JOBLEDGER_PASSWORD" if password else "JOBLEDGER_NKEY"]
    assert secret not in users.configuration.read_text()
    assert secret not in (tmp_path / "users.json").read_text()


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    os.umask(os.umask(0))  # whatever it is
    Users(tmp_path).create("prod", RUNNER)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_creating_a_user_again_changes_nothing(tmp_path: Path) -> None:
    Users(tmp_path).create("prod", RUNNER)
    before = _contents(tmp_path)
    Users(tmp_path).create("prod", RUNNER)
    assert _contents(tmp_path) == before


def test_a_user_whose_file_is_lost_gets_another_login(tmp_path: Path) -> None:
    file = Users(tmp_path).create("prod", RUNNER)
    before = file.read_text()
    file.unlink()
    assert Users(tmp_path).create("prod", RUNNER).read_text() != before


@pytest.mark.parametrize("account", [None, "JOBS"])
def test_the_server_takes_the_configuration(tmp_path: Path, account: str | None) -> None:
    users = Users(tmp_path)
    for role in Role:
        cluster = "gpu" if role is Role.RUNNER else None
        one = Identity.of(role, "one", cluster)
        users.create("prod", one, password=role is Role.CLIENT, account=account)
    whole = tmp_path / "nats-server.conf"
    whole.write_text(f"jetstream {{}}\ninclude ./{users.configuration.name}\n")
    subprocess.run([nats_server_program(), "-t", "-c", str(whole)], check=True, capture_output=True)


def test_a_rotated_login_and_a_removed_user_are_out_once_the_server_has_reloaded(tmp_path: Path) -> None:
    users = Users(tmp_path / "access")
    first, second = Identity.parse("client.first"), Identity.parse("client.second")
    old = _variables(users.create("prod", first, password=True))
    gone = _variables(users.create("prod", second))
    server = NatsServer(tmp_path, more_configuration="include ./access/nats-access.conf\n").start()

    def is_let_in(variables: dict[str, str]) -> bool:
        async def connect() -> None:
            await (await open_connection(Endpoint(server.url, **login_of(variables)), name="test")).close()

        try:
            asyncio.run(connect())
        except ServerUnavailable:
            return False
        return True

    try:
        assert eventually(lambda: is_let_in(old))
        assert eventually(lambda: is_let_in(gone))
        new = _variables(users.rotate("prod", first))
        users.remove("prod", second)
        subprocess.run(
            [nats_server_program(), "--signal", f"reload={server.pid}"], check=True, capture_output=True
        )
        assert eventually(lambda: not is_let_in(gone))
        assert not is_let_in(old)
        assert eventually(lambda: is_let_in(new))
    finally:
        server.stop()


def test_a_rotated_login_says_where_the_server_is_as_the_old_one_did(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.create("prod", RUNNER, around=Surroundings("nats://somewhere"))
    assert _variables(users.rotate("prod", RUNNER))["JOBLEDGER_URL"] == "nats://somewhere"


def test_what_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.create("prod", Identity.parse("client.web"))
    with pytest.raises(
        NotFoundError, match=r"no user runner.gpu.gpu-1 of namespace prod. There is: prod client.web"
    ):
        users.remove("prod", RUNNER)


def test_a_folder_has_one_account(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.create("prod", RUNNER, account="A")
    with pytest.raises(ArgumentError, match="belong to A, not to B"):
        users.create("prod", RUNNER, account="B")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("web", "write role.user"),
        ("boss.web", "roles are"),
        ("client.a.b", "a client has no cluster"),
        ("runner.gpu-1", "name it"),
        ("runner.g*u.gpu-1", "cluster 'g*u' cannot be one"),
        ("client.>", "'>' cannot be the name of a user"),
        ("client.-", "'-' cannot be the name of a user"),
        ("client.web.", "cannot be"),
    ],
)
def test_what_cannot_be_an_identity_is_told(text: str, complaint: str) -> None:
    with pytest.raises(ArgumentError) as told:
        Identity.parse(text)
    assert complaint in str(told.value)


@pytest.mark.parametrize(
    "damage",
    [b"{", b"\xff", b'{"users": 1}', b'{"format": 9}', b'{"users": [{"namespace": "a", "identity": "b"}]}'],
)
def test_a_list_that_cannot_be_read_is_told(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "users.json").write_bytes(damage)
    with pytest.raises(ArgumentError):
        Users(tmp_path)


# -- the command line -------------------------------------------------------------------------------------------------


def _command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["access", *arguments])
    return int(ended.value.code or 0)


def test_users_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = (
        "--role",
        "runner",
        "--name",
        "gpu-1",
        "--cluster",
        "gpu",
        "--namespace",
        "prod",
        "--dir",
        str(tmp_path),
    )
    assert _command("create", *one) == 0
    file = Path(capsys.readouterr().out.strip())
    before = file.read_text()
    assert _command("rotate", *one) == 0
    assert file.read_text() != before
    assert _command("list", "--dir", str(tmp_path)) == 0
    assert "runner.gpu.gpu-1" in capsys.readouterr().out
    assert _command("remove", *one) == 0
    assert not file.exists()
    assert _command("remove", *one) == 4
    assert "there is no user" in capsys.readouterr().err


def test_the_table_of_rights_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _command("show") == 0
    said = capsys.readouterr().out
    assert all(role in said for role in Role)
    assert "events (the log)" in said


def test_the_page_about_security_says_what_the_code_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    assert page == with_tables(page), "run python docs/generate.py"

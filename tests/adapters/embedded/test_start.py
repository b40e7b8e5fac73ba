"""One server per folder: started by the first who needs it, found by all others, gone when unused."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import jobledger
from jobledger.adapters.embedded.start import ensure_server, server_status, stop_server
from jobledger.adapters.nats.connection import connect
from jobledger.core.errors import ArgumentError, ServerUnavailable
from support.waiting import eventually

from .conftest import Home, end

_SOURCES = str(Path(jobledger.__path__[0]).parent)
_ASK = """
import json, sys
sys.path.append(sys.argv[2])
from jobledger.adapters.embedded.start import ensure_server, server_status
print("here", flush=True)
sys.stdin.readline()
endpoint = ensure_server(sys.argv[1])
print(json.dumps([endpoint.url, endpoint.password, server_status(sys.argv[1]).record.supervisor_pid]), flush=True)
"""


def test_the_first_starts_and_the_next_attaches(home: Home) -> None:
    endpoint = ensure_server(home.path)
    assert ensure_server(home.path) == endpoint
    assert (len(home.supervisors()), len(home.servers())) == (1, 1)

    async def use() -> bool:
        client = await connect(endpoint, name="test")
        try:
            return (await client.jetstream().account_info()).streams >= 0
        finally:
            await client.close()

    assert asyncio.run(use())


def test_status_tells_what_runs(home: Home) -> None:
    assert server_status(home.path).state == "stopped"
    endpoint = ensure_server(home.path)
    status = server_status(home.path)
    assert status.running
    assert status.record is not None
    assert status.record.url == endpoint.url
    assert [status.record.supervisor_pid] == home.supervisors()
    assert [status.record.server_pid] == home.servers()


def test_stop_ends_both_processes(home: Home) -> None:
    ensure_server(home.path)
    assert stop_server(home.path)
    assert home.supervisors() + home.servers() == []
    assert server_status(home.path).state == "stopped"
    assert not stop_server(home.path)


def test_it_starts_again_on_the_port_clients_know(home: Home) -> None:
    endpoint = ensure_server(home.path)
    stop_server(home.path)
    assert ensure_server(home.path) == endpoint


def test_eight_at_once_end_with_one_server(home: Home) -> None:
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", _ASK, str(home.path), _SOURCES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    try:
        for asker in askers:
            assert asker.stdout is not None
            assert asker.stdout.readline() == "here\n"
        for asker in askers:
            assert asker.stdin is not None
            asker.stdin.write("go\n")
            asker.stdin.flush()
        answers = [json.loads(asker.communicate(timeout=60)[0]) for asker in askers]
    finally:
        for asker in askers:
            asker.kill()
            asker.wait()
    assert answers == [answers[0]] * 8
    # Those who came second with a supervisor of their own see it end, but do not wait for that.
    eventually(lambda: len(home.supervisors()) == 1)
    assert len(home.servers()) == 1


def test_only_the_owner_can_read_the_folder(home: Home) -> None:
    home.path.mkdir(mode=0o755)
    endpoint = ensure_server(home.path)

    async def fill() -> None:
        client = await connect(endpoint, name="test")
        await client.jetstream().add_stream(name="S", subjects=["s"])
        await client.jetstream().publish("s", b"x")
        await client.close()

    asyncio.run(fill())
    everything = (home.path, *home.path.rglob("*"))
    assert len(everything) > 10
    assert [path for path in everything if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_nobody_else_finds_secrets_in_what_is_printed(home: Home) -> None:
    endpoint = ensure_server(home.path)
    assert endpoint.password
    log = home.data.log.read_text()
    shown = [repr(endpoint), log, json.dumps(str(server_status(home.path)))]
    assert not [text for text in shown if endpoint.password in text]


def test_an_unused_server_ends_by_itself(home: Home) -> None:
    ensure_server(home.path, idle=0.5)
    eventually(lambda: not home.supervisors() and not home.servers())
    assert "unused for 0.5 s" in home.data.log.read_text()
    eventually(
        lambda: server_status(home.path).state == "stopped"
    )  # whatever held its lock an instant longer


def test_a_folder_that_is_removed_takes_its_server_along(home: Home) -> None:
    ensure_server(home.path)
    home.path.rename(home.path.with_name("elsewhere"))
    eventually(lambda: not home.supervisors() and not home.servers(), within=20)


@pytest.mark.parametrize(
    "name", ["with blank", 'quote"d', "$HOME", "back\\slash", "ünï-日本", "x" * 200, "#{;}", "'"]
)
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / name / "data")
    try:
        ensure_server(home.path)
        assert (home.path / "jetstream").is_dir()
        home.kill(home.supervisors())
        ensure_server(home.path)
        assert (len(home.supervisors()), len(home.servers())) == (1, 1)
    finally:
        end(home)


def test_a_very_long_path_works(tmp_path: Path) -> None:
    home = Home(tmp_path.joinpath(*["d" * 200] * 15))
    try:
        endpoint = ensure_server(home.path)

        async def fill() -> int:
            client = await connect(endpoint, name="test")
            await client.jetstream().add_stream(name="S", subjects=["s"])
            sequence = (await client.jetstream().publish("s", b"x")).seq
            await client.close()
            return sequence

        assert asyncio.run(fill()) == 1
    finally:
        end(home)


def test_a_path_longer_than_the_system_allows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="name too long"):
        ensure_server(tmp_path.joinpath(*["d" * 200] * 30))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("something")
    with pytest.raises(ArgumentError, match="it is a file"):
        ensure_server(file)
    with pytest.raises(ArgumentError, match="Not a directory"):
        ensure_server(file / "below")
    assert file.read_text() == "something"


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ArgumentError, match="holds other things"):
        ensure_server(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    # Nobody, not even root, can make a folder here.
    with pytest.raises(ArgumentError, match="cannot use data folder /proc/jobledger"):
        ensure_server("/proc/jobledger")


def test_a_start_that_fails_says_why(home: Home) -> None:
    home.data.create()
    (home.path / "jetstream").write_text("a file where the log should be")
    with pytest.raises(ServerUnavailable, match="did not start") as failure:
        ensure_server(home.path)
    assert f"The end of {home.data.log}" in str(failure.value)
    assert "storage directory is not a directory" in str(failure.value)


def test_finding_a_server_loads_little(home: Home) -> None:
    ensure_server(home.path)
    script = (
        "import sys; sys.path.append(sys.argv[2])\n"
        "from jobledger.adapters.embedded.start import ensure_server\n"
        "ensure_server(sys.argv[1])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'nats', 'asyncio', 'eventsourcing'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home.path), _SOURCES], capture_output=True, text=True, check=True
    )
    # The package's own __init__ is the facade: what it loads is not this module's doing.
    alone = subprocess.run(
        [
            sys.executable,
            "-c",
            script.replace("ensure_server(sys.argv[1])", "").replace(
                "from jobledger.adapters.embedded.start import ensure_server", "import jobledger"
            ),
            str(home.path),
            _SOURCES,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == alone.stdout

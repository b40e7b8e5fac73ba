"""Sealed jobs at the command line: submitted with `--encrypt`, read as any other, unreadable once deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobledger import Job
from support.command_line import CommandLine

from .conftest import Served


def test_a_job_is_sealed_if_it_is_asked_for(cli: CommandLine, served: Served) -> None:
    arguments = ("job", "submit", "Greet", "--input", '"Ada Lovelace"')
    sealed, plain = cli.ok(*arguments, "--encrypt").lines[0], cli.ok(*arguments).lines[0]
    assert cli.ok("job", "show", sealed, "-o", "json").json["sealed"] is True
    assert cli.ok("job", "show", plain, "-o", "json").json["sealed"] is False
    assert "sealed with key nats/" in cli.ok("job", "history", sealed).out
    assert served.client.jobs().find(sealed).tasks[0].input_json == "Ada Lovelace"


def test_everything_is_read_until_it_is_deleted(cli: CommandLine, run: Callable[..., Job]) -> None:
    job = run("sealed greetings", "Ada", "", encrypt=True)
    assert cli.ok("job", "show", job.id, "-o", "json").json["error"]["message"] == "greet whom?"
    assert "Hello, Ada" in cli.ok("job", "tasks", job.id).out
    assert "name='Ada'" in cli.ok("job", "logs", job.id).out
    assert (
        cli.ok("job", "list", "--name", "sealed greetings", "-o", "jsonl").jsonl[0]["error"]["message"] == ""
    )
    last = job.history[-1].position
    cli.ok("job", "delete", job.id)
    assert "its key was destroyed" in cli("job", "show", job.id).err
    past = cli.ok("job", "show", job.id, "--at", last, "-o", "json").json
    assert (past["state"], past["error"]["message"]) == ("FAILED", "(erased)")
    assert cli("job", "result", job.id, "--at", last).err.startswith(f"jobledger: job {job.id} was erased")
    assert f"key nats/{job.id} was destroyed" in cli.ok("replay", job.id, "-o", "jsonl").out


def test_many_are_erased_at_once(cli: CommandLine, served: Served, run: Callable[..., Job]) -> None:
    jobs = [run("sealed in bulk", "Ada", encrypt=True) for _ in range(3)]
    cli.ok("job", "delete", "--name", "sealed in bulk", "--yes")
    for job in jobs:
        assert f"key nats/{job.id} was destroyed" in str(served.client.jobs().replay(job.id).seek(version=-1))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("nowhere:keys", "there is no module 'nowhere'"),
        ("mine:text", "is no key store"),
        ("mine:keys", "no 'keys'"),
    ],
)
def test_an_engine_is_given_a_key_store_or_does_not_start(
    cli: CommandLine, tmp_path: Path, keys: str, problem: str
) -> None:
    (tmp_path / "mine.py").write_text("text = 'no keys'\n")
    said = cli("engine", "--keys", keys)
    assert (said.code, problem in said.err) == (2, True), said

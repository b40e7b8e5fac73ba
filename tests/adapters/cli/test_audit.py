"""`jobledger audit`: the log as a file that proves itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobledger import ExecutionContext, Job, Task
from support.command_line import CommandLine

from .conftest import Served


class Greet(Task):
    name: str

    def execute(self, context: ExecutionContext) -> None:
        pass


@pytest.fixture
def job(served: Served) -> Job:
    job = served.client.jobs().submit("to be audited", Greet("world"))
    served.client.runner(tasks=[Greet]).run_all()
    return job


def test_a_log_is_exported_signed_and_verified(cli: CommandLine, job: Job) -> None:
    fingerprint = cli.ok("audit", "keygen", "key").out.strip()
    exported = cli.ok("audit", "export", "-o", "all.bundle", "--key", "key", "--format", "json").json
    assert exported["key"] == fingerprint
    said = cli.ok("audit", "verify", "all.bundle", "--public-key", "key.pub")
    assert f"{exported['commits']:,} commits" in said.out
    assert "nothing is wrong" in said.out
    assert f"signed by {fingerprint}, which is the one that was given" in said.err


def test_a_signature_by_another_key_is_a_finding(cli: CommandLine, job: Job) -> None:
    for name in ("key", "other"):
        cli.ok("audit", "keygen", name)
    cli.ok("audit", "export", "-o", "all.bundle", "--key", "key")
    said = cli("audit", "verify", "all.bundle", "--public-key", "other.pub")
    assert said.code == 8
    assert "SIGNATURE: SHA256SUMS.sig of all.bundle: it is signed by another key" in said.out
    assert said.err == ""


def test_a_job_and_a_range_are_exported(cli: CommandLine, job: Job) -> None:
    first, *_, last = job.history
    one = cli.ok("audit", "export", "-o", "one", "--job", job.id, "--format", "json").json
    assert (one["jobs"], one["commits"]) == (1, last.version)
    places = ("--from", first.position + 1, "--to", last.position)
    part = cli.ok("audit", "export", "-o", "part", "--job", job.id, *places)
    assert "their chains can be verified from their first commit" in part.err
    report = cli.ok("audit", "verify", "part", "-o", "json").json
    assert (report["ok"], report["partial_jobs"], report["start"]) == (True, 1, first.position + 1)
    late = cli("audit", "export", "-o", "none", "--from", "2035-01-01")
    assert (late.code, late.out) == (2, "")
    assert "the range is empty" in late.err


def test_what_is_wrong_is_told_and_is_an_exit_code(cli: CommandLine, job: Job) -> None:
    cli.ok("audit", "export", "-o", "bundle", "--job", job.id)
    data = Path("bundle").read_bytes()
    place = data.index(b"jobledger.commit.v1")
    Path("bundle").write_bytes(data[:place] + b"x" + data[place + 1 :])
    said = cli("audit", "verify", "bundle")
    assert said.code == 8
    position = job.history[0].position
    assert said.lines[0].startswith(f"EDITED: version 1 of job {job.id}, position {position}: ")
    (finding, *_) = cli("audit", "verify", "bundle", "-o", "jsonl").jsonl
    assert (finding["kind"], finding["job_id"], finding["version"]) == ("EDITED", str(job.id), 1)


def test_the_log_is_verified_and_held_against_a_checkpoint(
    cli: CommandLine, served: Served, job: Job
) -> None:
    assert "nothing is wrong" in cli.ok("audit", "verify").out
    taken = cli.ok("audit", "checkpoint", "-o", "checkpoint", "--format", "json").json
    served.client.jobs().submit("later", Greet("you"))
    report = cli.ok("audit", "verify", "--checkpoint", "checkpoint", "-o", "json").json
    assert report["vouched"] == taken["jobs"]
    assert "is not signed" in report["notes"][0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify", "nothing"], 65, "nothing cannot be read: No such file"),
        (["verify", "."], 65, "is a folder: name the file"),
        (["verify", "--store", "."], 65, "has no stream jobledger-command-line-log"),
        (["verify", "x", "--store", "."], 2, "exclude each other"),
        (["verify", "--public-key", "x"], 2, "the log of a server is not signed"),
        (["verify", "--checkpoint", "nothing"], 65, "nothing cannot be read"),
        (["export", "-o", "."], 2, "is a folder"),
        (["export", "-o", "x", "--from", "soon"], 2, "soon"),
        (["export", "-o", "x", "--from", "0"], 2, "start=0 is no position of the log"),
        (["export", "-o", "x", "--job", "nobody"], 2, "'nobody' is not the id of a job"),
        (
            ["export", "-o", "x", "--job", "018dd029-58ca-74e5-8b58-b4f99d610f9a"],
            4,
            "has no commit at positions",
        ),
        (["export"], 2, "-o requires an argument"),
        (["keygen", "no/such/folder/key"], 2, "cannot be written"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cli: CommandLine, job: Job, words: list[str], code: int, said: str
) -> None:
    found = cli("audit", *words)
    assert (found.code, found.out) == (code, "")
    assert said in found.err
    assert not Path("x").exists()

"""`jobledger cluster`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobledger import Job
from support.command_line import CommandLine


def test_a_cluster_is_made_shown_changed_and_deleted(cli: CommandLine) -> None:
    assert cli.ok("cluster", "create", "GPU pool", "--slug", "pool").out == "pool\n"
    assert cli.ok("cluster", "show", "pool", "-o", "json").json["name"] == "GPU pool"
    changed = cli.ok("cluster", "update", "pool", "--description", "two cards each", "-o", "jsonl").jsonl
    assert changed[0]["description"] == "two cards each"
    assert "two cards each" in cli.ok("cluster", "show", "pool").out
    listed = {row["slug"]: row for row in cli.ok("cluster", "list", "-o", "json").json}
    assert listed["default"]["deletable"] is False
    assert listed["pool"]["name"] == "GPU pool"
    assert any(line.split()[0] == "pool" for line in cli.ok("cluster", "list").lines)
    deleted = cli.ok("cluster", "delete", "pool")
    assert (deleted.out, "pool" in deleted.err) == ("", True)
    assert cli("cluster", "show", "pool").code == 4
    texts = [entry["text"] for entry in cli.ok("cluster", "history", "pool", "-o", "json").json]
    assert [text.split()[0] for text in texts] == ["created", "described", "deleted"]
    assert len(cli.ok("cluster", "history", "pool").lines) == 3


def test_clusters_are_shown_as_they_were_at_a_moment(cli: CommandLine, run: Callable[..., Job]) -> None:
    before = run("before the pool", "you").history[-1]
    cli.ok("cluster", "create", "GPU pool", "--slug", "past-pool")
    created = cli.ok("cluster", "history", "past-pool", "-o", "json").json[0]["at"]
    cli.ok("cluster", "update", "past-pool", "--name", "GPUs")
    cli.ok("cluster", "delete", "past-pool")
    assert cli.ok("cluster", "show", "past-pool", "--at", created, "-o", "json").json["name"] == "GPU pool"
    listed = cli.ok("cluster", "list", "--at", created, "-o", "json").json
    assert {row["slug"]: row["name"] for row in listed}["past-pool"] == "GPU pool"
    assert len(cli.ok("cluster", "history", "past-pool", "--at", created).lines) == 1
    listed = cli.ok("cluster", "list", "--at", before.position, "-o", "json").json
    assert "default" in {row["slug"] for row in listed}
    assert "past-pool" not in {row["slug"] for row in listed}
    missing = cli("cluster", "show", "past-pool", "--at", before.position)
    assert missing.code == 4
    assert f"there was no cluster 'past-pool' at position {before.position}" in missing.err
    assert cli("cluster", "list", "--at", 99_999_999).code == 2


def test_a_slug_may_be_made_from_the_name(cli: CommandLine) -> None:
    made = cli.ok("cluster", "create", "Night shift", "-o", "json").json
    assert made["slug"].startswith("night-shift")
    cli.ok("cluster", "delete", made["slug"])


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["show", "moon"], 4, "create it: jobledger cluster create moon --slug moon"),
        (["show", "far away"], 4, "create it: jobledger cluster create 'far away'"),
        (["delete", "moon"], 4, "'moon'"),
        (["delete", "default"], 2, "default"),
        (["update", "default"], 2, "--description"),
        (["create", "x", "--slug", "no blanks"], 2, "'no blanks'"),
        (["create"], 2, "NAME"),
        (["rename", "x"], 2, "rename"),
    ],
)
def test_what_cannot_be_done_says_why(cli: CommandLine, arguments: list[str], code: int, told: str) -> None:
    said = cli("cluster", *arguments)
    assert (said.code, said.out) == (code, "")
    assert told in said.err


def test_one_in_use_is_deleted_by_force_only(cli: CommandLine) -> None:
    cli.ok("cluster", "create", "busy", "--slug", "busy")
    job = cli.ok("job", "submit", "Greet", "--cluster", "busy", "--name", "busy").out.strip()
    said = cli("cluster", "delete", "busy")
    assert said.code == 2
    assert job in said.err
    assert "--force" in said.err
    cli.ok("cluster", "delete", "busy", "--force")
    cli.ok("job", "cancel", job)

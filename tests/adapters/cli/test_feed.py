"""`jobledger feed` beside an engine elsewhere: a process like others, and what can be asked of the feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jobledger import Job
from support.command_line import CommandLine
from support.feeds import FeedHarness

from .conftest import Served


@pytest.fixture
def publisher(served: Served) -> Iterator[None]:
    harness = FeedHarness(served.url, served.names).start()
    yield
    harness.stop()


def test_a_rebuilt_feed_is_told(
    cli: CommandLine, served: Served, publisher: None, run: Callable[..., Job]
) -> None:
    served.client.feed().limit(max_bytes=-1, max_age=0)
    run("for the feed", "ada")
    said = cli("feed", "rebuild", "--output", "json")
    assert said.code == 0
    found = said.json
    assert (found["stream"], found["behind"], found["first"]) == ("jobledger-command-line-feed", 0, 1)
    assert found["messages"] == found["last"] > 4
    assert found["publishers"][0].endswith(": publishes")
    assert "on" not in found or found["on"] is None


def test_limits_are_set_and_shown(cli: CommandLine, publisher: None) -> None:
    said = cli("feed", "limit", "--max-bytes", "64000000", "--max-age", "7d", "-o", "json")
    assert said.code == 0
    assert (said.json["max_bytes"], said.json["max_age"]) == (64_000_000, 604_800)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("on",), 69, "no embedded server publishes the feed of namespace 'command-line'"),
        (("off",), 69, "jobledger feed run --url"),
        (("rebuild",), 69, "nobody publishes the feed"),
        (("limit", "--max-bytes", "5"), 2, "max_bytes=5 cannot be used"),
        (("limit", "--max-age", "10ms"), 2, "max_age=0.01 keeps nothing"),
        (("run", "--max-bytes", "0"), 2, "max_bytes=0 cannot be used"),
    ],
)
def test_what_cannot_be_is_refused(
    cli: CommandLine, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found = cli("feed", *arguments)
    assert (found.code, said in found.err) == (code, True), found.err

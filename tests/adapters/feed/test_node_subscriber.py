"""The example subscriber in Node.js, run for real: everything once and in order, however often it is killed."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from jobledger.adapters.feed import stream
from jobledger.adapters.feed.stream import Limits
from jobledger.adapters.portal import shared_portal
from support.feeds import Feed, random_jobs
from support.node import EXAMPLES, Node
from support.waiting import eventually

from .conftest import Publish
from .test_publisher import fan_out


class Subscriber:
    """`feed_subscriber.mjs` with one file of events."""

    def __init__(self, node: Node, feed: Feed, folder: Path) -> None:
        self._node = node
        self._environment = {"NATS_URL": feed.url}
        self._options = ("--namespace", feed.names.namespace)
        self._script = node.place(folder, "feed_subscriber.mjs") / "feed_subscriber.mjs"
        self.out = folder / "events.jsonl"

    @contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run it, and kill it in the end."""
        arguments = (*self._options, "--out", str(self.out), *options)
        with self._node.start(self._script, *arguments, **self._environment) as process:
            try:
                yield process
            finally:
                process.kill()
                process.communicate()

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self._node.run(self._script, *self._options, *options, **self._environment)

    @property
    def lines(self) -> list[str]:
        return self.out.read_text(encoding="utf-8").splitlines() if self.out.exists() else []

    def has(self, count: int) -> bool:
        return len(self.lines) >= count

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def subscriber(node: Node, feed: Feed, tmp_path: Path) -> Subscriber:
    return Subscriber(node, feed, tmp_path / "service")


def test_killed_at_random_points_it_has_every_event_once_in_order(
    feed: Feed, publish: Publish, subscriber: Subscriber
) -> None:
    """The publisher is crashed, too. The long form is `python benchmarks/feed.py kills`."""
    random = Random(7)
    publisher = publish()
    written = []
    for number in range(5):
        jobs = [fan_out(f"fan-{number}", 400), *random_jobs(random, 3, name=f"job-{number}")]
        before = subscriber.lines
        wanted = random.randint(1, 350)
        with subscriber.running():
            written += [threading.Thread(target=feed.write, args=(jobs,))]
            written[-1].start()
            eventually(partial(subscriber.has, len(before) + wanted))
            publisher.crash()
        written[-1].join()
        publisher = publish()
    whole = [json.loads(message.payload) for message in feed.complete()]
    with subscriber.running():
        eventually(lambda: len(subscriber.lines) >= len(whole))
    assert subscriber.events == whole


def test_a_line_torn_by_a_crash_is_written_again(
    feed: Feed, publish: Publish, subscriber: Subscriber
) -> None:
    publish()
    feed.write([fan_out("fan", 20)])
    feed.complete()
    with subscriber.running():
        eventually(lambda: len(subscriber.lines) == len(feed.messages()))
    text = subscriber.out.read_text(encoding="utf-8")
    subscriber.out.write_text(text[:-30], encoding="utf-8")
    with subscriber.running():
        eventually(lambda: subscriber.out.read_text(encoding="utf-8") == text)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--task", "Fetch"), lambda event: event.get("taskname") == "Fetch"),
        (("--job", "fan"), lambda event: event["jobid"] == "fan"),
        (("--event", "job.*"), lambda event: event["type"].startswith("jobledger.job.")),
        (("--cluster", "default", "--event", "task.computed"), lambda event: ".computed." in event["type"]),
        (("--from", "300"), lambda event: int(event["sequence"]) >= 300),
    ],
)
def test_it_hears_what_it_asks_for(
    feed: Feed,
    publish: Publish,
    subscriber: Subscriber,
    options: tuple[str, ...],
    wanted: Callable[[dict[str, Any]], bool],
) -> None:
    publish()
    feed.write([*random_jobs(Random(8), 20), fan_out("fan", 30)])
    feed.complete()
    expected = [event for event in feed.events() if wanted(event)]
    assert expected
    with subscriber.running(*options):
        eventually(lambda: len(subscriber.lines) >= len(expected))
    assert subscriber.events == expected


def test_it_goes_on_after_the_feed_was_made_anew(
    feed: Feed, publish: Publish, subscriber: Subscriber
) -> None:
    publish()
    feed.write([fan_out("fan", 50)])
    count = len(feed.complete())
    with subscriber.running():
        eventually(lambda: len(subscriber.lines) == count)
    shared_portal().run(stream.begin_again(feed.client, feed.names))
    feed.write([fan_out("next", 50)])
    whole = [json.loads(message.payload) for message in feed.complete()]
    with subscriber.running():
        eventually(lambda: len(subscriber.lines) >= len(whole))
    assert subscriber.events == whole


def test_events_it_came_too_late_for_are_named(feed: Feed, publish: Publish, subscriber: Subscriber) -> None:
    publish()
    feed.write([fan_out("fan", 300)])
    feed.complete()
    shared_portal().run(stream.limit(feed.client, feed.names, Limits(50_000)))
    feed.write([fan_out("next", 300)])
    left = feed.complete()
    late = subscriber.run()
    assert late.returncode == 3
    assert (
        f"events 1 to {left[0].position - 1} of the feed were discarded before they were read" in late.stderr
    )
    with subscriber.running("--accept-gap"):
        eventually(lambda: len(subscriber.lines) == len(left))


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--namespace", "nowhere"), 1, "there is no feed in namespace nowhere"),
        (("--from", "yesterday"), 2, "--from yesterday cannot be used"),
    ],
)
def test_what_it_cannot_do_it_says(
    subscriber: Subscriber, options: tuple[str, ...], code: int, said: str
) -> None:
    done = subscriber.run(*options)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_packages_are_pinned_and_come_from_nowhere_in_particular() -> None:
    lock = json.loads((EXAMPLES / "package-lock.json").read_text(encoding="utf-8"))
    packages = {path: one for path, one in lock["packages"].items() if path}
    assert all("integrity" in one and "resolved" not in one for one in packages.values())
    for file in EXAMPLES.iterdir():
        if file.is_file():
            assert "registry." not in file.read_text(encoding="utf-8")

"""What publishers of the feed, supervisors of data folders, and those who ask them say to each other: JSON."""

from __future__ import annotations

import msgspec


class PublisherStatus(msgspec.Struct, frozen=True):
    """One publisher of the feed.

    >>> client.feed().status().publishers
    [PublisherStatus(publisher='...', publishes=True, sequence=..., problem='')]
    """

    publisher: str  #: host and process
    publishes: bool  #: not so while it stands by, or waits for the server
    sequence: int  #: of the last message it knows to be stored
    problem: str = ""  #: why it does not publish


class Switch(msgspec.Struct, frozen=True):
    """A supervisor is asked whether it runs a publisher, or to run one, or none."""

    on: bool | None = None


class Switched(msgspec.Struct, frozen=True):
    """It runs one, from now on and after every restart, or it does not."""

    on: bool

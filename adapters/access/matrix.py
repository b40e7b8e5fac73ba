"""The table of rights for people: a row for each thing that can be done, a column for each role."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..nats.names import Names
from .identity import Identity, Role
from .rights import STREAM_RIGHTS, Kept, Op, subjects

YES, NO = "yes", "-"


class Row(NamedTuple):
    """What can be done, and by whom."""

    what: str
    by: dict[Role, str]


def _example(role: Role) -> Identity:
    return Identity.of(role, "u", "c" if role is Role.RUNNER else None)


#: what is done by publishing on a subject
_SAYING: dict[str, Callable[[Names, Identity], str]] = {
    "submit, cancel, retry, fork, delete, wait": lambda names, who: names.command,
    "the same in JSON": lambda names, who: names.api_subject("submit"),
    "claim, report, give signs of life": lambda names, who: names.exchange("s", who.cluster, who.user),
    "ask across jobs": lambda names, who: names.query,
    "ask for figures": lambda names, who: names.metrics,
    "say that an engine serves": lambda names, who: names.hello,
    "answer anybody": lambda names, who: "_INBOX.anybody.1",
    "ask JetStream itself": lambda names, who: "$JS.API.INFO",
}

_WORDS = {
    Kept.LOG: "events (the log)",
    Kept.CLUSTERS: "clusters",
    Kept.OBJECTS: "large inputs and results",
    Kept.CACHE: "caches of jobs",
    Kept.REUSE: "earlier successes",
    Kept.KEYS: "keys of sealed jobs",
    Kept.TELEMETRY: "log lines and spans",
    Kept.FEED: "the feed",
    Kept.BOOKMARKS: "bookmarks of subscriptions",
}


def covers(pattern: str, subject: str) -> bool:
    """Whether a pattern of subjects, as NATS has them, stands for this subject.

    >>> covers("a.*.>", "a.b.c.d"), covers("a.*", "a.b.c")
    (True, False)
    """
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in ("*", given[place]):
            return False
    return len(wanted) == len(given)


def may_publish(names: Names, who: Identity, subject: str) -> bool:
    """Whether the server lets this user publish there."""
    return any(covers(pattern, subject) for pattern in subjects(names, who).publish)


def may_subscribe(names: Names, who: Identity, subject: str) -> bool:
    """Whether the server lets this user hear what is published there."""
    return any(covers(pattern, subject) for pattern in subjects(names, who).subscribe)


def matrix() -> list[Row]:
    """Return the whole table."""
    names = Names("n")
    rows = [
        Row(
            what,
            {
                role: YES if may_publish(names, _example(role), subject(names, _example(role))) else NO
                for role in Role
            },
        )
        for what, subject in _SAYING.items()
    ]
    return rows + [
        Row(words, {role: _on_stream(role, kept) for role in Role}) for kept, words in _WORDS.items()
    ]


def _on_stream(role: Role, kept: Kept) -> str:
    if role in (Role.ENGINE, Role.OPERATOR):
        return "all"
    ops = STREAM_RIGHTS[role].get(kept, frozenset())
    if not ops:
        return NO
    return " ".join(op.value for op in Op if op in ops)


_TABLE = re.compile(r"(<!-- (rights|subjects) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    r"""Return a page with the tables between its marks made anew.

    >>> with_tables("<!-- rights -->\n<!-- end -->").splitlines()[2][:13]
    '| --- | --- |'
    """
    tables = {"rights": _rights, "subjects": _subjects}
    return _TABLE.sub(lambda found: f"{found[1]}{tables[found[2]]()}\n{found[3]}", page)


def _rights() -> str:
    rows = ([row.what, *(row.by[role] for role in Role)] for row in matrix())
    return _markdown(["", *Role], rows)


def _subjects() -> str:
    rows = []
    for role in Role:
        if role.trusted:
            continue
        who = Identity.of(role, "USER", "CLUSTER" if role is Role.RUNNER else None)
        some = subjects(Names("NS"), who)
        rows.append([role.value, *("<br>".join(f"`{one}`" for one in side) for side in some)])
    return _markdown(["role", "publishes", "subscribes to"], rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

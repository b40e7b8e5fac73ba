"""Who listens on which subject, as a NATS server knows it."""

from __future__ import annotations

from typing import Any

_INBOX = "_INBOX"


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject is among those that a pattern stands for.

    >>> matches("a.*.c", "a.b.c"), matches("a.>", "a.b.c"), matches("a.*", "a.b.c"), matches("a.>", "a")
    (True, True, False, False)
    """
    if pattern == subject:
        return True
    wanted, tokens = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > place
        if place >= len(tokens) or token not in ("*", tokens[place]):
            return False
    return len(wanted) == len(tokens)


class Interest:
    """Patterns, and what belongs to each.

    Inboxes are looked up by where their last token begins, and come and go all the time. Everything else is matched once for
    each subject, until another pattern is added.
    """

    def __init__(self) -> None:
        self._inboxes: dict[str, list[Any]] = {}  # by the pattern
        self._others: dict[str, list[Any]] = {}
        self._prefixes: dict[str, str] = {}  # by pattern, what is before its first wildcard
        self._found: dict[str, list[Any]] = {}  # by subject, what all others come to

    def add(self, pattern: str, member: Any) -> None:
        self._place(pattern).setdefault(pattern, []).append(member)

    def remove(self, pattern: str, member: Any) -> None:
        place = self._place(pattern)
        members = place.get(pattern)
        if members is not None and member in members:
            members.remove(member)
            if not members:
                del place[pattern]

    def find(self, subject: str) -> list[Any]:
        """Return what belongs to all patterns that the subject fits."""
        if subject.startswith(_INBOX):
            found = self._inboxes.get(f"{subject.rpartition('.')[0]}.*")
            plain = self._inboxes.get(subject)
            return [*(found or ()), *(plain or ())]
        found = self._found.get(subject)
        if found is None:
            found = self._found[subject] = [
                member
                for pattern, members in self._others.items()
                if subject.startswith(self._prefixes[pattern]) and matches(pattern, subject)
                for member in members
            ]
        return found

    def _place(self, pattern: str) -> dict[str, list[Any]]:
        if pattern.startswith(_INBOX):
            return self._inboxes
        self._found.clear()
        if pattern not in self._prefixes:
            self._prefixes[pattern] = pattern.partition("*")[0].partition(">")[0]
        return self._others

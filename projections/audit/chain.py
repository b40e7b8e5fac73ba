"""What happened to a job's chain of hashes, where it does not hold.

Each commit has the hash of the one before. So from what is there it can be told what was done: a commit that its
successor does not know any more was edited; where both neighbours are strangers to it, it is this one; a version that
is missing was dropped, one that is there twice was inserted, and the one that the next commit vouches for is genuine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from jobledger.core.codec import NO_PREVIOUS

from .findings import Finding, FindingKind
from .order import displaced


class Link(NamedTuple):
    """What the chain needs to know of a commit."""

    position: int
    version: int  #: 0 where it cannot be read
    previous: bytes
    digest: bytes
    problem: str = ""  #: why it cannot be read


#: before a job's first commit
BEGINNING = Link(0, 0, b"", NO_PREVIOUS)


class Named(NamedTuple):
    """A finding, and a position behind which it is."""

    finding: Finding
    near: int


def explain(
    job_id: str, base: Link, links: list[Link], gone: Callable[[int, int], list[int]] = lambda start, stop: []
) -> Iterator[Named]:
    """Yield what was done to a history, given what is stored behind its last sound commit.

    Shape:  `base` is that commit, or BEGINNING; `links` are as they are stored. `gone` returns the positions strictly
            between two others at which the log has nothing.
    """
    return _Explanation(job_id, base, links, gone).findings()


class _Explanation:
    def __init__(
        self, job_id: str, base: Link, links: list[Link], gone: Callable[[int, int], list[int]]
    ) -> None:
        self._job_id = job_id
        self._links = links
        self._gone = gone
        self._edited: dict[int, str] = {}  # version -> what is wrong with it
        self._place: dict[int, int] = {base.version: -1}  # version -> index of its commit; -1 is `base`
        self._base = base
        self._extra: list[int] = []  # indices of what belongs nowhere
        self._successors = {link.previous for link in links if link.version}

    def _at(self, index: int) -> Link:
        return self._links[index] if index >= 0 else self._base

    def findings(self) -> Iterator[Named]:
        self._place_all()
        yield from self._holes()
        for index in self._extra:
            link = self._links[index]
            text = link.problem or "the commits around it do not know it"
            yield self._named(FindingKind.INSERTED, link.version, link.position, text)
        yield from self._out_of_order()
        self._compare_hashes()
        for version, text in self._edited.items():
            yield self._named(FindingKind.EDITED, version, self._at(self._place[version]).position, text)

    def _place_all(self) -> None:
        """Decide which commit is which version."""
        versions = {link.digest: link.version for link in (self._base, *self._links) if link.version}
        versions[NO_PREVIOUS] = 0
        claims: dict[int, list[int]] = {}
        for index, link in enumerate(self._links):
            if link.version:
                follows = versions.get(link.previous, link.version - 1)
                claims.setdefault(follows + 1, []).append(index)
        for version in sorted(claims):
            if version <= self._base.version:
                self._extra += claims[version]
                continue
            chosen = self._genuine(version, claims[version])
            self._place[version] = chosen
            self._extra += [index for index in claims[version] if index != chosen]
            if self._links[chosen].version != version:
                self._edited[version] = f"it says that it is version {self._links[chosen].version}"

    def _genuine(self, version: int, candidates: list[int]) -> int:
        before = self._place.get(version - 1)
        digest = self._at(before).digest if before is not None else None

        def rank(index: int) -> tuple[bool, bool, bool, int]:
            link = self._links[index]
            behind = before is None or index > before
            return link.digest not in self._successors, link.previous != digest, not behind, index

        return min(candidates, key=rank)

    def _holes(self) -> Iterator[Named]:
        """What cannot be read is the version that is missing where it stands; what is missing otherwise was dropped."""
        unreadable = [index for index, link in enumerate(self._links) if not link.version]
        placed = sorted(self._place)
        for low, high in pairwise(placed):
            missing = low + 1
            while missing < high and unreadable and self._place[low] < unreadable[0] < self._place[high]:
                index = unreadable.pop(0)
                self._place[missing] = index
                self._edited[missing] = self._links[index].problem
                missing += 1
            if missing < high:
                yield self._dropped(
                    missing, high, self._at(self._place[missing - 1]), self._links[self._place[high]]
                )
        top = placed[-1]
        for index in unreadable:
            if index > self._place[top]:
                top += 1
                self._place[top] = index
                self._edited[top] = self._links[index].problem
            else:
                self._extra.append(index)

    def _dropped(self, missing: int, high: int, low: Link, there: Link) -> Named:
        text = "it is missing" if high == missing + 1 else f"it is missing, and all up to version {high - 1}"
        gone = self._gone(low.position, there.position)
        position = gone[0] if len(gone) == high - missing else 0
        if not position:
            text += f": it was between positions {low.position} and {there.position}"
        named = self._named(FindingKind.DROPPED, missing, position, text)
        return named._replace(near=gone[0] if gone else there.position)

    def _out_of_order(self) -> Iterator[Named]:
        stored = sorted((index, version) for version, index in self._place.items())
        for place in displaced([version for _, version in stored]):
            index, version = stored[place]
            yield self._named(
                FindingKind.REORDERED,
                version,
                self._at(index).position,
                "it stands behind a later one, or before an earlier one",
            )

    def _compare_hashes(self) -> None:
        versions = sorted(self._place)
        broken = [
            version
            for version in versions
            if version - 1 in self._place
            and self._links[self._place[version]].previous != self._at(self._place[version - 1]).digest
        ]
        strange = set(broken)
        for version in broken:
            if version in self._edited or version - 1 in self._edited:
                continue
            if version + 1 in strange:
                self._edited[version] = "neither the commit before it nor the one behind it fits it"
            elif version > 1:
                last = "" if version + 1 in self._place else f", unless it is version {version}, the last one"
                self._edited[version - 1] = f"version {version} has another hash of it{last}"
            else:
                self._edited[version] = "it names a commit before it, and there is none"

    def _named(self, kind: FindingKind, version: int, position: int, text: str) -> Named:
        return Named(Finding(kind, text, self._job_id, version, position), position)

"""What was done to the commits of a bundle, told by its index.

The index says of each commit where it belongs and what its bytes are. As long as the commits stand as it says, each is
compared and handed on. Where one does not, the next that is genuine is looked for: what is passed over was edited,
inserted, or is a genuine one at another place; what never turns up was dropped, or cut off at the end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from jobledger.core.codec import digest
from jobledger.projections.audit import Finding, FindingKind, Findings
from jobledger.projections.audit.order import out_of_order

from .bundle import Bundle, Frame
from .layout import COMMITS, Entry, JobHead, frame_head
from .payloads import read_payload

_LOOK_AHEAD = 16  # entries whose commit is looked for when the one that is due is not there
_FAR = 64 * 1024 * 1024  # bytes in which it is
#: bytes in which it is looked for first: where every other commit is gone, the next one is near each time
_NEAR = 64 * 1024


class Due(NamedTuple):
    """A commit that should be there: its payload if it is, None if it is not."""

    entry: Entry
    job_id: str
    payload: bytes | None


class Alignment:
    """Walks through the commits of a bundle with a sound index."""

    def __init__(self, bundle: Bundle, heads: list[JobHead], findings: Findings) -> None:
        self._bundle = bundle
        self._heads = heads
        self._findings = findings
        self._loaded: list[Entry] = []  # entries, once they are needed out of order
        self._found: list[int] = []  # numbers of the entries found from the first anomaly on, as they stand
        self._first = -1  # number of the entry at the first anomaly
        self._seen: set[int] = set()
        self._edited: set[int] = set()
        self._barren = (
            -1,
            0,
        )  # an entry, and the offset before which no commit is that was looked for when that was due

    def walk(self) -> Iterator[Due]:
        """Yield every commit of the index, in its order."""
        bundle, heads = self._bundle, self._heads
        offset = bundle.region.start
        for number, entry in enumerate(bundle.entries()):
            if entry.job >= len(heads):  # an index that was made up
                yield Due(entry, "", None)
                self._edit(number, entry, "the index names a job that there is not")
                continue
            job_id = heads[entry.job].job_id
            head = frame_head(entry.position, job_id, entry.size)
            data = bundle.region.get(offset, len(head) + entry.size)
            payload = data[len(head) :]
            if not data.startswith(head) or digest(payload) != entry.digest:
                yield from self._walk_on(offset, number)
                return
            yield Due(entry, job_id, payload)
            offset += len(data)
        self._look_behind(offset)

    # -- from the first anomaly on --------------------------------------------------------------------------------

    def _walk_on(self, offset: int, number: int) -> Iterator[Due]:
        self._first = number
        self._loaded = list(self._bundle.entries(number))
        due, count = number, number + len(self._loaded)
        while due < count or not self._is_end(offset):
            frame = self._bundle.frame(offset)
            there = self._genuine(frame) if frame is not None else -1
            if frame is not None and there >= 0:
                self._seen.add(there)
                self._found.append(there)
                if there >= due:
                    yield from (self._missing(one) for one in range(due, there))
                    yield Due(*self._named(there), frame.payload)
                    due = there + 1
                offset += frame.size
                continue
            skipped = None if self._is_end(offset) else self._recover(offset, due, count, frame)
            if skipped is None:
                break
            offset, found = skipped
            yield from (self._missing(one) for one in range(due, found))
            due = found
        yield from (self._missing(one) for one in range(due, count))
        self._tell(count)

    def _recover(self, offset: int, due: int, count: int, frame: Frame | None) -> tuple[int, int] | None:
        """Find where to go on behind what is not genuine; return the offset, and which entry is due there."""
        region = self._bundle.region
        if due < count:
            entry, _ = self._named(due)
            head = self._head(due)
            there = region.get(offset, len(head))
            if offset + len(head) + entry.size > region.stop and head.startswith(there):
                return None  # the file ends within it
            if there == head:
                self._edit(due, entry, "its bytes are not those that were written")
                end = offset + len(head) + entry.size
                if due + 1 >= count or self._begins(end, due + 1) or self._is_end(end):
                    return end, due + 1
                return self._search(offset + 1, due + 1, count) or (end, due + 1)
            found = self._search(offset, due, count)
            if found is not None and found[1] > due:
                self._edit(due, entry, "its bytes are not those that were written")
                return found
            if found is not None:
                self._insert(offset, frame)
                return found
            if frame is None or frame.position == entry.position:
                self._edit(
                    due,
                    entry,
                    "its bytes are not those that were written, and nothing behind it can be found",
                )
                return None
        self._insert(offset, frame)
        return (offset + frame.size, due) if frame is not None else None

    def _search(self, offset: int, due: int, count: int) -> tuple[int, int] | None:
        """Return where the next of the commits that are due begins, and which it is."""
        if self._barren[0] == due:  # what stands there is many times looked at, and searched through once
            offset = max(offset, self._barren[1])
        until = offset + _FAR
        best = self._nearest(offset, range(due, min(due + _LOOK_AHEAD, count)))
        step = _LOOK_AHEAD
        while (
            best is None and due + step < count
        ):  # much is gone: farther and farther ones, and from there back
            best = self._nearest(offset, range(due + step, due + step + 1))
            step *= 2
        if best is None:
            self._barren = due, until
        while best is not None and best[1] > due:
            place = best[0] - len(self._head(best[1] - 1)) - self._named(best[1] - 1)[0].size
            if place < offset or not self._begins(place, best[1] - 1):
                break
            best = place, best[1] - 1
        return best

    def _nearest(self, offset: int, numbers: range) -> tuple[int, int] | None:
        best: tuple[int, int] | None = None
        reach = _NEAR
        while best is None and reach <= _FAR:
            limit = offset + reach
            for number in numbers:
                place = self._bundle.region.find(self._head(number), offset, limit)
                if place >= 0:
                    best, limit = (place, number), place
            reach *= 32
        return best

    def _head(self, number: int) -> bytes:
        entry, job_id = self._named(number)
        return frame_head(entry.position, job_id, entry.size)

    def _begins(self, offset: int, number: int) -> bool:
        head = self._head(number)
        return self._bundle.region.get(offset, len(head)) == head

    def _genuine(self, frame: Frame) -> int:
        """Return which entry this is, or a copy of; -1 for none."""
        number = bisect_left(self._loaded, frame.position, key=lambda entry: entry.position) + self._first
        if number < self._first + len(self._loaded):
            entry, job_id = self._named(number)
            if (entry.position, job_id, entry.size) == (frame.position, frame.job_id, len(frame.payload)):
                return number if entry.digest == digest(frame.payload) else -1
        return -1

    def _named(self, number: int) -> tuple[Entry, str]:
        entry = self._loaded[number - self._first]
        return entry, self._heads[entry.job].job_id if entry.job < len(self._heads) else ""

    def _missing(self, number: int) -> Due:
        return Due(*self._named(number), None)

    def _is_end(self, offset: int) -> bool:
        """Whether nothing but zeros is left, as there is behind the last member."""
        rest = self._bundle.region.get(offset, 4096)
        return len(rest) < 4096 and not rest.strip(b"\0")

    # -- what it was ----------------------------------------------------------------------------------------------

    def _tell(self, count: int) -> None:
        """Say what is missing, and what stands out of order."""
        copied, moved = out_of_order(self._found)
        for number in copied:
            self._add(FindingKind.INSERTED, *self._named(number), "a copy of it stands elsewhere, too")
        for number in moved:
            text = "it stands behind a later one, or before an earlier one"
            self._add(FindingKind.REORDERED, *self._named(number), text)
        there = self._seen | self._edited
        last = max(there, default=self._first - 1)
        for number in range(self._first, count):
            if number not in there:
                entry, job_id = self._named(number)
                if number > last:
                    left = count - number - 1
                    text = f"the bundle ends before it{f', and {left} more are missing' if left else ''}"
                    self._add(FindingKind.TRUNCATED, entry, job_id, text)
                    return
                self._add(FindingKind.DROPPED, entry, job_id, "it is missing")

    def _edit(self, number: int, entry: Entry, text: str) -> None:
        self._edited.add(number)
        job_id = self._heads[entry.job].job_id if entry.job < len(self._heads) else ""
        self._add(FindingKind.EDITED, entry, job_id, text)

    def _insert(self, offset: int, frame: Frame | None) -> None:
        place = f"{COMMITS} at byte {offset - self._bundle.region.start:,}"
        if frame is None:
            found = Finding(FindingKind.INSERTED, "there is something that is no commit", part=place)
        else:
            job_id, position = frame.job_id, frame.position
            version = read_payload(position, job_id, frame.payload).version
            text = "it was not written there"
            found = Finding(FindingKind.INSERTED, text, job_id, version, position, place)
        self._findings.add(found, before=self._near())

    def _near(self) -> int:
        """The position of the commit that is due where something else stands."""
        number = max(self._found, default=self._first - 1) + 1 - self._first
        return self._loaded[number].position if 0 <= number < len(self._loaded) else 0

    def _look_behind(self, offset: int) -> None:
        """All commits are there; say what stands behind the last."""
        frame = self._bundle.frame(offset) if not self._is_end(offset) else None
        if frame is not None:
            self._insert(offset, frame)

    def _add(self, kind: FindingKind, entry: Entry, job_id: str, text: str) -> None:
        self._findings.add(Finding(kind, text, job_id, entry.version, entry.position))

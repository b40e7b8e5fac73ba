"""One audit of a log, or a part of it: commits come in as they are stored, findings go out.

Chains are checked in one pass, whatever the number of jobs; of each job only its head is kept. What folding leaves for
another pass is told by `another_pass`.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from jobledger.core.codec import NO_PREVIOUS, Commit
from jobledger.core.events import UnknownEvent

from .chain import BEGINNING, Link, explain
from .findings import AuditReport, Finding, FindingKind, Findings
from .folding import ROOM, Folding
from .marks import MarksCheck

_NOTHING = "the log has nothing there"
_MOST_LINKS = 100_000  # commits of one broken job that are looked at


class Read(NamedTuple):
    """A commit as it was read from the log."""

    position: int
    job_id: str
    digest: bytes  #: SHA-256 of the stored payload
    version: int  #: in its job; 0 where it cannot be read
    commit: Commit | None  #: None where it cannot be read
    problem: str = ""  #: why it cannot


class Head(NamedTuple):
    """The last commit of a job."""

    position: int
    version: int
    digest: bytes
    first: int  #: version of the first commit of the job that was looked at


class LogAudit:
    """One audit.

    Shape:  `start` is the position from which on there should be commits; before it the log is not known. `whole`: all
            jobs are there, so that every position has a commit. `places_told`: what stands at another place is told by
            whoever reads, who knows better. `room` is that of `Folding`.
    """

    def __init__(
        self,
        findings: Findings,
        *,
        start: int = 1,
        whole: bool = True,
        places_told: bool = False,
        room: int = ROOM,
    ) -> None:
        self.findings = findings
        self.heads: dict[str, Head] = {}
        self.marks: MarksCheck | None = None
        self.commits = self.events = self.first = self.last = 0
        self.unknown: dict[int, int] = {}
        self._from_start = start <= 1
        self._whole = whole
        self._places_told = places_told
        self._next = start
        self._cut_off = 0  # the first position behind the last commit that should be there
        self._gone: list[tuple[int, int]] = []  # ranges of positions with nothing
        self._broken: dict[str, list[Link]] = {}
        self._folding = Folding(findings, room=room)
        self._partial = 0

    # -- the first pass -------------------------------------------------------------------------------------------

    def add(self, read: Read) -> None:
        """Take the next commit of the log."""
        position, job_id, digest, version, commit, _ = read
        self.commits += 1
        self._follow(position)
        if self.marks is not None:
            self.marks.add(position, job_id, version, digest)
        head = self.heads.get(job_id)
        if job_id in self._broken:
            self._note(job_id, read)
            return
        if head is not None:
            sound = version == head.version + 1 and commit is not None and commit.previous == head.digest
            first = head.first
        else:
            middle = version > 1 and not self._from_start
            sound = commit is not None and (middle or (version == 1 and commit.previous == NO_PREVIOUS))
            first = version
        if not sound or commit is None:
            self._broken[job_id] = [_link(head) if head is not None else BEGINNING]
            self._note(job_id, read)
            self._folding.give_up(job_id)
            return
        if head is None and version > 1:
            self._partial += 1
            self._folding.give_up(job_id)
        self.heads[job_id] = Head(position, version, digest, first)
        self.events += len(commit.events)
        self._look_at_events(job_id, commit)
        self._folding.add(position, job_id, version, commit)

    def skip(self, position: int, job_id: str, version: int, digest: bytes) -> None:
        """There was a commit, of which only this is known: whoever says so has told what happened to it."""
        self._follow(position)
        if self.marks is not None:
            self.marks.add(position, job_id, version, digest)
        if job_id in self._broken:
            return
        head = self.heads.get(job_id)
        self.heads[job_id] = Head(position, version, digest, head.first if head is not None else version)
        self._folding.give_up(job_id)

    def end(self, last: int) -> None:
        """The log should end at position `last`."""
        if self._whole and self._next <= last:
            self._cut_off = self._next
            self._gone.append((self._next, last + 1))
            self._next = last + 1

    def _follow(self, position: int) -> None:
        self.first = self.first or position
        self.last = max(self.last, position)
        if self._whole:
            if position > self._next:
                self._gone.append((self._next, position))
            elif position < self._next and self._gone:
                self._came_late(position)
            self._next = max(self._next, position + 1)

    def _came_late(self, position: int) -> None:
        index = bisect_right(self._gone, (position, 2**64)) - 1
        if index >= 0:
            start, stop = self._gone[index]
            if start <= position < stop:
                left = [(start, position), (position + 1, stop)]
                self._gone[index : index + 1] = [(low, high) for low, high in left if low < high]

    def _note(self, job_id: str, read: Read) -> None:
        links = self._broken[job_id]
        if len(links) < _MOST_LINKS:
            commit = read.commit
            previous = commit.previous if commit is not None else b""
            version = read.version if commit is not None else 0
            links.append(Link(read.position, version, previous, read.digest, read.problem))

    def _look_at_events(self, job_id: str, commit: Commit) -> None:
        for event in commit.events:
            if event.__class__ is UnknownEvent:
                tag = event.tag if isinstance(event.tag, int) else -1
                self.unknown[tag] = self.unknown.get(tag, 0) + 1
                self._folding.unclear(job_id)

    # -- further passes, and the end ------------------------------------------------------------------------------

    def another_pass(self) -> set[str]:
        """Return the jobs whose commits are to be given to `fold` now, from their first on; empty at the end."""
        return self._folding.another_pass()

    def fold(self, read: Read) -> None:
        """Take a commit once more."""
        if read.commit is not None:
            self._folding.add(read.position, read.job_id, read.version, read.commit)

    def explain(self) -> None:
        """Say what happened to the jobs whose chains do not hold, and to what is missing. Once, after the first pass."""
        claimed: set[int] = set()
        for job_id, (base, *links) in self._broken.items():
            for finding, near in explain(job_id, base, links, self._nothing_between):
                if finding.kind is not FindingKind.REORDERED or not self._places_told:
                    self.findings.add(finding, before=near)
                if finding.kind is FindingKind.DROPPED and finding.position:
                    claimed.add(finding.position)
        for start, stop in self._gone:
            if stop - start == 1 and start in claimed:
                continue
            left = [position for position in range(start, min(stop, start + 1000)) if position not in claimed]
            if left:
                until = f", nor at any up to position {stop - 1}" if stop - left[0] > 1 else ""
                kind = FindingKind.TRUNCATED if start == self._cut_off else FindingKind.DROPPED
                self.findings.add(Finding(kind, f"{_NOTHING}{until}", position=left[0]))

    def _nothing_between(self, start: int, stop: int) -> list[int]:
        """Return the first positions between two others at which the log has nothing."""
        found: list[int] = []
        index = max(0, bisect_right(self._gone, (start,)) - 1)
        for low, high in self._gone[index:]:
            if low >= stop or len(found) > 1000:
                break
            found += range(max(low, start + 1), min(high, stop, low + 1001))
        return found

    def report(
        self, *, key: str = "", trusted: bool = False, vouched: int = 0, notes: list[str] | None = None
    ) -> AuditReport:
        """Return what it all came to."""
        return AuditReport(
            findings=self.findings.first(),
            count=self.findings.count,
            commits=self.commits,
            events=self.events,
            jobs=len(self.heads.keys() | self._broken.keys()),
            start=self.first,
            last=self.last,
            partial_jobs=self._partial,
            unknown_events=self.unknown,
            key=key,
            trusted=trusted,
            vouched=vouched,
            notes=notes or [],
        )


def _link(head: Head) -> Link:
    return Link(head.position, head.version, b"", head.digest)

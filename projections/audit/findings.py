"""What an audit found: which commit is not as it was written, and in what way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

#: findings that are kept: the first ones; the others are counted
LIMIT = 100


class FindingKind(Enum):
    """What is wrong with a commit, or with what holds it.

    >>> [kind.name for kind in FindingKind]
    ['EDITED', 'DROPPED', 'INSERTED', 'REORDERED', 'TRUNCATED', 'FORBIDDEN', 'REWRITTEN', 'SIGNATURE', 'SETTINGS']
    """

    EDITED = 1  #: other bytes than were written
    DROPPED = 2  #: it is missing, with others behind it
    INSERTED = 3  #: it was not written there
    REORDERED = 4  #: it stands at another place than it was written
    TRUNCATED = 5  #: it is missing, and everything behind it
    FORBIDDEN = 6  #: no engine writes this: the lifecycle forbids it
    REWRITTEN = 7  #: consistent in itself, but not the history a checkpoint vouches for
    SIGNATURE = 8  #: the signature is missing, does not fit, or is by another key
    SETTINGS = 9  #: the stream is set in a way in which it could lose or change commits


class Finding(NamedTuple):
    """One thing that is wrong. Fields that do not apply are empty.

    >>> finding = Finding(FindingKind.DROPPED, "it is missing", job_id="018dd029", version=3, position=7)
    >>> print(finding)
    DROPPED: version 3 of job 018dd029, position 7: it is missing
    >>> finding.kind.name, finding.text, finding.part
    ('DROPPED', 'it is missing', '')
    """

    kind: FindingKind
    text: str
    job_id: str = ""
    version: int = 0  #: of the commit in its job
    position: int = 0  #: of the commit in the log
    part: str = ""  #: of the bundle or the store, where it is no commit

    def __str__(self) -> str:
        places = []
        if self.job_id:
            places.append(
                f"version {self.version} of job {self.job_id}" if self.version else f"job {self.job_id}"
            )
        if self.position:
            places.append(f"position {self.position}")
        if self.part:
            places.append(self.part)
        return ": ".join(filter(None, (self.kind.name, ", ".join(places), self.text)))


class Findings:
    """Collects findings: the first `LIMIT` by position, and how many there are. One commit is named once."""

    def __init__(self) -> None:
        self.count = 0
        self._found: dict[tuple[object, ...], tuple[tuple[int, bool], Finding]] = {}

    def add(self, finding: Finding, *, before: int = 0) -> None:
        """Shape: `before` is a position where to sort in what has none of its own."""
        if finding.position:
            key: tuple[object, ...] = (finding.position,)
        else:
            key = (finding.job_id, finding.version, finding.part, finding.text)
        known = self._found.get(key)
        if known is not None:
            # The first who says so tells best what happened; the second may know better which commit it is.
            if not known[1].version and finding.version:
                named = known[1]._replace(job_id=finding.job_id, version=finding.version)
                self._found[key] = (known[0], named)
            return
        self.count += 1
        place = (finding.position or before or 2**63, not finding.position)
        self._found[key] = (place, finding)
        if len(self._found) > 8 * LIMIT:
            self._found = dict(sorted(self._found.items(), key=lambda item: item[1][0])[:LIMIT])

    def first(self) -> list[Finding]:
        """Return the first ones, in order of position; what has none comes last."""
        return [finding for _, finding in sorted(self._found.values(), key=lambda found: found[0])][:LIMIT]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit came to: `ok`, or what is wrong.

    >>> report = client.audit().verify()
    >>> report.ok, report.first, report.findings, report.count
    (True, None, [], 0)
    >>> report.jobs > 0 and report.commits > 0 and report.events > 0 and report.last >= report.start
    True
    >>> report.partial_jobs, report.unknown_events, report.key, report.trusted, report.vouched, report.notes
    (0, {}, '', False, 0, [])
    """

    findings: list[Finding]  #: the first ones; those that name a position come first, in its order
    count: int  #: how many there are
    commits: int
    events: int
    jobs: int
    start: int  #: position of the first commit that was looked at; 0 if there is none
    last: int  #: position of the last one
    partial_jobs: (
        int  #: jobs that began before the first commit: their chains are checked, their states are not
    )
    unknown_events: Mapping[
        int, int
    ]  #: how many events there are of each tag that only a later version knows
    key: str  #: fingerprint of the key a bundle is signed with; "" where it is not
    trusted: bool  #: whether the signature was checked with a key that was given
    vouched: int  #: how many jobs stand as the checkpoint says
    notes: list[str]  #: what else is worth knowing

    @property
    def ok(self) -> bool:
        """Whether nothing was found.

        >>> client.audit().verify().ok
        True
        """
        return not self.count

    @property
    def first(self) -> Finding | None:
        """The first commit that is not as it was written, if there is one.

        >>> client.audit().verify().first
        """
        return self.findings[0] if self.findings else None

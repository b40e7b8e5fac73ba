"""Verifying a bundle, offline."""

from __future__ import annotations

import os
from contextlib import ExitStack

import msgspec

from jobledger.core.codec import digest
from jobledger.projections.audit import AuditReport, Finding, FindingKind, Findings, LogAudit

from ..nats.names import Names
from .alignment import Alignment
from .archive import MANIFEST, SUMS, manifest_text
from .bundle import Bundle, read_bundle
from .checkpoints import CheckpointFile
from .keys import PublicKey
from .layout import COMMITS, HEADS, INDEX, JobHead
from .payloads import read_payload
from .signatures import check_signature
from .unusable import UnusableInput
from .vouching import Vouching


def verify_bundle(
    path: str | os.PathLike[str], known: PublicKey | None, checkpoint: str | os.PathLike[str] | None
) -> AuditReport:
    """Return what is wrong with a bundle. Errors: UnusableInput."""
    with ExitStack() as held:
        bundle = held.enter_context(Bundle(path))
        vouching = None
        if checkpoint is not None:
            vouching = Vouching(held.enter_context(CheckpointFile(checkpoint)), bundle.about.namespace, known)
        return _Verification(bundle, known, vouching).report()


class _Verification:
    def __init__(self, bundle: Bundle, known: PublicKey | None, vouching: Vouching | None) -> None:
        self._bundle = bundle
        self._known = known
        self._vouching = vouching
        self._findings = Findings()
        about = bundle.about
        self._whole = about.selected is None
        self._audit = LogAudit(self._findings, start=about.start, whole=self._whole)
        if vouching is not None:
            self._audit.marks = vouching.marks(about.start, about.last, whole=self._whole)

    def report(self) -> AuditReport:
        about, audit, findings = self._bundle.about, self._audit, self._findings
        signer = check_signature(self._bundle, about.key, self._known, findings)
        heads = self._bundle.heads()
        sound = self._bundle.index_is_sound()
        if heads is not None and sound:
            for entry, job_id, payload in Alignment(self._bundle, heads, findings).walk():
                if payload is None:
                    audit.skip(entry.position, job_id, entry.version, entry.digest)
                else:
                    read = read_payload(entry.position, job_id, payload, entry.digest)
                    audit.add(read)
                    if read.version != entry.version:
                        text = f"the index calls it version {entry.version}"
                        findings.add(
                            Finding(FindingKind.EDITED, text, job_id, read.version, read.position, INDEX)
                        )
        else:
            self._walk_alone()
        audit.end(about.last)
        audit.explain()
        while jobs := audit.another_pass():
            for read in read_bundle(self._bundle.path):
                if read.job_id in jobs:
                    audit.fold(read)
        vouched = 0
        notes: list[str] = []
        if self._vouching is not None:
            vouched, notes = self._vouching.finish(audit, about.last, findings)
        self._check_parts(heads, sound)
        return audit.report(key=signer.fingerprint, trusted=signer.trusted, vouched=vouched, notes=notes)

    def _walk_alone(self) -> None:
        """Without a sound index, the commits are taken as they stand."""
        region, stop = self._bundle.region, self._bundle.region.start + self._bundle.members[COMMITS].size
        offset = region.start
        while offset < stop:
            frame = self._bundle.frame(offset)
            if frame is None or offset + frame.size > stop:
                text = f"there is no whole commit at byte {offset - region.start:,}, and the index is damaged, too"
                self._findings.add(
                    Finding(FindingKind.TRUNCATED, text, part=COMMITS), before=self._audit.last + 1
                )
                return
            self._audit.add(read_payload(frame.position, frame.job_id, frame.payload))
            offset += frame.size

    def _check_parts(self, heads: list[JobHead] | None, index_is_sound: bool) -> None:
        bundle, findings = self._bundle, self._findings

        def wrong(part: str, text: str, kind: FindingKind = FindingKind.EDITED) -> None:
            findings.add(Finding(kind, text, part=part))

        for part, text, truncated in bundle.problems:
            inserted = FindingKind.INSERTED if part == "end" else FindingKind.EDITED
            wrong(part, text, FindingKind.TRUNCATED if truncated else inserted)
        if heads is None:
            wrong(HEADS, f"it is not what {SUMS} says")
        if not index_is_sound:
            wrong(INDEX, f"it is not what {SUMS} says")
        named = findings.count and findings.first()[0].position
        if not named and bundle.region.digest(bundle.members[COMMITS].size) != bundle.stated(COMMITS):
            wrong(COMMITS, f"they are not what {SUMS} says")
        if bundle.stated(MANIFEST) != digest(bundle.manifest):
            wrong(MANIFEST, f"it is not what {SUMS} says")
        if not findings.count:
            self._compare_words(heads or [])

    def _compare_words(self, heads: list[JobHead]) -> None:
        """What the bundle says of itself has to fit what is in it, whoever wrote it."""
        about, audit = self._bundle.about, self._audit
        if manifest_text(msgspec.json.decode(self._bundle.manifest)) != self._bundle.manifest:
            self._findings.add(Finding(FindingKind.EDITED, "no export writes it so", part=MANIFEST))
        said = (about.commits, about.jobs, about.events)
        if said != (audit.commits, len(audit.heads), audit.events):
            text = f"it speaks of {said[0]:,} commits of {said[1]:,} jobs with {said[2]:,} events; there are others"
            self._findings.add(Finding(FindingKind.EDITED, text, part=MANIFEST))
        for head in heads:
            real = audit.heads.get(head.job_id)
            if real is None or (real.first, real.version, real.position, real.digest) != head[1:]:
                text = "it does not fit the commits of the job"
                self._findings.add(Finding(FindingKind.EDITED, text, head.job_id, part=HEADS))
        for entry, job in ((audit.first, "first"), (audit.last, "last")):
            if entry and not about.start <= entry <= about.last:
                text = f"the {job} commit is not in the range that it names"
                self._findings.add(Finding(FindingKind.EDITED, text, part=MANIFEST))
        if about.selected is not None and set(about.selected) != set(audit.heads):
            self._findings.add(
                Finding(FindingKind.EDITED, "it names other jobs than there are", part=MANIFEST)
            )
        try:
            fits = Names(about.namespace).log_stream == about.stream
        except ValueError:
            fits = False
        if not fits:
            raise UnusableInput(
                f"{self._bundle.path}: namespace and stream of its manifest do not fit each other"
            )

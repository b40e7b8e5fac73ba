"""Holding a log, or a part of it, against a checkpoint."""

from __future__ import annotations

from jobledger.projections.audit import Finding, FindingKind, Findings, LogAudit
from jobledger.projections.audit.marks import MarksCheck

from .checkpoints import CheckpointFile
from .keys import PublicKey
from .signatures import check_signature
from .unusable import UnusableInput


class Vouching:
    """Errors: UnusableInput for a checkpoint of another namespace, or by another key than it has to be."""

    def __init__(self, checkpoint: CheckpointFile, namespace: str, known: PublicKey | None) -> None:
        self._checkpoint = checkpoint
        about = checkpoint.about
        if about.namespace != namespace:
            raise UnusableInput(
                f"{checkpoint.path} is a checkpoint of namespace {about.namespace!r:.80}, not of {namespace!r:.80}"
            )
        findings = Findings()
        self._signer = check_signature(checkpoint, about.key, known, findings)
        if findings.count:
            raise UnusableInput(f"{checkpoint.path} cannot vouch for anything: {findings.first()[0]}")

    @property
    def position(self) -> int:
        return self._checkpoint.about.position

    def marks(self, start: int, last: int, *, whole: bool) -> MarksCheck:
        """Return what compares the positions `start` to `last`. Errors: UnusableInput where nothing can be compared."""
        if start > self.position:
            raise UnusableInput(
                f"{self._checkpoint.path} vouches for positions up to {self.position}: there is nothing to compare, as "
                f"these commits begin at {start}"
            )
        if last < self.position and not whole:
            raise UnusableInput(
                f"{self._checkpoint.path} vouches for the heads of jobs at position {self.position}: a bundle of some jobs "
                f"has to reach as far, and this one ends at {last}"
            )
        return self._checkpoint.marks(start=start, whole=whole)

    def finish(
        self, audit: LogAudit, last: int, findings: Findings, *, log: bool = False
    ) -> tuple[int, list[str]]:
        """Say what differs; return how many jobs stand as they should, and what else is worth knowing.

        Shape:  `last` is where what was audited ends. `log`: it is the log itself, which must not end earlier.
        """
        assert audit.marks is not None
        notes = []
        if not self._signer.fingerprint:
            notes.append("the checkpoint is not signed: it vouches only as far as its file can be trusted")
        elif not self._signer.trusted:
            notes.append(
                f"the checkpoint is signed by {self._signer.fingerprint}: no public key was given to compare"
            )
        vouched = audit.marks.finish(findings, last)
        if last < self.position:
            if log:
                text = f"the log ends here, and the checkpoint vouches for positions up to {self.position}"
                findings.add(Finding(FindingKind.TRUNCATED, text, position=last + 1))
            else:
                notes.append(
                    f"the checkpoint vouches for positions up to {self.position}: only a part was compared"
                )
        return vouched, notes

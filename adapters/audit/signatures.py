"""Whether an archive is signed, and by whom."""

from __future__ import annotations

from typing import NamedTuple

from jobledger.projections.audit import Finding, FindingKind, Findings

from .archive import SIGNATURE, SUMS, Archive
from .keys import PublicKey


class Signer(NamedTuple):
    fingerprint: str = ""  #: "" where it is not signed
    trusted: bool = False  #: the signature was checked with a key that was given


def check_signature(archive: Archive, stated: str, known: PublicKey | None, findings: Findings) -> Signer:
    """Return who signed an archive. Shape: `stated` is the key in the manifest; `known` is the one it has to be."""
    what = archive.path.name

    def wrong(text: str) -> None:
        findings.add(Finding(FindingKind.SIGNATURE, text, part=f"{SIGNATURE} of {what}"))

    try:
        own = PublicKey(bytes.fromhex(stated)) if stated else None
    except ValueError:
        own = None
    if archive.signature is None:
        if stated or known is not None:
            wrong("it is not signed" if not stated else "its signature is missing")
        return Signer()
    if own is None:
        wrong("it is signed, but its manifest names no key")
        return Signer()
    sound = own.signed(archive.signature, archive.contents(SUMS))
    if known is not None and own != known:
        if known.signed(archive.signature, archive.contents(SUMS)):
            wrong(f"the manifest names another key, {own.fingerprint}, than the one that signed it")
        else:
            wrong(
                f"it is signed by another key, {own.fingerprint}; the one that was given is {known.fingerprint}"
            )
    elif not sound:
        wrong(f"the signature does not fit: it is not what {own.fingerprint} signed")
    return Signer(own.fingerprint, sound and own == known)

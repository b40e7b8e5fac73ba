"""Bundles and checkpoints of the log: what can be verified, read and made without a server.

`client.audit()` exports bundles, takes checkpoints, and verifies the log of a server that runs.

>>> from jobledger.audit import FindingKind, generate_key, read, verify, verify_store
>>> exported = client.audit().export("jobs.bundle")
>>> verify("jobs.bundle").ok, sum(1 for _ in read("jobs.bundle")) == exported.commits
(True, True)
>>> damaged = Path("jobs.bundle").write_bytes(Path("jobs.bundle").read_bytes()[:-2000])
>>> verify("jobs.bundle").first.kind is FindingKind.TRUNCATED
True
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.audit.bundle import BundledCommit, read
    from .adapters.audit.checkpoints import Checkpoint
    from .adapters.audit.exporting import Exported
    from .adapters.audit.keys import generate_key
    from .adapters.audit.offline import verify, verify_store
    from .adapters.audit.unusable import UnusableInput
    from .adapters.client.auditing import AsyncAuditClient, AuditClient
    from .projections.audit.findings import AuditReport, Finding, FindingKind

_HOMES = {
    "AsyncAuditClient": "jobledger.adapters.client.auditing",
    "AuditClient": "jobledger.adapters.client.auditing",
    "AuditReport": "jobledger.projections.audit.findings",
    "BundledCommit": "jobledger.adapters.audit.bundle",
    "Checkpoint": "jobledger.adapters.audit.checkpoints",
    "Exported": "jobledger.adapters.audit.exporting",
    "Finding": "jobledger.projections.audit.findings",
    "FindingKind": "jobledger.projections.audit.findings",
    "UnusableInput": "jobledger.adapters.audit.unusable",
    "generate_key": "jobledger.adapters.audit.keys",
    "read": "jobledger.adapters.audit.bundle",
    "verify": "jobledger.adapters.audit.offline",
    "verify_store": "jobledger.adapters.audit.offline",
}
__getattr__ = lazy_names(globals(), _HOMES)
__all__ = [
    "AsyncAuditClient",
    "AuditClient",
    "AuditReport",
    "BundledCommit",
    "Checkpoint",
    "Exported",
    "Finding",
    "FindingKind",
    "UnusableInput",
    "generate_key",
    "read",
    "verify",
    "verify_store",
]


def __dir__() -> list[str]:
    return __all__

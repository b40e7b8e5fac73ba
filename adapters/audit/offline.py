"""Verifying without a server: what `jobledger.audit` offers as functions."""

from __future__ import annotations

import os

from jobledger.projections.audit import AuditReport

from ..nats.names import DEFAULT_NAMESPACE
from .bundles import verify_bundle
from .keys import load_public
from .stores import verify_files


def verify(
    bundle: str | os.PathLike[str],
    *,
    public_key: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> AuditReport:
    """Verify a bundle, and return what is wrong with it: what was done to which commit, the first one first.

    Shape:  `public_key` is the file of the key that has to have signed the bundle, and the checkpoint where there is one.
            `checkpoint` is one that was taken of the log earlier.
    Errors: UnusableInput for what is no bundle, or cannot be read; for a key or a checkpoint that is of no use here.

    >>> from jobledger.audit import generate_key, verify
    >>> fingerprint = generate_key("audit.key")
    >>> exported = client.audit().export("greetings.bundle", jobs=job, key="audit.key")
    >>> report = verify("greetings.bundle", public_key="audit.key.pub")
    >>> report.ok, report.trusted, report.key == fingerprint, report.jobs
    (True, True, True, 1)
    """
    return verify_bundle(bundle, load_public(public_key) if public_key is not None else None, checkpoint)


def verify_store(
    folder: str | os.PathLike[str],
    *,
    namespace: str = DEFAULT_NAMESPACE,
    public_key: str | os.PathLike[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> AuditReport:
    """Verify the log in the files of a nats-server that is stopped, and return what is wrong with it.

    Shape:  `folder` is a data folder, the folder that JetStream stores in, or that of the stream. The other arguments are
            those of `verify`.
    Errors: UnusableInput where there is no such log, or its files are compressed or encrypted.

    >>> from jobledger.audit import UnusableInput, verify_store
    >>> try:
    ...     verify_store("holiday")
    ... except UnusableInput as error:
    ...     print(error)
    holiday is no folder: name the data folder, or the one that JetStream stores in
    """
    return verify_files(
        folder, namespace, load_public(public_key) if public_key is not None else None, checkpoint
    )

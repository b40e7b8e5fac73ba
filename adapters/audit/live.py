"""Verifying the log of a running server, and taking checkpoints of it."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.projections.audit import AuditReport, Finding, FindingKind, Findings, LogAudit
from jobledger.projections.audit.marks import Marks

from ..nats.acknowledged import acknowledged_messages
from ..nats.asking import STREAM_NOT_FOUND, JetStreamError, jetstream
from ..nats.names import Names
from ..nats.stored import StreamMissing
from ..nats.streams import stored_differences
from .checkpoints import Checkpoint, CheckpointFile, write_checkpoint
from .exporting import Range, in_range
from .keys import PrivateKey, PublicKey
from .payloads import read_payload
from .vouching import Vouching

if TYPE_CHECKING:
    from ..nats.wire import Wire
_BREATH = 64  # commits after which others on the event loop get their turn


async def verify_log(
    client: Wire, names: Names, known: PublicKey | None, checkpoint: str | os.PathLike[str] | None
) -> AuditReport:
    """Return what is wrong with the log as it is now. Errors: UnusableInput; StreamMissing; ServerAway."""
    findings = Findings()
    with ExitStack() as held:
        vouching = None
        if checkpoint is not None:
            vouching = Vouching(held.enter_context(CheckpointFile(checkpoint)), names.namespace, known)
        last, readable = await _look_at_stream(client, names, findings)
        audit = LogAudit(findings)
        if vouching is not None:
            audit.marks = vouching.marks(1, max(last, 1), whole=True)
        vouched, notes = 0, list[str]()
        if not readable:
            notes.append("no commit was looked at: the stream does not allow direct reads (allow_direct)")
            return audit.report(vouched=vouched, notes=notes)
        await _read(client, names, last, audit)
        if vouching is not None:
            vouched, notes = vouching.finish(audit, last, findings, log=True)
    return audit.report(vouched=vouched, notes=notes)


async def take_checkpoint(
    client: Wire, names: Names, to: str | os.PathLike[str], key: PrivateKey | None
) -> Checkpoint:
    """Write a checkpoint of the log as it is now, if it is sound.

    Errors: ArgumentError; JobLedgerError for a log with findings; StreamMissing; ServerAway.
    """
    findings = Findings()
    last, readable = await _look_at_stream(client, names, findings)
    if not last:
        raise ArgumentError(
            f"the log of namespace {names.namespace!r} is empty: there is nothing to vouch for"
        )
    audit, marks = LogAudit(findings), Marks(last)
    if readable:
        await _read(client, names, last, audit, marks)
    if findings.count:
        raise JobLedgerError(
            f"no checkpoint was taken, as the log is not sound: {findings.first()[0]}. `jobledger audit verify` shows all "
            "that is wrong with it"
        )
    return write_checkpoint(Path(to), names, audit, marks, key)


async def _look_at_stream(client: Wire, names: Names, findings: Findings) -> tuple[int, bool]:
    """Check the settings of the log. Return its last position, and whether it can be read."""
    try:
        info = await jetstream(client, f"STREAM.INFO.{names.log_stream}", {})
    except JetStreamError as error:
        if error.code == STREAM_NOT_FOUND:
            raise StreamMissing(f"there is no log of namespace {names.namespace!r} on this server") from error
        raise
    for text in stored_differences(names, info["config"]):
        findings.add(Finding(FindingKind.SETTINGS, text, part=names.log_stream))
    return info["state"]["last_seq"], bool(info["config"].get("allow_direct"))


async def _read(client: Wire, names: Names, last: int, audit: LogAudit, marks: Marks | None = None) -> None:
    skip = len(names.log_subject(""))
    async for message in in_range(client, names, Range(1, last), None):
        read = read_payload(message.position, message.subject[skip:], message.payload)
        audit.add(read)
        if marks is not None:
            marks.add(read.position, read.job_id, read.digest)
        if not audit.commits % _BREATH:
            await asyncio.sleep(0)
    audit.end(last)
    audit.explain()
    while jobs := audit.another_pass():
        for job_id in sorted(jobs):
            async for message in acknowledged_messages(client, names.log_stream, names.log_subject(job_id)):
                if message.position <= last:
                    audit.fold(read_payload(message.position, job_id, message.payload))

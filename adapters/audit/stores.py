"""Verifying the files of a server that is stopped."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from jobledger.core.codec import digest
from jobledger.core.errors import ArgumentError
from jobledger.projections.audit import AuditReport, Finding, FindingKind, Findings, LogAudit, Read
from jobledger.projections.audit.order import out_of_order

from ..embedded.folder import DataFolder
from ..embedded.locks import is_locked
from ..nats.names import Names
from ..nats.streams import stored_differences
from .checkpoints import CheckpointFile
from .keys import PublicKey
from .payloads import read_payload
from .store import Damage, Message, Store
from .unusable import UnusableInput
from .vouching import Vouching

_COPY = "a copy of it stands elsewhere, too"


def verify_files(
    folder: str | os.PathLike[str],
    namespace: str,
    known: PublicKey | None,
    checkpoint: str | os.PathLike[str] | None,
) -> AuditReport:
    """Return what is wrong with a stored log. Errors: UnusableInput."""
    try:
        names = Names(namespace)
    except ValueError as error:
        raise ArgumentError(str(error)) from error
    with ExitStack() as held:
        vouching = None
        if checkpoint is not None:
            vouching = Vouching(held.enter_context(CheckpointFile(checkpoint)), namespace, known)
        store = Store(Path(folder), names)
        if is_locked(DataFolder(Path(folder)).lock):
            raise UnusableInput(
                f"the server of {folder} is running: end it by `jobledger server stop`, or verify its log, without --store"
            )
        return _Verification(store, names, vouching).report()


class _Verification:
    def __init__(self, store: Store, names: Names, vouching: Vouching | None) -> None:
        self._store = store
        self._names = names
        self._vouching = vouching
        self._findings = Findings()
        self._audit = LogAudit(self._findings, places_told=True)
        self._prefix = names.log_subject("")
        self._order = array("Q")
        self._seen: set[int] = set()  # positions from the first on that came early
        self._early = 0
        self._misplaced: dict[int, tuple[str, int]] = {}  # which commits came early or late
        self._due = 1
        if vouching is not None:
            self._audit.marks = vouching.marks(1, vouching.position, whole=True)

    def report(self) -> AuditReport:
        audit, findings, notes, vouched = self._audit, self._findings, [], 0
        settings = self._store.settings(findings)
        for text in stored_differences(self._names, settings) if settings else ():
            findings.add(Finding(FindingKind.SETTINGS, text, part=self._names.log_stream))
        end = self._store.end(findings)
        damage: Damage | None = None
        for found in self._store:
            if isinstance(found, Damage):
                self._resolve(damage, found.message.position if found.message is not None else 0)
                damage = found
                continue
            self._resolve(damage, found.position)
            damage = None
            self._take(found)
        last = max(end.last if end is not None else 0, self._due - 1)
        self._resolve(damage, self._due if end is not None and last < self._due else 0)
        self._tell_order()
        audit.end(last)
        audit.explain()
        if end is None:
            notes.append(
                "the server left no note of where the log ended: whether its last commits are missing is not known"
            )
        elif end.last >= self._due - 1:
            self._name_what_is_missing(end.totals)
        while jobs := audit.another_pass():
            for read in self._reads():
                if read.job_id in jobs:
                    audit.fold(read)
        if self._vouching is not None:
            vouched, more = self._vouching.finish(audit, max(audit.last, 0), findings, log=True)
            notes += more
        return audit.report(vouched=vouched, notes=notes)

    def _reads(self) -> Iterator[Read]:
        for found in self._store:
            if isinstance(found, Message) and not found.deleted and found.subject.startswith(self._prefix):
                yield read_payload(found.position, found.subject[len(self._prefix) :], found.payload)

    def _take(self, message: Message) -> None:
        """Take a message whose checksum fits."""
        position = message.position
        if message.deleted:
            text = "it was deleted"
            self._findings.add(Finding(FindingKind.DROPPED, text, position=position))
            self._due = max(self._due, position + 1)
            return
        job_id = message.subject.removeprefix(self._prefix)
        if position > self._due:
            self._early = self._early or self._due
        if position < self._due and (not self._early or position < self._early):
            version = read_payload(position, job_id, message.payload).version
            self._findings.add(Finding(FindingKind.INSERTED, _COPY, job_id, version, position))
            return
        if position != self._due:
            version = read_payload(position, job_id, message.payload).version
            self._misplaced[position] = job_id, version
        self._order.append(position)
        if position in self._seen:
            return
        if self._early:
            self._seen.add(position)
        self._due = max(self._due, position + 1)
        if not message.subject.startswith(self._prefix):
            text = f"it is on subject {message.subject!r:.120}, which is none of the log"
            self._findings.add(Finding(FindingKind.INSERTED, text, position=position))
            return
        self._audit.add(read_payload(position, job_id, message.payload))

    def _resolve(self, damage: Damage | None, following: int) -> None:
        """Say what bytes are that are no sound message, now that it is known what follows: 0 where nothing does."""
        if damage is None:
            return
        position, message = self._due, damage.message
        if following == position and (message is None or message.position != position):
            text = "there is something that is no commit"
            self._findings.add(Finding(FindingKind.INSERTED, text, part=damage.place), before=position)
            return
        if damage.cut and not following:
            text = "the file ends within it"
            self._findings.add(Finding(FindingKind.TRUNCATED, text, position=position))
            self._due = position + 1
            return
        text = "its bytes are not those that the server stored"
        self._due = position + 1
        read = self._owner(message, position) if message is not None else None
        if read is None:
            job_id = message.subject.removeprefix(self._prefix) if message is not None else ""
            self._findings.add(Finding(FindingKind.EDITED, text, job_id, 0, position))
            return
        self._findings.add(Finding(FindingKind.EDITED, text, read.job_id, read.version, position))
        self._order.append(position)
        if self._early:
            self._seen.add(position)
        self._audit.add(read)

    def _owner(self, message: Message, position: int) -> Read | None:
        """Return a damaged commit, if it continues a job all the same: then the damage is around its payload."""
        job_id = message.subject.removeprefix(self._prefix)
        read = read_payload(position, job_id, message.payload)
        if read.commit is None:
            return None
        heads = self._audit.heads
        if job_id in heads and heads[job_id].digest == read.commit.previous:
            return read
        for other, head in heads.items():
            if head.digest == read.commit.previous:
                return read._replace(job_id=other, digest=digest(message.payload))
        return None if read.version != 1 else read

    def _tell_order(self) -> None:
        if not self._early:
            return
        copied, moved = out_of_order(self._order)
        for kind, text, positions in (
            (FindingKind.INSERTED, _COPY, copied),
            (FindingKind.REORDERED, "it stands behind a later one, or before an earlier one", moved),
        ):
            for position in positions:
                self._findings.add(Finding(kind, text, *self._misplaced.get(position, ("", 0)), position))

    def _name_what_is_missing(self, totals: dict[str, int]) -> None:
        """The server noted how many messages each job has: where one is missing, that is the one."""
        heads = self._audit.heads
        lacking = {}
        for subject, total in totals.items():
            job_id = subject.removeprefix(self._prefix)
            version = heads[job_id].version if job_id in heads else 0
            if total > version:
                lacking[job_id] = version + 1
        nameless = [one for one in self._findings.first() if one.position and not one.version]
        if len(lacking) == 1 and len(nameless) == 1:
            ((job_id, version),) = lacking.items()
            self._findings.add(nameless[0]._replace(job_id=job_id, version=version))

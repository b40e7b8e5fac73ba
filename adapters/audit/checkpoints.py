"""Checkpoints: a small file by which a log that was rewritten or cut off later is found out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.audit import LogAudit
from jobledger.projections.audit.marks import BLOCKS, TOKEN, Marks, MarksCheck, stride_of, token

from ..nats.names import Names
from .archive import Archive, Count
from .keys import PrivateKey
from .unusable import UnusableInput
from .writing import whole_file

KIND = "jobledger audit checkpoint"
VERSION = 1
_BLOCKS, _TOKENS = "blocks", "jobs"
CONTENTS = (_BLOCKS, _TOKENS)


class Manifest(msgspec.Struct):
    format: str
    format_version: int
    namespace: str
    stream: str
    position: Count  #: of the last commit it vouches for
    commits: Count
    jobs: Count
    key: str
    sizes: dict[str, Count]


class Checkpoint(NamedTuple):
    """What a checkpoint vouches for.

    >>> checkpoint = client.audit().checkpoint("log.checkpoint")
    >>> checkpoint.position > 0, checkpoint.commits > 0, checkpoint.jobs > 0, checkpoint.bytes > 0
    (True, True, True, True)
    >>> checkpoint.path.name, checkpoint.key
    ('log.checkpoint', '')
    """

    path: Path
    position: int  #: of the last commit it vouches for
    commits: int
    jobs: int
    bytes: int  #: size of the file
    key: str  #: fingerprint of the key it is signed with; "" where it is not


class CheckpointFile(Archive):
    """A checkpoint that is open for reading. Errors: UnusableInput, also for one that is damaged."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, kind=KIND, version=VERSION, contents=CONTENTS)
        try:
            self.about = msgspec.json.decode(self.manifest, type=Manifest)
            self._check()
        except UNDECODABLE as error:
            self._file.close()
            raise UnusableInput(f"{path}: the checkpoint is damaged: {error}") from error
        except UnusableInput:
            self._file.close()
            raise

    def _check(self) -> None:
        for problem in self.problems:
            raise UnusableInput(f"{self.path}: the checkpoint is damaged: {problem.name}: {problem.text}")
        for name in CONTENTS:
            if self.digest(name) != self.stated(name):
                raise UnusableInput(
                    f"{self.path}: the checkpoint is damaged: {name} is not as it was written"
                )
        about = self.about
        blocks, tokens = self.members[_BLOCKS].size, self.members[_TOKENS].size
        expected = -(-about.position // stride_of(max(1, about.position)))
        if about.position < 1 or blocks != 32 * expected or expected > BLOCKS or tokens != TOKEN * about.jobs:
            raise UnusableInput(f"{self.path}: the checkpoint is damaged: its parts do not fit each other")

    def marks(self, *, start: int, whole: bool) -> MarksCheck:
        """Return what compares a log, or a part of it, with this. Shape: as `MarksCheck`."""
        blocks, tokens = self.contents(_BLOCKS), self.contents(_TOKENS)
        return MarksCheck(
            self.about.position,
            [blocks[at : at + 32] for at in range(0, len(blocks), 32)],
            {tokens[at : at + TOKEN] for at in range(0, len(tokens), TOKEN)},
            start=start,
            whole=whole,
        )


def write_checkpoint(
    path: Path, names: Names, audit: LogAudit, marks: Marks, key: PrivateKey | None
) -> Checkpoint:
    """Write what was audited, all of the log up to the position of `marks`, as a checkpoint."""
    manifest: dict[str, object] = {
        "format": KIND,
        "format_version": VERSION,
        "namespace": names.namespace,
        "stream": names.log_stream,
        "position": marks.position,
        "commits": audit.commits,
        "jobs": len(audit.heads),
    }
    with whole_file(path) as new:
        contents = [new.spool(_BLOCKS), new.spool(_TOKENS)]
        contents[0].write(b"".join(marks.finish()))
        # Sorted, so that they tell nothing of the order of the jobs, and the file is always the same.
        heads = (token(job_id, head.version, head.digest) for job_id, head in audit.heads.items())
        contents[1].write(b"".join(sorted(heads)))
        size = new.write_archive(manifest, contents, key)
    fingerprint = key.public.fingerprint if key is not None else ""
    return Checkpoint(path, marks.position, audit.commits, len(audit.heads), size, fingerprint)

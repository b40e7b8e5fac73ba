"""Writing an archive: as a whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from jobledger.core.errors import ArgumentError, JobLedgerError

from .archive import END, MANIFEST, SIGNATURE, SUMS, header, manifest_text, padded, sums
from .keys import PrivateKey

_CHUNK = 1024 * 1024


class Spool:
    """The contents of one member, on disk until they are all there."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.size = 0
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def copy(self, to: BinaryIO) -> None:
        self._file.seek(0)
        shutil.copyfileobj(self._file, to, _CHUNK)


class NewFile:
    """A file in the making."""

    def __init__(self, file: BinaryIO, folder: Path, held: ExitStack) -> None:
        self._file = file
        self._folder = folder
        self._held = held

    def spool(self, name: str) -> Spool:
        return Spool(self._held.enter_context((self._folder / name).open("w+b")), name)

    def write_archive(self, manifest: dict[str, Any], contents: list[Spool], key: PrivateKey | None) -> int:
        """Write an archive with these contents, and return its size. `manifest` gets their sizes, and the public key."""
        manifest |= {"key": key.public.raw.hex() if key is not None else ""}
        manifest |= {"sizes": {one.name: one.size for one in contents}}
        text = manifest_text(manifest)
        digests = [(MANIFEST, hashlib.sha256(text).digest()), *((one.name, one.digest) for one in contents)]
        self._write_member(MANIFEST, text)
        self._write_member(SUMS, sums(digests))
        if key is not None:
            self._write_member(SIGNATURE, key.sign(sums(digests)))
        for one in contents:
            self._file.write(header(one.name, one.size))
            one.copy(self._file)
            self._file.write(bytes(padded(one.size) - one.size))
        self._file.write(END)
        return self._file.tell()

    def _write_member(self, name: str, data: bytes) -> None:
        self._file.write(header(name, len(data)) + data + bytes(padded(len(data)) - len(data)))


@contextmanager
def whole_file(path: Path) -> Iterator[NewFile]:
    """Give a new file that takes the place of `path` at the end, if nothing went wrong.

    Errors: ArgumentError where it cannot be written.
    """
    if path.is_dir():
        raise ArgumentError(f"{path} is a folder: name a file in it")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise ArgumentError(
            f"{path} cannot be written ({error.strerror}): name a file in a folder that is there"
        ) from error
    try:
        new = folder / "new"
        with ExitStack() as held:
            file = held.enter_context(new.open("wb"))
            yield NewFile(file, folder, held)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        if isinstance(error, JobLedgerError):  # such as that the server is away
            raise
        raise ArgumentError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)

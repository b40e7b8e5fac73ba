"""The file that bundles and checkpoints are: an uncompressed tar, of which every byte is determined by its contents.

`tar`, `sha256sum` and `openssl` can read and check it, too. Members, in this order: `manifest.json`; `SHA256SUMS` of all
members that follow it and of the manifest; `SHA256SUMS.sig`, the Ed25519 signature of that, where there is one; and what
the kind of archive has. Headers are ustar with mode 0644 and everything else empty or zero; after the last member there
are 1024 zero bytes. No name in the file is ever used as a path: each is compared with the one that is due.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, BinaryIO, NamedTuple, Self, TypeAlias

import msgspec
from msgspec import Meta

from jobledger.core.undecodable import UNDECODABLE

from .unusable import UnusableInput

BLOCK = 512
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
SIGNATURE_SIZE = 64
END = bytes(2 * BLOCK)
_LARGEST_MANIFEST = 64 * 1024 * 1024  # bytes
_CHUNK = 1024 * 1024
_OCTAL = 8**11  # sizes from here on are written in base 256, as GNU and POSIX tar read it


#: how many there are of something: a number that no arithmetic takes beyond 64 bits
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**56)]


class Part(NamedTuple):
    """Something of the archive that is not as it was written."""

    name: str
    text: str
    truncated: bool = False


class Member(NamedTuple):
    """Where a member is."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next header is."""
        return self.offset + padded(self.size)


def padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def header(name: str, size: int) -> bytes:
    """Return the header of a member."""
    length = b"%011o\0" % size if size < _OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = [
        name.encode().ljust(100, b"\0"),
        b"0000644\0",
        b"0000000\0",
        b"0000000\0",
        length,
        b"00000000000\0",
    ]
    rest = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + b"0000000\0" * 2
    block = b"".join((*fields, b" " * 8, rest)).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def manifest_text(manifest: dict[str, Any]) -> bytes:
    """Return the text of the manifest."""
    return f"{json.dumps(manifest, sort_keys=True, indent=1)}\n".encode()


def sums(digests: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the text of SHA256SUMS."""
    return "".join(f"{digest.hex()}  {name}\n" for name, digest in digests).encode()


class Archive:
    """An archive that is open for reading. What is wrong with it is in `problems`.

    Shape:  `contents` are the names of the members behind the signature.
    Errors: UnusableInput for what is no archive of this kind, or of another version.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, kind: str, version: int, contents: Sequence[str]
    ) -> None:
        self.path = Path(path)
        self.problems: list[Part] = []
        self._file = _opened(self.path)
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self._read_front(kind, version)
            self._find_contents(contents)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """Return these bytes, or as many as there are. Errors: UnusableInput when the disk cannot give them.

        Where and how many may be what the file says, and that may be anything.
        """
        size = min(size, self.size - offset)
        if size <= 0 or offset < 0:
            return b""
        try:
            return os.pread(self._file.fileno(), size, offset)
        except OSError as error:
            raise UnusableInput(f"{self.path} cannot be read: {error.strerror}") from error

    def contents(self, name: str) -> bytes:
        """Return all of a member."""
        member = self.members[name]
        return self.read(member.offset, min(member.size, max(0, self.size - member.offset)))

    def digest(self, name: str) -> bytes:
        """Return the SHA-256 of a member."""
        member = self.members[name]
        found, offset = hashlib.sha256(), member.offset
        while offset < member.offset + member.size:
            chunk = self.read(offset, min(_CHUNK, member.offset + member.size - offset))
            if not chunk:
                break
            found.update(chunk)
            offset += len(chunk)
        return found.digest()

    def stated(self, name: str) -> bytes | None:
        """Return the digest that SHA256SUMS gives for a member."""
        return self._stated.get(name)

    def _read_front(self, kind: str, version: int) -> None:
        first = self.read(0, BLOCK)
        if first[:100] != MANIFEST.encode().ljust(100, b"\0"):
            raise UnusableInput(f"{self.path} is no {kind}: it does not begin with {MANIFEST}")
        size = _size_in(first)
        if size is None or size > _LARGEST_MANIFEST:
            raise UnusableInput(f"{self.path}: the header of {MANIFEST} is damaged: it gives no usable size")
        manifest = Member(MANIFEST, BLOCK, size)
        self.members = {MANIFEST: manifest}
        self.manifest = self.read(BLOCK, size)
        try:
            about = msgspec.json.decode(self.manifest, type=_About)
        except UNDECODABLE as error:
            cut = " The file is truncated" if self.size < manifest.end else ""
            raise UnusableInput(
                f"{self.path}: {MANIFEST} is damaged and cannot be read: {error}.{cut}"
            ) from error
        if about.format != kind:
            raise UnusableInput(f"{self.path} is no {kind}: it says that it is {about.format!r:.80}")
        if about.format_version != version:
            raise UnusableInput(
                f"{self.path} is a {kind} of format version {about.format_version}; this version of jobledger knows "
                f"{version}: use one that knows it"
            )
        self._check_header(first, MANIFEST, size)
        self._check_padding(manifest)

    def _find_contents(self, contents: Sequence[str]) -> None:
        try:
            sizes = msgspec.json.decode(self.manifest, type=_Sizes).sizes
        except UNDECODABLE as error:
            raise UnusableInput(f"{self.path}: {MANIFEST} is damaged: {error}") from error
        names = (MANIFEST, *contents)
        at = self.members[MANIFEST].end
        length = len(sums([(name, bytes(32)) for name in names]))
        at = self._take(at, SUMS, length)
        self._stated = self._parsed(self.contents(SUMS), names)
        sound = self._stated.get(MANIFEST) == hashlib.sha256(self.manifest).digest()
        if not sound:
            self.problems.append(Part(f"{MANIFEST} or {SUMS}", "they do not fit each other"))
        self.signature: bytes | None = None
        if self.read(at, len(SIGNATURE)) == SIGNATURE.encode():
            at = self._take(at, SIGNATURE, SIGNATURE_SIZE)
            self.signature = self.contents(SIGNATURE)
        for name in contents:
            size = sizes.get(name) if sound else _size_in(self.read(at, BLOCK))
            at = self._take(at, name, sizes.get(name, 0) if size is None else size)
        self._check_end(at)

    def _take(self, at: int, name: str, size: int) -> int:
        """Note where a member is whose header is due at `at`; return where the next one is."""
        self._check_header(self.read(at, BLOCK), name, size)
        member = self.members[name] = Member(name, at + BLOCK, size)
        self._check_padding(member)
        return member.end

    def _check_padding(self, member: Member) -> None:
        end = member.offset + member.size
        if self.read(end, member.end - end).strip(b"\0"):
            self.problems.append(Part(member.name, "there is something behind it where nothing should be"))

    def _check_header(self, found: bytes, name: str, size: int) -> None:
        if found == header(name, size):
            return
        if len(found) < BLOCK:
            self.problems.append(
                Part(name, f"the file ends before it, after {self.size:,} bytes", truncated=True)
            )
            return
        there = found[:100].rstrip(b"\0").decode(errors="backslashreplace")
        text = (
            "its header is not as it was written"
            if there == name
            else f"{there!r:.120} stands where it is due"
        )
        self.problems.append(Part(f"header of {name}", text))

    def _check_end(self, at: int) -> None:
        if self.size < at + len(END):
            self.problems.append(
                Part("end", f"the file ends after {self.size:,} of {at + len(END):,} bytes", truncated=True)
            )
        elif self.size > at + len(END) or self.read(at, len(END)) != END:
            self.problems.append(Part("end", "there is something behind the last member"))

    def _parsed(self, text: bytes, names: Sequence[str]) -> dict[str, bytes]:
        stated: dict[str, bytes] = {}
        for line, name in zip(text.split(b"\n"), names, strict=False):
            try:
                stated[name] = bytes.fromhex(line[:64].decode())
            except ValueError:
                continue
        if sums([(name, stated.get(name, b"")) for name in names]) != text:
            self.problems.append(Part(SUMS, "it is not as it was written"))
        return stated


class _About(msgspec.Struct):
    format: str
    format_version: int


class _Sizes(msgspec.Struct):
    sizes: dict[str, Count]


def _size_in(block: bytes) -> int | None:
    field = block[124:136]
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b"\0 "), 8)
    except ValueError:
        return None


def _opened(path: Path) -> BinaryIO:
    try:
        # A pipe would never be ready to open, and cannot be read twice.
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "no regular file"
            raise UnusableInput(f"{path} is {what}: name the file")
        return path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnusableInput(f"{path} cannot be read: {reason}") from error

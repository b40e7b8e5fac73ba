"""Files that somebody else wrote or changed: a bundle, a checkpoint, keys, a store, what lies in a data folder."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
import tarfile
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger import Client
from jobledger.adapters.audit.archive import BLOCK, END, header, padded, sums
from jobledger.adapters.audit.keys import load_private, load_public
from jobledger.adapters.audit.layout import frame_head
from jobledger.adapters.audit.region import Region
from jobledger.adapters.cli.what_if import _load
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.nats.names import Names
from jobledger.audit import UnusableInput, generate_key, read, verify, verify_store
from jobledger.core.errors import ArgumentError
from support.audit_logs import write_log
from support.servers import NatsServer

from .budget import examples
from .mutation import damaged, lied_about

lots = st.randoms(use_true_random=True)


class Originals:
    """A log of three jobs: its bundle, a checkpoint of it, the keys and the files of its server, as they were written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.changed = folder / "key", folder / "changed"
        generate_key(self.key)
        (folder / "nats").mkdir()
        server = NatsServer(folder / "nats").start()
        write_log(server.url, Names("audited"), Random(7), jobs=3, steps=8)
        with Client(server.url, namespace="audited") as client:
            client.audit().export(folder / "bundle", key=self.key)
            client.audit().checkpoint(folder / "checkpoint", key=self.key)
        server.stop()
        self.bundle = (folder / "bundle").read_bytes()
        self.checkpoint = (folder / "checkpoint").read_bytes()
        (self.stream,) = (folder / "nats").rglob("streams/jobledger-audited-log")
        self.store = {
            path: path.read_bytes()
            for path in self.stream.rglob("*")
            if path.name in ("1.blk", "index.db", "meta.inf", "meta.sum")
        }

    def write(self, data: bytes) -> Path:
        self.changed.write_bytes(data)
        return self.changed


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Originals:
    return Originals(tmp_path_factory.mktemp("originals"))


def with_manifest(archive: bytes, manifest: bytes) -> bytes:
    """Return an archive with another manifest, and sums that fit it: only the signature does not."""
    size = int(archive[124:135], 8)
    rest = archive[BLOCK + padded(size) :]
    size = int(rest[124:135], 8)
    old = rest[BLOCK : BLOCK + size]
    text = hashlib.sha256(manifest).hexdigest().encode() + old[64:]
    return member("manifest.json", manifest) + member("SHA256SUMS", text) + rest[BLOCK + padded(size) :]


def member(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + bytes(padded(len(data)) - len(data))


def changed(archive: bytes, random: Random) -> bytes:
    if random.random() < 0.5:
        return damaged(archive, random, [archive])
    size = int(archive[124:135], 8)
    return with_manifest(archive, lied_about(archive[BLOCK : BLOCK + size], random, json=True))


def look_at_bundle(path: Path, public_key: Path | None = None) -> None:
    """Verify and read a bundle. What is wrong with it is a finding, or makes it unusable."""
    try:
        str(verify(path, public_key=public_key))
        for commit in read(path):
            str(commit)
    except UnusableInput as error:
        str(error).encode()


@examples(60)
@given(random=lots)
def test_a_bundle_that_was_changed_is_verified_or_unusable(originals: Originals, random: Random) -> None:
    key = random.choice((None, originals.key.with_name("key.pub")))
    for _ in range(3):
        look_at_bundle(originals.write(changed(originals.bundle, random)), key)


@examples(60)
@given(random=lots)
def test_a_checkpoint_that_was_changed_vouches_or_is_unusable(originals: Originals, random: Random) -> None:
    path = originals.write(changed(originals.checkpoint, random))
    try:
        str(verify(originals.folder / "bundle", checkpoint=path))
    except UnusableInput as error:
        str(error).encode()


@examples(60)
@given(random=lots)
def test_a_key_file_that_was_changed_is_a_key_or_unusable(originals: Originals, random: Random) -> None:
    for load, name in ((load_private, "key"), (load_public, "key.pub")):
        path = originals.write(damaged((originals.folder / name).read_bytes(), random))
        path.chmod(0o600)
        try:
            load(path)
        except ArgumentError as error:
            str(error).encode()


@examples(40)
@given(random=lots)
def test_a_store_that_was_changed_is_verified_or_unusable(originals: Originals, random: Random) -> None:
    path = random.choice(sorted(originals.store))
    path.write_bytes(damaged(originals.store[path], random))
    try:
        str(verify_store(originals.stream, namespace="audited"))
    except UnusableInput as error:
        str(error).encode()
    finally:
        path.write_bytes(originals.store[path])


@examples(40)
@given(random=lots)
def test_what_lies_in_a_data_folder_is_what_it_should_be_or_nothing(
    originals: Originals, random: Random
) -> None:
    folder = DataFolder(originals.folder)
    for name, look, text in (
        ("credentials.json", folder.credentials, b'{"user":"a","password":"b"}'),
        ("server.json", folder.record, b'{"pid":1,"url":"nats://127.0.0.1:4222","version":"1"}'),
        ("sync-interval", folder.sync_interval, b"1.5\n"),
    ):
        (originals.folder / name).write_bytes(damaged(text, random))
        look()


@examples(30)
@given(random=lots)
def test_saved_states_that_were_changed_are_states_or_unusable(originals: Originals, random: Random) -> None:
    text = b'{"format":"jobledger what-if states 1","jobs":{"a":{"states":[]}}}'
    try:
        _load(originals.write(damaged(text, random)))
    except ArgumentError as error:
        str(error)


# -- archives that were made to do harm ----------------------------------------------------------------------------


@pytest.fixture
def manifest(originals: Originals) -> bytes:
    return originals.bundle[BLOCK : BLOCK + int(originals.bundle[124:135], 8)]


def archive_of(manifest: bytes, **contents: bytes) -> bytes:
    """Return a bundle with these contents, and the sums of them."""
    listed = [("manifest.json", manifest), *contents.items()]
    text = sums([(name, hashlib.sha256(data).digest()) for name, data in listed])
    parts = [member("manifest.json", manifest), member("SHA256SUMS", text)]
    return b"".join([*parts, *(member(name, data) for name, data in contents.items()), END])


@pytest.mark.parametrize("size", [2**40, 2**56, 2**62, 2**63, 2**64, 2**100, -1, -(10**12)])
@pytest.mark.parametrize("name", ["heads", "index", "commits"])
def test_a_size_that_no_file_has_is_found_out(
    originals: Originals, manifest: bytes, name: str, size: int
) -> None:
    about = json.loads(manifest)
    about["sizes"][name] = size
    path = originals.write(with_manifest(originals.bundle, json.dumps(about).encode()))
    tracemalloc.start()
    try:
        look_at_bundle(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_header_that_says_it_is_larger_than_all_is_not_read(originals: Originals) -> None:
    for size in (b"7" * 11 + b"\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-0000000001\0"):
        look_at_bundle(originals.write(originals.bundle[:124] + size + originals.bundle[136:]))


@pytest.mark.parametrize(
    "size", [b"\x80" + b"\xff" * 11, b"\x80" + b"\0\0\0" + b"\xff" * 8, b"7" * 11 + b"\0"]
)
def test_nor_is_a_member_that_says_so_where_the_manifest_cannot_be_trusted(
    originals: Originals, size: bytes
) -> None:
    place = originals.bundle.index(b"heads\0")
    data = originals.bundle[: place + 124] + size + originals.bundle[place + 136 :]
    place = data.index(b"SHA256SUMS\0") + BLOCK
    look_at_bundle(originals.write(data[:place] + b"0" * 64 + data[place + 64 :]))


def test_a_key_of_another_kind_in_the_clothes_of_one_is_refused(originals: Originals) -> None:
    other = originals.key.read_bytes().replace(
        b"BQYDK2VwBCIE", b"BQYDK2VxBCIE"
    )  # an Ed448 key, and too short for one
    assert other != originals.key.read_bytes()
    path = originals.write(other)
    path.chmod(0o600)
    with pytest.raises(ArgumentError, match="no private key"):
        load_private(path)


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "commits/../../escaped"])
@pytest.mark.parametrize(
    "kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_no_name_in_a_bundle_is_ever_a_path(
    originals: Originals,
    manifest: bytes,
    tmp_path: Path,
    name: str,
    kind: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for one, data in (("manifest.json", manifest), (name, b"root::0:0::/:/bin/sh")):
            info = tarfile.TarInfo(one)
            info.size = len(data)
            if one == name:
                info.type, info.linkname = kind, "/etc/passwd"
                info.size = len(data) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, BytesIO(data))
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    look_at_bundle(originals.write(made.getvalue()))
    assert list(tmp_path.rglob("*")) == [tmp_path / "in", folder]


def test_a_bundle_of_bundles_and_a_compressed_one_are_no_bundles(originals: Originals) -> None:
    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(10**6))
    for data in (gzip.compress(originals.bundle), zipped.getvalue(), originals.bundle[BLOCK:], b""):
        with pytest.raises(UnusableInput):
            verify(originals.write(data))


def test_two_members_of_one_name_are_one_too_many(originals: Originals) -> None:
    twice = originals.bundle[: -len(END)] + member("commits", b"others") + END
    assert not verify(originals.write(twice)).ok


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself"])
def test_what_is_no_file_is_no_bundle(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bundle"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case _:
            path.symlink_to(path)
    with pytest.raises(UnusableInput):
        verify(path)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were searched through for something, one search after the other."""
    sizes: list[int] = []
    original = Region.find

    def counted(self: Region, what: bytes, offset: int, limit: int) -> int:
        place = original(self, what, offset, limit)
        sizes.append(max(0, (min(limit, self.stop) if place < 0 else place) - offset))
        return place

    monkeypatch.setattr(Region, "find", counted)
    return sizes


@pytest.mark.parametrize("count", [200, 2000])
def test_a_bundle_of_commits_that_its_index_does_not_know_is_read_a_few_times_and_no_more(
    originals: Originals, manifest: bytes, searched: list[int], count: int
) -> None:
    job = "01890a5d-ac96-774b-bcce-b302099a8057"
    entry = struct.Struct(">QIII32s")
    about = json.loads(manifest)
    index = b"".join(entry.pack(10**6 + n, 0, n + 1, 100, bytes(32)) for n in range(count))
    commits = b"".join(frame_head(n, job, 100) + bytes(100) for n in range(1, count + 1))
    contents = {
        "heads": f"{job}\t1\t{count}\t{count}\t{'00' * 32}\n".encode(),
        "index": index,
        "commits": commits,
    }
    about["sizes"] = {name: len(data) for name, data in contents.items()}
    path = originals.write(archive_of(json.dumps(about).encode(), **contents))
    report = verify(path)
    assert not report.ok
    assert sum(searched) <= 100 * path.stat().st_size

"""The files of a server that is stopped, read without it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from nats.js.api import StoreCompression

from jobledger.adapters.audit.highway import HighwayHash
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.embedded.locks import FileLock
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import log_settings
from jobledger.audit import FindingKind, UnusableInput, verify_store
from support.audit_logs import Row, write_log
from support.servers import NatsServer

NAMES = Names("stored")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """The folder of a server that was stopped, and what is in its log."""
    folder = tmp_path_factory.mktemp("stopped")
    server = NatsServer(folder).start()
    try:
        return folder, write_log(server.url, NAMES, Random(3))
    finally:
        server.stop()


@pytest.fixture
def store(stopped: tuple[Path, list[Row]], tmp_path: Path) -> Path:
    """A copy of the stream's folder."""
    (found,) = stopped[0].glob(f"**/streams/{NAMES.log_stream}")
    return Path(shutil.copytree(found, tmp_path / NAMES.log_stream))


@pytest.mark.parametrize(
    ("size", "digest"),
    [
        (0, "907a56de22c26e53"),
        (1, "7eab43aac7cddd78"),
        (3, "5c6befab8a463d80"),
        (8, "e1205108e55f3171"),
        (17, "19fe67d2c8c5c0e2"),
    ],
)
def test_the_checksum_is_highway_hash(size: int, digest: str) -> None:
    # the vectors that its authors publish: of 0, 1, 2, … and of as many bytes
    assert HighwayHash(bytes(range(32))).digest(bytes(range(size)))[::-1].hex() == digest


@pytest.mark.parametrize("part", [".", "jetstream", "jetstream/jetstream", "jetstream/jetstream/$G"])
def test_the_log_is_found_in_any_folder_around_it(stopped: tuple[Path, list[Row]], part: str) -> None:
    report = verify_store(stopped[0] / part, namespace="stored")
    assert report.ok
    assert (report.commits, report.jobs, report.notes) == (len(stopped[1]), 6, [])


def test_a_server_that_was_killed_left_no_note_of_the_end(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, more_configuration="").start()
    rows = write_log(server.url, NAMES, Random(3), jobs=2)
    server.kill()
    report = verify_store(tmp_path, namespace="stored")
    assert report.ok
    assert report.commits == len(rows)
    assert "whether its last commits are missing is not known" in report.notes[0]


def test_a_log_of_several_blocks_is_read_as_one(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    make_stream(server.url, max_bytes=100_000)  # the server chooses blocks of 32 kB then
    rows = write_log(server.url, NAMES, Random(3), jobs=20, steps=60)
    server.stop()
    blocks = sorted(tmp_path.glob("**/msgs/*.blk"))
    assert len(blocks) > 1
    assert verify_store(tmp_path, namespace="stored").commits == len(rows)
    blocks[0].unlink()
    first = verify_store(tmp_path, namespace="stored").first
    assert first is not None
    assert (first.kind, first.position) == (FindingKind.DROPPED, 1)


def make_stream(url: str, **changes: Any) -> None:
    """Make a log that is set in another way."""

    async def make() -> None:
        client = await connect(Endpoint(url), name="test")
        settings = log_settings(NAMES.log_stream, [NAMES.log_subjects])
        await client.jetstream().add_stream(replace(settings, **changes))
        await client.close()

    asyncio.run(make())


def records(block: bytes) -> list[tuple[int, int]]:
    found, offset = [], 0
    while offset < len(block):
        size = struct.unpack_from("<I", block, offset)[0] & 0x7FFFFFFF
        found.append((offset, offset + size))
        offset += size
    return found


def resealed(record: bytes, old: bytes, new: bytes) -> bytes:
    """Return a record with other bytes of the same length, and the checksum that belongs to them."""
    record = record.replace(old, new)
    subject_end = 22 + struct.unpack_from("<H", record, 20)[0]
    key = hashlib.sha256(f"{NAMES.log_stream}-1".encode()).digest()
    covered = record[4:20] + record[22:subject_end] + record[subject_end + 4 : -8]
    return record[:-8] + HighwayHash(key).digest(covered)


def test_an_edit_with_a_checksum_that_fits_is_found_by_the_chain(
    store: Path, stopped: tuple[Path, list[Row]]
) -> None:
    block = (store / "msgs" / "1.blk").read_bytes()
    heads = {job_id: version for job_id, version, _ in stopped[1]}
    for (start, stop), (position, (job_id, version, _)) in zip(
        records(block), enumerate(stopped[1], 1), strict=True
    ):
        edited = resealed(block[start:stop], b"engine", b"enzyme")
        (store / "msgs" / "1.blk").write_bytes(block[:start] + edited + block[stop:])
        report = verify_store(store, namespace="stored")
        if version == heads[job_id]:  # no commit knows this one: that takes a checkpoint
            assert report.ok
            continue
        (found,) = report.findings
        assert (found.kind, found.job_id, found.version) == (FindingKind.EDITED, job_id, version)
        assert found.position == position


def test_the_last_commit_of_a_job_that_was_dropped_is_named(
    store: Path, stopped: tuple[Path, list[Row]]
) -> None:
    block = (store / "msgs" / "1.blk").read_bytes()
    position = len(stopped[1])
    start, stop = records(block)[-1]
    (store / "msgs" / "1.blk").write_bytes(block[:start])
    (found,) = verify_store(store, namespace="stored").findings
    job_id, version, _ = stopped[1][-1]
    assert (found.kind, found.job_id, found.version) == (FindingKind.TRUNCATED, job_id, version)
    assert (found.position, stop) == (position, len(block))


def test_settings_that_were_changed_are_named(store: Path) -> None:
    settings = json.loads((store / "meta.inf").read_text()) | {"deny_delete": False}
    changed = json.dumps(settings).encode()
    (store / "meta.inf").write_bytes(changed)
    key = hashlib.sha256(NAMES.log_stream.encode()).digest()
    (store / "meta.sum").write_text(HighwayHash(key).digest(changed).hex())
    (found,) = verify_store(store, namespace="stored").findings
    assert (found.kind, found.text) == (FindingKind.SETTINGS, "deny_delete = None, but must be True")


def test_a_store_that_cannot_be_read_is_refused(store: Path, tmp_path: Path) -> None:
    for folder, namespace, said in (
        (tmp_path / "nothing", "stored", "is no folder"),
        (store / "meta.inf", "stored", "is no folder"),
        (store.parent, "another", "has no stream jobledger-another-log"),
        (store, "another", "has the stream 'jobledger-stored-log', and jobledger-another-log is wanted"),
    ):
        with pytest.raises(UnusableInput, match=said):
            verify_store(folder, namespace=namespace)
    (store / "msgs" / "1.key").touch()
    with pytest.raises(UnusableInput, match="is encrypted: start a nats-server on a copy"):
        verify_store(store, namespace="stored")
    (store / "msgs" / "1.key").unlink()
    (store / "msgs" / "1.blk").write_bytes(b"cmp\x01" + bytes(100))
    with pytest.raises(UnusableInput, match="is compressed"):
        verify_store(store, namespace="stored")


def test_the_files_of_a_server_that_runs_are_left_alone(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    shutil.copytree(store, folder / "jetstream" / "JOBS" / "streams" / NAMES.log_stream)
    assert verify_store(folder, namespace="stored").ok
    lock = FileLock(DataFolder(folder).lock)
    assert lock.acquire()
    with pytest.raises(UnusableInput, match="is running: end it by"):
        verify_store(folder, namespace="stored")
    lock.release()


def test_a_compressed_store_of_a_real_server_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    make_stream(server.url, max_bytes=100_000, compression=StoreCompression.S2)
    write_log(server.url, NAMES, Random(3), jobs=20, steps=60)  # a block is compressed once it is full
    server.stop()
    with pytest.raises(UnusableInput, match="is compressed"):
        verify_store(tmp_path, namespace="stored")

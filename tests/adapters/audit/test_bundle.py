"""Bundles: exported, read, and verified without a server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from jobledger import ArgumentError, AsyncClient, Client, NotFoundError
from jobledger.adapters.audit.archive import header
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.nats.names import Names
from jobledger.audit import FindingKind, UnusableInput, generate_key, read, verify
from support.audit_logs import job_of, random_log, store_rows
from support.servers import NatsServer

from .conftest import Logged


def members(path: Path) -> dict[str, bytes]:
    """Return what tar sees in a bundle."""
    with tarfile.open(path) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


# -- exporting --------------------------------------------------------------------------------------------------------


def test_a_bundle_has_every_commit_as_it_is_stored(logged: Logged, tmp_path: Path) -> None:
    exported = logged.client.audit().export(tmp_path / "all.bundle")
    assert (exported.start, exported.last, exported.commits) == (1, logged.last, logged.last)
    assert exported.bytes == (tmp_path / "all.bundle").stat().st_size
    commits = members(tmp_path / "all.bundle")["commits"]
    assert all(encode_message(version, commit) in commits for _, version, commit in logged.rows)
    found = list(read(tmp_path / "all.bundle"))
    assert [(one.job_id, one.version, one.position) for one in found] == [
        (job_id, version, position) for position, (job_id, version, _) in enumerate(logged.rows, 1)
    ]
    assert [one.events for one in found] == [commit.events for _, _, commit in logged.rows]


def test_two_exports_of_a_range_are_the_same_bytes(logged: Logged, tmp_path: Path) -> None:
    key = tmp_path / "key"
    generate_key(key)
    for name, folder in (("one", tmp_path), ("another name", tmp_path / "elsewhere")):
        folder.mkdir(exist_ok=True)
        logged.client.audit().export(folder / name, end=logged.last, key=key)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "elsewhere" / "another name").read_bytes()


def test_the_same_log_on_another_server_gives_the_same_bytes(
    logged: Logged, tmp_path: Path, plain_nats_server: NatsServer
) -> None:
    url = plain_nats_server.url
    store_rows(url, logged.names, logged.rows)
    with Client(url, namespace=logged.names.namespace) as client:
        client.audit().export(tmp_path / "there")
    logged.client.audit().export(tmp_path / "here")
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_bundle_is_checked_by_tar_sha256sum_and_openssl(bundle: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine")
    folder = bundle.parent / "extracted"
    folder.mkdir()
    verify_signature = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "../key.pub", "-rawin"]
    for command in (
        ["tar", "-xf", str(bundle)],
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        [*verify_signature, "-in", "SHA256SUMS", "-sigfile", "SHA256SUMS.sig"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_some_jobs_are_exported(logged: Logged, tmp_path: Path) -> None:
    exported = logged.client.audit().export(tmp_path / "one", jobs=job_of(1))
    assert {one.job_id for one in read(tmp_path / "one")} == {job_of(1)}
    logged.client.audit().export(tmp_path / "two", jobs=[job_of(1), job_of(3)])
    assert {one.job_id for one in read(tmp_path / "two")} == {job_of(1), job_of(3)}
    assert [one.version for one in read(tmp_path / "two", job_of(1))] == list(range(1, exported.commits + 1))
    assert verify(tmp_path / "one").ok
    assert verify(tmp_path / "two").ok


def test_a_range_is_exported_and_verified_from_its_first_commit_on(logged: Logged, tmp_path: Path) -> None:
    start, end = logged.last // 2, logged.last - 2
    exported = logged.client.audit().export(tmp_path / "part", start=start, end=end)
    assert [one.position for one in read(tmp_path / "part")] == list(range(start, end + 1))
    report = verify(tmp_path / "part")
    assert report.ok
    assert (report.start, report.last, report.partial_jobs) == (start, end, exported.partial_jobs)
    assert exported.partial_jobs > 0


def test_a_range_is_given_by_time(nats_server: NatsServer, tmp_path: Path) -> None:
    url, names = nats_server.url, Names("audited-by-time")
    rows = random_log(Random(3), jobs=2)
    store_rows(url, names, rows[:5])
    between = datetime.now(UTC)
    while datetime.now(UTC) <= between + timedelta(microseconds=5):
        pass
    with Client(url, namespace=names.namespace) as client:
        client.audit().export(tmp_path / "before", end=between)
        with pytest.raises(ArgumentError, match="the range is empty: it begins at position 6 and ends at 5"):
            client.audit().export(tmp_path / "after", start=between)
    assert [one.position for one in read(tmp_path / "before")] == [1, 2, 3, 4, 5]


def test_an_export_is_awaited(logged: Logged, tmp_path: Path) -> None:
    async def export() -> int:
        async with AsyncClient(logged.url, namespace=logged.names.namespace) as client:
            exported = await client.audit().export(tmp_path / "all.bundle")
            report = await client.audit().verify()
            assert report.ok
            return exported.commits

    assert asyncio.run(export()) == logged.last


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"start": 10**9}, "the range is empty: it begins at position 1000000000"),
        ({"start": 5, "end": 4}, "the range is empty: it begins at position 5 and ends at 4"),
        ({"end": 10**9}, "the range ends at position 1000000000, but the log ends at"),
        ({"start": 0}, "start=0 is no position of the log: positions count from 1"),
        ({"end": datetime(2026, 1, 1)}, "has no time zone"),
        ({"start": "today"}, "start='today' is neither a position of the log"),
        ({"jobs": []}, "jobs=[] names no job"),
        ({"jobs": 7}, "7 is not a job"),
        ({"key": "no such key"}, "there is no key file no such key"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    logged: Logged, tmp_path: Path, arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(ArgumentError) as raised:
        logged.client.audit().export(tmp_path / "new", **arguments)  # type: ignore[arg-type]
    assert said in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_no_half_bundle_is_left_behind(logged: Logged, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("what was there")
    unknown = "018dd029-58ca-74e5-8b58-b4f99d610f9a"
    with pytest.raises(NotFoundError, match=f"job {unknown} has no commit at positions 1 to"):
        logged.client.audit().export(tmp_path / "old", jobs=[unknown])
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "what was there"
    for where in (tmp_path / "no" / "such" / "folder", tmp_path):
        with pytest.raises(ArgumentError, match=r"cannot be written|is a folder"):
            logged.client.audit().export(where)


def test_an_empty_log_has_nothing_to_export(nats_server: NatsServer, tmp_path: Path) -> None:
    url, names = nats_server.url, Names("audited-empty")
    store_rows(url, names, [])
    with Client(url, namespace=names.namespace) as client:
        assert client.audit().verify().ok
        for write in (client.audit().export, client.audit().checkpoint):
            with pytest.raises(ArgumentError, match="is empty: there is nothing to"):
                write(tmp_path / "new")


# -- verifying --------------------------------------------------------------------------------------------------------


def test_a_sound_bundle_is_sound(bundle: Path, logged: Logged) -> None:
    report = verify(bundle, public_key=bundle.parent / "key.pub")
    assert report.ok
    assert report.first is None
    assert report.trusted
    assert (report.commits, report.jobs, report.start, report.last) == (logged.last, 6, 1, logged.last)
    assert not verify(bundle).trusted
    assert verify(bundle).key == report.key


def test_a_foreign_key_is_a_finding(bundle: Path) -> None:
    generate_key(bundle.parent / "other")
    (found,) = verify(bundle, public_key=bundle.parent / "other.pub").findings
    assert found.kind is FindingKind.SIGNATURE
    assert "signed by another key" in found.text


def test_a_missing_signature_is_a_finding_where_one_has_to_be(logged: Logged, tmp_path: Path) -> None:
    generate_key(tmp_path / "key")
    logged.client.audit().export(tmp_path / "plain")
    (found,) = verify(tmp_path / "plain", public_key=tmp_path / "key.pub").findings
    assert (found.kind, found.text) == (FindingKind.SIGNATURE, "it is not signed")


def rebuilt(path: Path, change: dict[str, bytes]) -> Path:
    """Return a bundle with other members, made as whoever forges one would: all sums fit, the signature cannot."""
    found = members(path) | change
    if "manifest.json" not in change:
        about = json.loads(found["manifest.json"])
        about["sizes"] = {name: len(found[name]) for name in about["sizes"]}
        found["manifest.json"] = f"{json.dumps(about, sort_keys=True, indent=1)}\n".encode()
    names = ("manifest.json", "heads", "index", "commits")
    found["SHA256SUMS"] = "".join(f"{sha256(found[name]).hexdigest()}  {name}\n" for name in names).encode()
    new = path.with_name("forged.bundle")
    blocks = [header(name, len(data)) + data + bytes(-len(data) % 512) for name, data in found.items()]
    new.write_bytes(b"".join(blocks) + bytes(1024))
    return new


def test_a_forged_bundle_is_given_away_by_its_signature_or_by_the_chain(bundle: Path, logged: Logged) -> None:
    found = members(bundle)
    target = next(row for row in logged.rows if row[1] == 1)
    payload = encode_message(*target[1:])
    forged = payload.replace(b"engine", b"enzyme")
    change = {
        "commits": found["commits"].replace(payload, forged),
        "index": found["index"].replace(sha256(payload).digest(), sha256(forged).digest()),
    }
    report = verify(rebuilt(bundle, change))
    position = logged.position(target[0], 1)
    assert report.first is not None
    assert (report.first.kind, report.first.position) == (FindingKind.EDITED, position)
    assert report.first.job_id == target[0]
    assert {one.kind for one in report.findings} >= {FindingKind.SIGNATURE}


def test_what_a_bundle_says_of_itself_has_to_be_true(logged: Logged, tmp_path: Path) -> None:
    path = logged.client.audit().export(tmp_path / "plain").path
    about = json.loads(members(path)["manifest.json"])
    for change in ({"events": 1}, {"from": 3}, {"to": 10**6}, {"selected": [job_of(1)]}):
        lie = f"{json.dumps(about | change, sort_keys=True, indent=1)}\n".encode()
        assert not verify(rebuilt(path, {"manifest.json": lie})).ok, change
    heads = members(path)["heads"].replace(f"{job_of(1)}\t1\t".encode(), f"{job_of(1)}\t2\t".encode())
    (found,) = verify(rebuilt(path, {"heads": heads})).findings
    assert (found.job_id, found.part) == (job_of(1), "heads")


def test_a_name_that_is_a_path_is_never_used_as_one(bundle: Path) -> None:
    data = bundle.read_bytes()
    place, size = data.index(b"heads\0"), len(members(bundle)["heads"])
    for name in (b"../../evil", b"/etc/evil", b"commits"):
        bundle.write_bytes(data[:place] + header(name.decode(), size) + data[place + 512 :])
        report = verify(bundle)
        assert report.findings[-1].part == "header of heads"
        assert f"{name.decode()!r} stands where it is due" in report.findings[-1].text
    assert not (bundle.parent.parent.parent / "evil").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no jobledger audit bundle: it does not begin with manifest.json"),
        (b"PK\x03\x04" + bytes(2000), "is no jobledger audit bundle"),
        (header("manifest.json", 5) + b"hello" + bytes(507), "manifest.json is damaged"),
        (header("manifest.json", 2**40), "it gives no usable size"),
        (header("manifest.json", 100) + b'{"format": ', "The file is truncated"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(UnusableInput, match=said):
        verify(tmp_path / "it")


def test_a_bundle_of_a_later_version_is_refused(bundle: Path) -> None:
    about = members(bundle)["manifest.json"].replace(b'"format_version": 1', b'"format_version": 2')
    with pytest.raises(UnusableInput, match="of format version 2; this version of jobledger knows 1"):
        verify(rebuilt(bundle, {"manifest.json": about}))


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path, "is a folder: name the file"),
        (tmp_path / "pipe", "is no regular file"),
        (tmp_path / "nothing", "No such file"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(UnusableInput, match=said):
            verify(path)


# -- keys -------------------------------------------------------------------------------------------------------------


def test_a_private_key_is_for_its_owner_only(logged: Logged, tmp_path: Path) -> None:
    fingerprint = generate_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert logged.client.audit().export(tmp_path / "bundle", key=tmp_path / "key").key == fingerprint
    with pytest.raises(ArgumentError, match="is there already: no key is ever overwritten"):
        generate_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ArgumentError, match="can be read by others: run `chmod 600"):
        logged.client.audit().export(tmp_path / "bundle", key=tmp_path / "key")


def test_keys_of_openssh_are_used(logged: Logged, tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen on this machine")
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(make, check=True, capture_output=True)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], check=True, capture_output=True, text=True
    )
    exported = logged.client.audit().export(tmp_path / "bundle", key=tmp_path / "key")
    assert exported.key in shown.stdout
    assert verify(tmp_path / "bundle", public_key=tmp_path / "key.pub").trusted


@pytest.mark.parametrize("content", [b"", b"hello", b"ssh-ed25519 AAAA", b"-----BEGIN PUBLIC KEY-----\n"])
def test_what_is_no_key_is_refused(bundle: Path, content: bytes) -> None:
    (bundle.parent / "bad").write_bytes(content)
    with pytest.raises(UnusableInput, match=r"is no public key|is no Ed25519 key"):
        verify(bundle, public_key=bundle.parent / "bad")
    with pytest.raises(UnusableInput, match="is a private key: give the public one"):
        verify(bundle, public_key=bundle.parent / "key")


def test_no_forgery_makes_it_stumble(bundle: Path) -> None:
    """Whatever is in a bundle whose sums fit: a report comes of it, or a refusal."""
    random, sound = Random(1), members(bundle)
    for _ in range(150):
        name = random.choice(["manifest.json", "heads", "index", "commits"])
        data = bytearray(sound[name])
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(data))
            data[place : place + random.choice([0, 1, 1, 8])] = random.choice(
                [b"", bytes((random.randrange(256),)), b"\xff" * 8, bytes(8), b"9"]
            )
        try:
            report = verify(rebuilt(bundle, {name: bytes(data)}))
        except UnusableInput:
            continue
        assert report.ok == (bytes(data) == sound[name]) or name == "manifest.json", bytes(data)

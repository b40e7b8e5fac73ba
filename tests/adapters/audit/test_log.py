"""The log of a server that runs: verified, and held against checkpoints."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest
from nats.js.api import StreamConfig

from jobledger import Client, ServerUnavailable
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.log import encode_message
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import log_settings
from jobledger.audit import FindingKind, UnusableInput, generate_key, read, verify, verify_store
from jobledger.core.codec import digest
from jobledger.errors import JobLedgerError
from support.audit_logs import Row, job_of, random_log, store_rows
from support.servers import NatsServer

from .conftest import Logged


def rewritten(rows: list[Row], job_id: str, version: int) -> list[Row]:
    """Return a log in which a commit is another one, and all hashes are made to fit."""
    new: list[Row] = []
    previous = b""
    for row in rows:
        job, number, commit = row
        if job == job_id and number >= version:
            change = {"writer": "somebody else"} if number == version else {"previous": previous}
            commit = msgspec.structs.replace(commit, **change)
            previous = digest(encode_message(number, commit))
        new.append((job, number, commit))
    return new


def with_stream(url: str, names: Names, change: Callable[[StreamConfig], None], *payloads: bytes) -> None:
    """Make a log that is set in another way, and put something into it."""

    async def make() -> None:
        client = await connect(Endpoint(url), name="test")
        settings = log_settings(names.log_stream, [names.log_subjects])
        change(settings)
        await client.jetstream().add_stream(settings)
        for payload in payloads:
            await client.jetstream().publish(names.log_subject(job_of(1)), payload)
        await client.close()

    asyncio.run(make())


def test_a_log_as_engines_write_it_is_sound(logged: Logged) -> None:
    report = logged.client.audit().verify()
    assert report.ok
    assert (report.commits, report.jobs, report.start, report.last) == (logged.last, 6, 1, logged.last)


def test_a_log_that_there_is_not_cannot_be_verified(logged: Logged) -> None:
    with (
        Client(logged.url, namespace="nothing-here", patience=0) as client,
        pytest.raises(ServerUnavailable, match="there is no log of namespace 'nothing-here' on this server"),
    ):
        client.audit().verify()


def test_a_stream_with_other_settings_is_told(nats_server: NatsServer, tmp_path: Path) -> None:
    names = Names("audited-loose")

    def loosen(settings: StreamConfig) -> None:
        settings.deny_delete, settings.max_msgs_per_subject = False, 10

    commit = random_log(Random(1), jobs=1)[0][2]
    with_stream(nats_server.url, names, loosen, encode_message(1, commit))
    with Client(nats_server.url, namespace=names.namespace) as client:
        found = client.audit().verify().findings
        assert {one.kind for one in found} == {FindingKind.SETTINGS}
        assert sorted(one.text for one in found) == [
            "deny_delete = None, but must be True",
            "max_msgs_per_subject = 10, but must be -1",
        ]
        with pytest.raises(
            JobLedgerError, match="no checkpoint was taken, as the log is not sound: SETTINGS"
        ):
            client.audit().checkpoint(tmp_path / "checkpoint")


def test_a_stream_that_cannot_be_read_is_told_by_its_settings(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    names = Names("audited-closed")

    def close(settings: StreamConfig) -> None:
        settings.allow_direct = False

    commit = random_log(Random(1), jobs=1)[0][2]
    with_stream(nats_server.url, names, close, encode_message(1, commit))
    with Client(nats_server.url, namespace=names.namespace) as client:
        report = client.audit().verify()
        assert [(one.kind, one.text) for one in report.findings] == [
            (FindingKind.SETTINGS, "allow_direct = None, but must be True")
        ]
        assert report.notes == [
            "no commit was looked at: the stream does not allow direct reads (allow_direct)"
        ]
        with pytest.raises(JobLedgerError, match="the log is not sound: SETTINGS"):
            client.audit().checkpoint(tmp_path / "checkpoint")


def test_what_was_deleted_from_the_stream_is_named(nats_server: NatsServer) -> None:
    names = Names("audited-deleted")

    def loosen(settings: StreamConfig) -> None:
        settings.deny_delete = False

    rows = [row for row in random_log(Random(4), jobs=1) if row[0] == job_of(0)]
    with_stream(nats_server.url, names, loosen)
    store_loosely(nats_server.url, names, rows, delete=[2, len(rows)])
    with Client(nats_server.url, namespace=names.namespace) as client:
        found = client.audit().verify().findings
    places = [(one.kind, one.version, one.position) for one in found if one.position]
    assert places == [(FindingKind.DROPPED, 2, 2), (FindingKind.TRUNCATED, 0, len(rows))]


def store_loosely(url: str, names: Names, rows: list[Row], *, delete: list[int]) -> None:
    async def store() -> None:
        client = await connect(Endpoint(url), name="test")
        for job_id, version, commit in rows:
            await client.jetstream().publish(names.log_subject(job_id), encode_message(version, commit))
        for position in delete:
            await client.jetstream().delete_msg(names.log_stream, position)
        await client.close()

    asyncio.run(store())


def test_garbage_in_the_log_is_named(nats_server: NatsServer) -> None:
    names = Names("audited-garbage")
    commit = random_log(Random(1), jobs=1)[0][2]
    with_stream(
        nats_server.url,
        names,
        lambda settings: None,
        encode_message(1, commit),
        b"\x94\x01\x02\xa1\xff\xc4\x00",
    )
    with Client(nats_server.url, namespace=names.namespace) as client:
        (found,) = client.audit().verify().findings
    assert (found.kind, found.version, found.position) == (FindingKind.EDITED, 2, 2)
    assert "cannot be read" in found.text


# -- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(logged: Logged, key: Path) -> Path:
    """A signed checkpoint of all of it; the key is beside it."""
    return logged.client.audit().checkpoint(key.with_name("log.checkpoint"), key=key).path


def test_a_checkpoint_vouches_for_every_job(logged: Logged, checkpoint: Path) -> None:
    key = checkpoint.parent / "key.pub"
    report = logged.client.audit().verify(checkpoint=checkpoint, public_key=key)
    assert report.ok
    assert (report.vouched, report.notes) == (6, [])
    said = logged.client.audit().verify(checkpoint=checkpoint).notes
    assert "no public key was given to compare" in said[0]


def test_two_checkpoints_of_a_log_are_the_same_bytes(logged: Logged, checkpoint: Path) -> None:
    logged.client.audit().checkpoint(checkpoint.parent / "again", key=checkpoint.parent / "key")
    assert (checkpoint.parent / "again").read_bytes() == checkpoint.read_bytes()


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_history_that_was_rewritten_is_found_and_the_commit_is_named(
    logged: Logged, checkpoint: Path, version: int
) -> None:
    job_id = logged.rows[-1][0]
    folder = checkpoint.parent
    # A server where the log of this namespace is another one.
    server = NatsServer(folder).start()
    try:
        store_rows(server.url, logged.names, rewritten(logged.rows, job_id, version))
        with Client(server.url, namespace=logged.names.namespace) as client:
            assert client.audit().verify().ok
            report = client.audit().verify(checkpoint=checkpoint, public_key=folder / "key.pub")
            client.audit().export(folder / "rewritten.bundle", key=folder / "key")
    finally:
        server.stop()
    stored = verify_store(folder, namespace=logged.names.namespace, checkpoint=checkpoint)
    offline = verify(folder / "rewritten.bundle", checkpoint=checkpoint, public_key=folder / "key.pub")
    for found in (report, offline, stored):
        assert found.first is not None
        assert (found.first.kind, found.first.job_id) == (FindingKind.REWRITTEN, job_id)
        assert (found.first.version, found.first.position) == (version, logged.position(job_id, version))
        assert (found.count, found.vouched) == (1, 5)


def test_a_log_that_was_cut_off_is_found(logged: Logged, checkpoint: Path) -> None:
    folder, kept = checkpoint.parent, logged.last - 3
    server = NatsServer(folder).start()
    try:
        store_rows(server.url, logged.names, logged.rows[:kept])
        with Client(server.url, namespace=logged.names.namespace) as client:
            assert client.audit().verify().ok
            report = client.audit().verify(checkpoint=checkpoint)
    finally:
        server.stop()
    (found,) = report.findings
    assert (found.kind, found.position) == (FindingKind.TRUNCATED, kept + 1)


def test_a_log_goes_on_after_its_checkpoint(nats_server: NatsServer, tmp_path: Path) -> None:
    names = Names("audited-going-on")
    rows = random_log(Random(8), jobs=3)
    store_rows(nats_server.url, names, rows[:8])
    with Client(nats_server.url, namespace=names.namespace) as client:
        taken = client.audit().checkpoint(tmp_path / "checkpoint")
        store_rows(nats_server.url, names, rows[8:], after=rows[:8])
        report = client.audit().verify(checkpoint=tmp_path / "checkpoint")
        client.audit().export(tmp_path / "early", end=5)
        client.audit().export(tmp_path / "late", start=9)
    assert report.ok
    assert report.vouched == taken.jobs
    early = verify(tmp_path / "early", checkpoint=tmp_path / "checkpoint")
    assert (early.ok, early.vouched) == (True, 0)
    assert "only a part was compared" in early.notes[-1]
    with pytest.raises(UnusableInput, match="there is nothing to compare, as these commits begin at 9"):
        verify(tmp_path / "late", checkpoint=tmp_path / "checkpoint")


def test_the_bundle_of_one_job_is_held_against_a_checkpoint(logged: Logged, checkpoint: Path) -> None:
    path = checkpoint.parent / "one.bundle"
    logged.client.audit().export(path, jobs=job_of(2))
    assert verify(path, checkpoint=checkpoint).vouched == 1
    end = next(iter(read(path))).position
    logged.client.audit().export(path, jobs=job_of(2), end=end)
    with pytest.raises(UnusableInput, match="a bundle of some jobs has to reach as far"):
        verify(path, checkpoint=checkpoint)


def test_a_checkpoint_that_is_of_no_use_is_refused(logged: Logged, checkpoint: Path, bundle: Path) -> None:
    audit = logged.client.audit()
    generate_key(checkpoint.parent / "other")
    with pytest.raises(
        UnusableInput, match=r"cannot vouch for anything: SIGNATURE: .* signed by another key"
    ):
        audit.verify(checkpoint=checkpoint, public_key=checkpoint.parent / "other.pub")
    with pytest.raises(
        UnusableInput, match="is no jobledger audit checkpoint: it says that it is 'jobledger audit bundle'"
    ):
        audit.verify(checkpoint=bundle)
    damaged = checkpoint.with_name("damaged")
    data = checkpoint.read_bytes()
    for place in range(600, len(data), 97):
        damaged.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        with pytest.raises(UnusableInput):
            audit.verify(checkpoint=damaged)
    shutil.copy(checkpoint, damaged)
    with (
        Client(logged.url, namespace="audited-loose") as client,
        pytest.raises(UnusableInput, match="is a checkpoint of namespace 'audited', not of 'audited-loose'"),
    ):
        client.audit().verify(checkpoint=damaged)

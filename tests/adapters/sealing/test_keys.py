"""Where keys are kept: one for each job, until it is destroyed, and never again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from jobledger import Client
from jobledger.adapters.link import Link
from jobledger.adapters.nats.asking import jetstream
from jobledger.adapters.nats.buckets import key_value
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from jobledger.adapters.sealing import keys as keyrings
from jobledger.adapters.sealing.keys import Keyring, KeyStore, MemoryKeys
from jobledger.adapters.sealing.nats_keys import keys_over
from jobledger.adapters.sealing.seal import UNSEALED
from jobledger.core.errors import ArgumentError, ErasedError, KeyUnavailable
from support.bytes_on_disk import files_with
from support.servers import NatsServer

run = shared_portal().run


@pytest.fixture
def link(nats_server: NatsServer, names: Names) -> Any:
    link = Link(lambda: Endpoint(nats_server.url), names, "test")
    run(link.open())
    yield link
    run(link.close())


@pytest.fixture(params=["memory", "nats"])
def keys(request: pytest.FixtureRequest, link: Link) -> KeyStore:
    return MemoryKeys() if request.param == "memory" else on_the_server(link)


def on_the_server(link: Link) -> KeyStore:
    async def opened() -> Link:
        return link

    return keys_over(opened, 5.0)


def a_job() -> str:
    return str(uuid4())


# -- every key store --------------------------------------------------------------------------------------------------


def test_each_job_has_a_key_of_its_own(keys: KeyStore) -> None:
    jobs = [a_job() for _ in range(5)]
    made = [run(keys.create(job)) for job in jobs]
    assert {len(key) for key in made} == {32}
    assert len({*made}) == 5
    assert [run(keys.fetch(job)) for job in jobs] == made == [run(keys.create(job)) for job in jobs]


def test_two_who_create_at_once_have_the_same(keys: KeyStore) -> None:
    job = a_job()

    async def several() -> list[bytes]:
        return await asyncio.gather(*(keys.create(job) for _ in range(8)))

    assert len({*run(several())}) == 1


def test_there_is_no_key_that_was_not_created(keys: KeyStore) -> None:
    with pytest.raises(KeyUnavailable, match="there is no key of job"):
        run(keys.fetch(a_job()))


@pytest.mark.parametrize("times", [1, 2])
def test_a_key_that_was_destroyed_never_comes_back(keys: KeyStore, times: int) -> None:
    job, other = a_job(), a_job()
    run(keys.create(job))
    kept = run(keys.create(other))
    for _ in range(times):
        run(keys.destroy(job))
    for again in (keys.fetch, keys.create):
        with pytest.raises(ErasedError, match=f"job {job} was erased"):
            run(again(job))
    assert run(keys.fetch(other)) == kept


def test_what_was_never_created_can_be_destroyed(keys: KeyStore) -> None:
    job = a_job()
    run(keys.destroy(job))
    with pytest.raises(ErasedError):
        run(keys.create(job))


# -- on the server ----------------------------------------------------------------------------------------------------


def test_the_bytes_of_a_destroyed_key_are_overwritten(tmp_path: Any, names: Names) -> None:
    server = NatsServer(tmp_path).start()  # one of its own: all that it stores is searched
    link = Link(lambda: Endpoint(server.url), names, "test")
    try:
        run(link.open())
        keys = on_the_server(link)
        jobs = [a_job() for _ in range(6)]
        made = [run(keys.create(job)) for job in jobs]
        assert all(files_with(server.folder, key) for key in made)
        for job in (jobs[3], jobs[0], jobs[5]):  # in the middle of the file, at its begin and at its end
            run(keys.destroy(job))
        left = [bool(files_with(server.folder, key)) for key in made]
        assert left == [False, True, True, False, True, False]
    finally:
        run(link.close())
        server.kill()


@pytest.mark.parametrize("left", ["overwritten", "marked"])
def test_a_destruction_that_was_broken_off_is_completed(link: Link, left: str) -> None:
    keys, job = on_the_server(link), a_job()
    run(keys.create(job))
    stream = key_value(link.names.keys_bucket)
    last = run(jetstream(link.nc, f"STREAM.INFO.{stream}", {}))["state"]["last_seq"]
    if left == "overwritten":  # and the marker is missing: as if there had never been a key
        run(jetstream(link.nc, f"STREAM.MSG.DELETE.{stream}", {"seq": last}))
    else:
        run(keys.destroy(job))
    run(keys.destroy(job))
    with pytest.raises(ErasedError):
        run(keys.fetch(job))


def test_a_user_without_the_right_to_keys_is_told_so(tmp_path: Any) -> None:
    users = (
        "authorization { users: [ { user: all, password: p }, { user: some, password: p, permissions: { "
        'publish: { deny: ["$JS.API.STREAM.MSG.GET.KV_jobledger-default-keys"] } } } ] }\n'
    )
    server = NatsServer(tmp_path, more_configuration=users).start()
    links = [
        Link(partial(Endpoint, server.url, user=user, password="p"), Names(), "t") for user in ("all", "some")
    ]
    try:
        for link in links:
            run(link.open())
        run(on_the_server(links[0]).create("a-job"))
        with pytest.raises(KeyUnavailable, match=r"key of job a-job .* cannot be used: .* Grant it"):
            run(on_the_server(links[1]).fetch("a-job"))
    finally:
        for link in links:
            run(link.close())
        server.kill()


# -- at hand ----------------------------------------------------------------------------------------------------------


class Counted(MemoryKeys):
    fetched = 0

    async def fetch(self, job_id: str) -> bytes:
        self.fetched += 1
        return await super().fetch(job_id)


def test_a_key_is_at_hand_until_it_is_to_be_forgotten() -> None:
    store = Counted()
    ring = Keyring([store])
    seal = run(ring.create("a-job"))
    store.fetched = 0
    assert seal.key == "memory/a-job"
    assert run(ring.seal("a-job", seal.key)) is seal
    assert store.fetched == 0
    ring.forget("a-job")
    run(ring.seal("a-job", seal.key))
    assert store.fetched == 1


def test_only_a_few_keys_are_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyrings, "_MOST", 3)
    store = Counted()
    ring = Keyring([store])
    for number in range(5):
        run(ring.create(f"job-{number}"))
    store.fetched = 0
    for number in (4, 3, 2):
        run(ring.seal(f"job-{number}", f"memory/job-{number}"))
    assert store.fetched == 0
    run(ring.seal("job-0", "memory/job-0"))
    assert store.fetched == 1


def test_a_key_that_was_destroyed_is_not_at_hand() -> None:
    ring = Keyring([MemoryKeys()])
    seal = run(ring.create("a-job"))
    run(ring.destroy("a-job", seal.key))
    with pytest.raises(ErasedError):
        run(ring.seal("a-job", seal.key))


def test_what_is_not_sealed_needs_no_key() -> None:
    assert run(Keyring([]).seal("a-job", "")) is UNSEALED


def test_a_key_store_that_is_not_known_is_named() -> None:
    ring = Keyring([MemoryKeys()])
    assert ("memory/a-job" in ring, "vault/a-job" in ring) == (True, False)
    with pytest.raises(
        KeyUnavailable, match="kept by 'vault', and this program only has 'memory': pass the key store"
    ):
        run(ring.seal("a-job", "vault/a-job"))


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33), None, "text" * 8])
def test_a_key_store_that_returns_something_else_is_told(key: Any) -> None:
    class Wrong(MemoryKeys):
        async def create(self, job_id: str) -> Any:
            return key

    with pytest.raises(KeyUnavailable, match=r"'memory' returned .* something other than 32 bytes"):
        run(Keyring([Wrong()]).create("a-job"))


def test_whatever_a_key_store_raises_is_told_as_such() -> None:
    class Broken(MemoryKeys):
        async def _fail(self, job_id: str) -> Any:
            raise OSError("no route to host")

        create = fetch = destroy = _fail

    ring = Keyring([Broken()])
    for work in (
        ring.create("a-job"),
        ring.seal("a-job", "memory/a-job"),
        ring.destroy("a-job", "memory/a-job"),
    ):
        with pytest.raises(KeyUnavailable, match="key store 'memory' failed: OSError\\('no route to host'"):
            run(work)


class Nameless:
    name = ""


class Lame:
    name = "lame"

    async def create(self, job_id: str) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("vault", "is no key store: it needs a `name`"),
        (Nameless(), "it needs a `name` of 1 to 64 characters"),
        (MemoryKeys("a/b"), "without a slash"),
        (MemoryKeys("nats"), "other than 'nats'"),
        (Lame(), "it has no method fetch and no destroy"),
    ],
    ids=["text", "nameless", "slash", "taken", "lame"],
)
def test_a_client_is_given_nothing_else_for_a_key_store(keys: Any, problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        Client("nats://127.0.0.1:1", keys=keys)

"""The object store of a namespace: what is put there is read back whole, and goes with its job."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import nats.errors
import pytest

from jobledger.adapters import objects
from jobledger.adapters.nats import leader
from jobledger.adapters.nats.chunks import CHUNK
from jobledger.adapters.nats.connection import connect
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import StreamSettingsError, ensure_log
from jobledger.adapters.nats.wire import Wire
from jobledger.core.errors import ArgumentError, ServerAway, ServerUnavailable
from support.servers import NatsCluster, NatsServer
from support.waiting import eventually_async

JOB, OTHER = str(uuid4()), str(uuid4())


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Wire]:
    client = await connect(Endpoint(url), name="test")
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def run(plain_nats_server: NatsServer) -> Callable[[Callable[[Wire], Awaitable[None]]], None]:
    """Run a scenario with a connection to the plain server."""

    def run(scenario: Callable[[Wire], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with connected(plain_nats_server.url) as client:
                await scenario(client)

        asyncio.run(whole())

    return run


Run = Callable[[Callable[[Wire], Awaitable[None]]], None]


async def subjects(client: Wire, names: Names) -> list[str]:
    return await leader.subjects_in(client, f"OBJ_{names.objects_bucket}", ">")


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 5_000_000])
def test_what_was_stored_is_read_back(run: Run, names: Names, size: int) -> None:
    data = os.urandom(size)

    async def scenario(client: Wire) -> None:
        name = await objects.put(client, names, JOB, data)
        assert name == f"{JOB}/{hashlib.sha256(data).hexdigest()}"
        assert await objects.get(client, names, name) == data

    run(scenario)


def test_the_same_bytes_are_stored_once_per_job(run: Run, names: Names) -> None:
    data = os.urandom(300_000)

    async def scenario(client: Wire) -> None:
        first = await objects.put(client, names, JOB, data)
        stored = await subjects(client, names)
        sent = client.stats["out_bytes"]
        assert await objects.put(client, names, JOB, data) == first
        assert await subjects(client, names) == stored
        assert client.stats["out_bytes"] - sent < 1000

        assert await objects.put(client, names, OTHER, data) != first
        assert len(await subjects(client, names)) == 2 * len(stored)

    run(scenario)


def test_the_same_bytes_stored_twice_at_once_are_whole_and_there_once(run: Run, names: Names) -> None:
    data = os.urandom(3_000_000)

    async def scenario(client: Wire) -> None:
        await objects.put(client, names, OTHER, b"the bucket is there")
        before = len(await subjects(client, names))
        found = await asyncio.gather(*(objects.put(client, names, JOB, data) for _ in range(4)))
        assert len(set(found)) == 1
        assert await objects.get(client, names, found[0]) == data
        assert len(await subjects(client, names)) == before + 2  # its chunks and its description

    run(scenario)


def test_several_who_store_first_make_one_bucket(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        stored = await asyncio.gather(*(objects.put(client, names, JOB, bytes([n])) for n in range(8)))
        assert [await objects.get(client, names, name) for name in stored] == [bytes([n]) for n in range(8)]

    run(scenario)


def test_other_clients_of_the_object_store_read_it(run: Run, names: Names) -> None:
    data = os.urandom(300_000)

    async def scenario(client: Wire) -> None:
        name = await objects.put(client, names, JOB, data)
        bucket = await client.jetstream().object_store(names.objects_bucket)
        assert (await bucket.get(name)).data == data
        assert [info.name for info in await bucket.list()] == [name]

    run(scenario)


def test_what_is_not_there(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        absent = f"{JOB}/{'0' * 64}"
        with pytest.raises(
            objects.MissingObject, match=f"{absent}.*job {JOB} was deleted.*Submit the job again"
        ):
            await objects.get(client, names, absent)  # no bucket
        await objects.put(client, names, JOB, b"x")
        with pytest.raises(objects.MissingObject, match=absent):
            await objects.get(client, names, absent)  # no such object

    run(scenario)


def test_a_deleted_job_leaves_nothing(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        assert await objects.purge(client, names, JOB) == 0  # no bucket
        mine = [await objects.put(client, names, JOB, os.urandom(200_000)) for _ in range(3)]
        theirs = await objects.put(client, names, OTHER, b"theirs")
        assert await objects.purge(client, names, JOB) == 3
        assert await objects.purge(client, names, JOB) == 0
        assert len(await subjects(client, names)) == 2
        assert await objects.get(client, names, theirs) == b"theirs"
        for name in mine:
            with pytest.raises(objects.MissingObject):
                await objects.get(client, names, name)
        # and may be stored anew, by a job of the same idempotency key
        again = await objects.put(client, names, JOB, b"again")
        assert await objects.get(client, names, again) == b"again"

    run(scenario)


def test_a_copy_outlives_the_original(run: Run, names: Names) -> None:
    data = os.urandom(200_000)

    async def scenario(client: Wire) -> None:
        original = await objects.put(client, names, JOB, data)
        copied = await objects.copy(client, names, original, OTHER)
        await objects.purge(client, names, JOB)
        assert objects.job_of(copied) == OTHER
        assert await objects.get(client, names, copied) == data
        assert (
            await objects.copy(client, names, original, OTHER) == copied
        )  # it is there: the original is not needed

    run(scenario)


def test_lost_parts_are_told(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        name = await objects.put(client, names, JOB, os.urandom(400_000))
        (chunks,) = [subject for subject in await subjects(client, names) if ".C." in subject]
        stream = f"OBJ_{names.objects_bucket}"
        await client.jetstream().purge_stream(stream, subject=chunks, keep=1)
        with pytest.raises(objects.MissingObject, match="1 of its 4 parts are left"):
            await objects.get(client, names, name)
        await client.publish(chunks, b"not what it was")
        await client.publish(chunks, b"not what it was")
        await client.publish(chunks, b"not what it was")
        await client.flush()
        with pytest.raises(objects.DamagedObject, match=rf"{name}.*is damaged.*Submit the job again"):
            await objects.get(client, names, name)

    run(scenario)


@pytest.mark.parametrize("data", [b"", memoryview(b"x" * 16)[:0]])
def test_nothing_cannot_be_stored(run: Run, names: Names, data: bytes) -> None:
    async def scenario(client: Wire) -> None:
        with pytest.raises(ArgumentError, match=r"0 bytes cannot be stored: it has 1 to 1,073,741,824 bytes"):
            await objects.put(client, names, JOB, data)

    run(scenario)


def test_a_full_bucket_says_so_and_keeps_no_parts(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        await objects.put(client, names, JOB, b"x")
        js = client.jetstream()
        settings = (await js.stream_info(f"OBJ_{names.objects_bucket}")).config
        await js.update_stream(settings.evolve(max_bytes=1_000_000))
        with pytest.raises(objects.ObjectRefused, match=rf"2,000,000 bytes of job {OTHER}: .*Make room"):
            await objects.put(client, names, OTHER, bytes(2_000_000))
        assert len(await subjects(client, names)) == 2

    run(scenario)


def test_a_bucket_that_forgets_is_not_used(run: Run, names: Names) -> None:
    async def scenario(client: Wire) -> None:
        stream = f"OBJ_{names.objects_bucket}"
        # Not one of ours: it does not even take the subjects.
        await client.jetstream().add_stream(name=stream, subjects=[f"{names.prefix}.elsewhere"], max_age=60)
        with pytest.raises(StreamSettingsError, match=rf"{stream}.*has subjects"):
            await objects.put(client, names, JOB, b"x")

    run(scenario)


def test_a_server_that_is_away(names: Names, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = NatsServer(tmp_path_factory.mktemp("mortal")).start()

    async def scenario() -> None:
        async with connected(server.url) as client:
            name = await objects.put(client, names, JOB, b"x")
            await asyncio.to_thread(server.kill)
            for work in (
                objects.get(client, names, name),
                objects.put(client, names, JOB, b"y"),
                objects.purge(client, names, JOB),
            ):
                with pytest.raises(ServerAway):
                    await work

    asyncio.run(scenario())


def test_the_bucket_has_as_many_replicas_as_the_log(
    names: Names, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cluster = NatsCluster(tmp_path_factory.mktemp("cluster"))
    data = os.urandom(1_000_000)

    async def stored() -> bool:
        """Whether it could be done; not while the servers elect their leaders."""
        try:
            async with connected(cluster.url) as client:
                await ensure_log(client.jetstream(), names, replicas=3)
                name = await objects.put(client, names, JOB, data)
                assert await objects.get(client, names, name) == data
                bucket = await client.jetstream().stream_info(f"OBJ_{names.objects_bucket}")
                assert bucket.config.num_replicas == 3
                return True
        except (ServerUnavailable, nats.errors.Error):
            return False

    try:
        asyncio.run(eventually_async(stored, within=60))
    finally:
        cluster.stop()

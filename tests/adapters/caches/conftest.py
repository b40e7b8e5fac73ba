"""Every kind of cache, on real servers where it needs one."""

from __future__ import annotations

import itertools
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore, MemoryStore

from jobledger import Client
from jobledger.adapters.nats.names import Names
from jobledger.cache import (
    AmazonS3Cache,
    InMemoryCache,
    JobCache,
    LocalFileSystemCache,
    NatsCache,
    ObstoreCache,
)
from support.servers import NatsServer

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def s3_endpoint() -> Iterator[str]:
    """A server that speaks the protocol of S3, and has a bucket called `bucket`."""
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
    yield endpoint
    server.stop()


@pytest.fixture
def s3_cache(s3_endpoint: str) -> AmazonS3Cache:
    return AmazonS3Cache(
        "bucket",
        f"jobs/{next(_numbers)}",
        region="us-east-1",
        endpoint=s3_endpoint,
        access_key_id="k",
        secret_access_key="s",
    )


@pytest.fixture
def nats_client(nats_server: NatsServer, names: Names) -> Iterator[Client]:
    with Client(nats_server.url, namespace=names.namespace) as client:
        yield client


@pytest.fixture
def nats_cache(nats_client: Client) -> NatsCache:
    return NatsCache(nats_client)


_KINDS: dict[str, Callable[[pytest.FixtureRequest, Path], JobCache]] = {
    "memory": lambda _, folder: InMemoryCache(),
    "memory group": lambda _, folder: InMemoryCache().group("job/1"),
    "files": lambda _, folder: LocalFileSystemCache(folder / "cache"),
    "files unsynced": lambda _, folder: LocalFileSystemCache(str(folder), sync=False),
    "files group": lambda _, folder: LocalFileSystemCache(folder).group("job/1"),
    "nats": lambda request, _: request.getfixturevalue("nats_cache"),
    "nats group": lambda request, _: request.getfixturevalue("nats_cache").group("job.1/*"),
    "obstore memory": lambda _, folder: ObstoreCache(MemoryStore()),
    "obstore files": lambda _, folder: ObstoreCache(LocalStore(folder), "some/where"),
    "s3": lambda request, _: request.getfixturevalue("s3_cache"),
}


@pytest.fixture(params=_KINDS)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> JobCache:
    return _KINDS[request.param](request, tmp_path)

"""Caches in object stores: a real server for the protocol of S3, local ones for what is particular to none."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from jobledger.cache import (
    AmazonS3Cache,
    AzureBlobCache,
    CacheError,
    GoogleStorageCache,
    JobCache,
    LocalFileSystemCache,
    ObstoreCache,
)
from jobledger.core.errors import ArgumentError

KEYS = {"access_key_id": "k", "secret_access_key": "s"}
#: a store that is not there is not looked for at length
AT_ONCE: dict[str, Any] = {"retry_config": {"max_retries": 0}}


def test_files_are_those_of_the_cache_in_files(tmp_path: Path) -> None:
    objects, files = ObstoreCache(LocalStore(tmp_path)), LocalFileSystemCache(tmp_path)
    objects["raw/.Scene 1.tif"] = b"1"
    files["raw/b"] = b"2"
    assert dict(files.group("raw").items()) == dict(objects.group("raw").items())
    assert objects["raw/b"] == files["raw/b"] == b"2"


def test_objects_are_found_where_they_are_expected() -> None:
    store = MemoryStore()
    cache = ObstoreCache(store, "jobs/mine")
    cache["a b/c"] = b"1"
    assert [entry["path"] for entry in store.list().collect()] == ["jobs/mine/a%20b+/c"]
    store.put("jobs/mine/not encoded", b"")
    store.put("jobs/minegold", b"")
    assert list(cache) == []


def test_a_large_value_is_kept(s3_cache: AmazonS3Cache) -> None:
    s3_cache["a"] = value = os.urandom(12_000_000)
    assert s3_cache["a"] == value


def test_another_process_finds_the_values(s3_cache: AmazonS3Cache, tmp_path: Path) -> None:
    for cache in (s3_cache, ObstoreCache(LocalStore(tmp_path))):
        cache["a/b"] = b"1"
        again: JobCache = pickle.loads(pickle.dumps(cache.group("a")))
        assert dict(again.items()) == {"b": b"1"}


def test_the_environment_says_who_one_is(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    cache = AmazonS3Cache("bucket", "environment", endpoint=s3_endpoint)
    cache["a"] = b"1"
    assert cache["a"] == b"1"


# -- what goes wrong --------------------------------------------------------------------------------------------------


def uses(cache: JobCache) -> dict[str, Callable[[], Any]]:
    return {
        "read": lambda: cache["a"],
        "look": lambda: "a" in cache,
        "store": lambda: cache.__setitem__("a", b""),
        "delete": lambda: cache.__delitem__("a"),
        "list": lambda: list(cache.group("g")),
    }


@pytest.mark.parametrize("use", ["read", "look", "store", "delete", "list"])
def test_a_bucket_that_is_not_there_is_no_missing_key(s3_endpoint: str, use: str) -> None:
    cache = AmazonS3Cache("nowhere", region="us-east-1", endpoint=s3_endpoint, **KEYS)
    with pytest.raises(
        CacheError, match=r'"nowhere".* cannot be used: NoSuchBucket: .*\. Check that it exists'
    ) as caught:
        uses(cache)[use]()
    assert not isinstance(caught.value, KeyError)
    assert "Debug source" not in str(caught.value)


@pytest.mark.parametrize("use", ["read", "look", "store", "delete", "list"])
def test_a_store_that_cannot_be_reached_is_told(use: str) -> None:
    cache = AmazonS3Cache("bucket", region="us-east-1", endpoint="http://127.0.0.1:1", **KEYS, **AT_ONCE)
    with pytest.raises(CacheError, match="cannot be used"):
        uses(cache)[use]()


def test_files_where_a_folder_is_expected_are_told(tmp_path: Path) -> None:
    cache = ObstoreCache(LocalStore(tmp_path))
    (tmp_path / "g+").write_bytes(b"")
    with pytest.raises(CacheError, match="cannot be used"):
        cache["g/a"] = b""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ObstoreCache("bucket"), "store='bucket' is no store of obstore"),
        (lambda: ObstoreCache(None), "store=None is no store"),
        (lambda: ObstoreCache(MemoryStore(), "../up"), r"prefix='\.\./up' cannot begin"),
        (lambda: ObstoreCache(MemoryStore(), 301 * "x"), "up to 300 bytes"),
        (lambda: ObstoreCache(MemoryStore(), "a\nb"), "cannot begin the names of objects"),
        (lambda: ObstoreCache(MemoryStore(), 5), "prefix=5 is no path"),  # type: ignore[arg-type]
        (lambda: ObstoreCache(MemoryStore(), b"a"), "prefix=b'a' is no path"),  # type: ignore[arg-type]
        (lambda: AmazonS3Cache(""), "bucket='' is no name"),
        (lambda: AmazonS3Cache("s3://bucket/x"), "bucket='s3://bucket/x' is no name"),
        (lambda: AmazonS3Cache(5), "bucket=5 is no name"),  # type: ignore[arg-type]
        (lambda: AmazonS3Cache("b", region=""), "region='' is no name"),
        (lambda: AmazonS3Cache("b", colour="red", **KEYS), "AmazonS3Cache of 'b' cannot be made: .*colour"),
        (lambda: GoogleStorageCache(None), "bucket=None is no name"),
        (
            lambda: GoogleStorageCache("b", service_account_key="{"),
            "GoogleStorageCache of 'b' cannot be made",
        ),
        (lambda: AzureBlobCache("", "c"), "account_name='' is no name"),
        (lambda: AzureBlobCache("a", "b/c"), "container='b/c' is no name"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ArgumentError, match=says) as caught:
        make()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("prefix", ["", ".", "/", "jobs", "jobs/", "/jobs/./mine/", PurePosixPath("jobs")])
def test_a_prefix_is_a_path(prefix: str) -> None:
    cache = ObstoreCache(MemoryStore(), prefix)
    cache["a"] = b"1"
    assert list(cache) == ["a"]
    assert cache.prefix == str(prefix).replace("/./", "/").strip("/.")


class Bucket:
    """As the Google SDK has it."""

    name = "named"


def test_stores_of_three_providers_take_what_their_users_know() -> None:
    s3 = AmazonS3Cache("bucket", "jobs", region="eu-central-1", **KEYS)
    google = GoogleStorageCache(Bucket(), skip_signature=True)
    azure = AzureBlobCache("account", "container", account_key="a2V5")
    assert (s3.bucket, google.bucket, azure.container) == ("bucket", "named", "container")
    assert {cache.prefix for cache in (s3, google, azure)} == {"jobs"}
    assert isinstance(s3.group("a").store, S3Store)
    assert "AmazonS3Cache" in repr(s3)
    assert "s3cret" not in repr(AmazonS3Cache("bucket", access_key_id="k", secret_access_key="s3cret"))


def test_without_the_library_the_remedy_is_told() -> None:
    program = """
import sys
sys.modules["obstore"] = None
from jobledger.cache import AmazonS3Cache, AzureBlobCache, GoogleStorageCache, InMemoryCache
for make in (lambda: AmazonS3Cache("b"), lambda: GoogleStorageCache("b"), lambda: AzureBlobCache("a", "c")):
    try:
        make()
    except Exception as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    told = "needs the obstore library, which is not installed: pip install 'jobledger[cloud]'"
    assert done.stdout.splitlines() == [
        f"CacheNotConfigured {kind} {told}"
        for kind in ("AmazonS3Cache", "GoogleStorageCache", "AzureBlobCache")
    ]

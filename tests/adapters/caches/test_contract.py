"""What every cache does: one contract for all of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from jobledger.cache import InMemoryCache, JobCache, LocalFileSystemCache, NatsCache, ObstoreCache
from jobledger.core.errors import ArgumentError


def test_values_are_kept(cache: JobCache) -> None:
    assert "a" not in cache
    cache["a"] = b"\x00value"
    assert "a" in cache
    assert cache["a"] == b"\x00value"
    cache["a"] = b""
    assert cache["a"] == b""


def test_a_missing_key(cache: JobCache) -> None:
    cache.group("a")["b"] = b""
    for key in ("a", "b", "a/c", "a/b/c"):
        with pytest.raises(KeyError, match=f"no key '{key}'"):
            cache[key]
        with pytest.raises(KeyError, match=f"no key '{key}'"):
            del cache[key]
        assert key not in cache


def test_a_key_can_be_deleted(cache: JobCache) -> None:
    cache["a"] = cache["b"] = cache["g/a"] = b"1"
    del cache["a"]
    assert list(cache) == ["b"]
    del cache.group("g")["a"]
    assert list(cache.group("g")) == []
    cache["g/a"] = b"2"
    assert cache["g/a"] == b"2"


def test_iteration_gives_direct_keys_in_order(cache: JobCache) -> None:
    for key in ("b", "a", "Z", "group/inner", "group/deep/est", "ä"):
        cache[key] = key.encode()
    assert list(cache) == ["Z", "a", "b", "ä"]
    assert dict(cache.items()) == {"Z": b"Z", "a": b"a", "b": b"b", "ä": "ä".encode()}
    assert list(cache.group("group")) == ["inner"]
    assert list(cache.group("group").items()) == [("inner", b"group/inner")]
    assert list(cache.group("nothing")) == []


def test_a_slash_is_a_group(cache: JobCache) -> None:
    cache["a/b/c"] = b"1"
    for same in (cache.group("a/b"), cache.group("a").group("b")):
        assert same["c"] == b"1"
        assert "c" in same
        assert list(same) == ["c"]
    cache.group("a").group("b")["d"] = b"2"
    assert cache["a/b/d"] == b"2"
    assert cache.group("a")["b/d"] == b"2"


def test_a_key_and_a_group_of_the_same_name(cache: JobCache) -> None:
    cache["a"] = b"key"
    cache["a/a"] = b"inner"
    cache["a+"] = b"plus"
    cache["a+/a"] = b"inner plus"
    assert [cache["a"], cache["a/a"], cache["a+"], cache["a+/a"]] == [
        b"key",
        b"inner",
        b"plus",
        b"inner plus",
    ]
    assert list(cache) == ["a", "a+"]


def test_groups_see_each_other_only_by_name(cache: JobCache) -> None:
    cache.group("1")["a"] = b"1"
    cache.group("2")["a"] = b"2"
    assert cache.group("1")["a"] == b"1"
    assert "a" not in cache


def test_a_cache_may_change_while_it_is_iterated(cache: JobCache) -> None:
    cache["a"] = cache["b"] = b""
    for key in cache:
        cache[key + key] = b""
        del cache[key]
    assert list(cache) == ["aa", "bb"]
    pairs = cache.items()
    assert next(pairs) == ("aa", b"")
    del cache["bb"]
    assert list(pairs) == []


def test_values_are_bytes(cache: JobCache) -> None:
    source = bytearray(b"ab")
    cache["array"] = source  # type: ignore[assignment]
    cache["view"] = memoryview(b"cd")  # type: ignore[assignment]
    source[0] = 0
    assert cache["array"] == b"ab"
    assert type(cache["array"]) is bytes
    assert cache["view"] == b"cd"
    for wrong in ("text", 3, None, [1]):
        with pytest.raises(ArgumentError, match=r"not bytes: it was not stored\. Encode it"):
            cache["a"] = wrong  # type: ignore[assignment]
    assert "a" not in cache


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/.",
        "/etc/passwd",
        "\ud800",
        "x" * 201,
        "ä" * 34,
        "a/" * 1000 + "a",
        3,
        None,
        b"a",
        Path("a"),
    ],
)
def test_unusable_keys_are_refused(cache: JobCache, key: str) -> None:
    for use in (
        lambda: cache[key],
        lambda: key in cache,
        lambda: cache.__setitem__(key, b""),
        lambda: cache.__delitem__(key),
        lambda: cache.group(key),
    ):
        with pytest.raises(ArgumentError, match=r"cache key .*[Nn]othing was read or stored") as caught:
            use()
        assert len(str(caught.value)) < 400
    assert list(cache) == []


@pytest.mark.parametrize(
    "key",
    [
        "a\x00b",
        "...",
        "..a",
        ".hidden",
        "~",
        "a b",
        "%2E%2E",
        "%",
        "a\\b",
        "C:",
        "new\nline",
        "+",
        "a+",
        "-rf",
        "*?",
        "日本語",
        "e\u0301",
        "\u00e9",
        "x" * 200,
        "ä" * 33,
        "con",
        "a" * 190 + "/" + "b" * 190,
    ],
)
def test_odd_keys_are_kept_as_they_are(cache: JobCache, key: str) -> None:
    cache[key] = b"1"
    cache.group("g").group(key)["x"] = b"2"
    assert cache[key] == b"1"
    assert key in cache
    assert list(cache) == [key] or "/" in key
    assert cache["g/" + key + "/x"] == b"2"


def test_groups_inside_groups_come_to_an_end(cache: JobCache) -> None:
    def descend() -> None:
        inner = cache
        for _ in range(100):
            inner = inner.group("x" * 150)

    with pytest.raises(ArgumentError, match="too long"):
        descend()


segments = st.text(min_size=1, max_size=12) | st.sampled_from(["..", ".", "a", "a+", "%61", "A"])
keys = st.lists(segments, min_size=1, max_size=3).map("/".join)
steps = st.lists(
    st.tuples(st.sampled_from(["set", "delete", "get"]), keys, st.binary(max_size=8)), max_size=20
)


@given(steps)
@example([("set", "a", b""), ("set", "a+/a", b""), ("set", "a/a", b""), ("delete", "a", b"")])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_all_caches_behave_alike(
    tmp_path: Path, nats_cache: NatsCache, plan: list[tuple[str, str, bytes]]
) -> None:
    memory: JobCache = InMemoryCache()
    fresh = os.urandom(8).hex()
    around = tmp_path / fresh
    others = [
        LocalFileSystemCache(around / "root", sync=False),
        nats_cache.group(fresh),
        ObstoreCache(MemoryStore(), fresh),
    ]

    def outcome(cache: JobCache, action: str, key: str, value: bytes) -> object:
        try:
            if action == "set":
                cache[key] = value
            elif action == "delete":
                del cache[key]
            else:
                return cache[key]
        except (KeyError, ArgumentError) as error:
            return type(error), str(error)
        return None

    model: dict[str, bytes] = {}
    for action, key, value in plan:
        said = outcome(memory, action, key, value)
        for cache in others:
            heard = outcome(cache, action, key, value)
            assert _without_group(heard, fresh) == said
        if action == "set" and said is None:
            model[key] = value
        elif action == "delete" and said is None:
            del model[key]
        elif action == "get" and isinstance(said, bytes):
            assert said == model[key]
    for cache in (memory, *others):
        assert dict(cache.items()) == {key: value for key, value in model.items() if "/" not in key}
        assert all(cache[key] == value for key, value in model.items())
    assert not around.exists() or os.listdir(around) == ["root"]


def _without_group(outcome: object, group: str) -> object:
    """The error of a missing key names the group it is missing in; that of the test itself is left out."""
    if not isinstance(outcome, tuple):
        return outcome
    kind, said = outcome
    return kind, said.replace(f" in group '{group}'", "").replace(f"in group '{group}/", "in group '")


def test_threads_see_whole_values(cache: JobCache) -> None:
    values = [bytes([number]) * 70_000 for number in range(4)]
    cache["shared"] = values[0]
    seen: list[bytes] = []
    gate = threading.Barrier(8)

    def write(value: bytes) -> None:
        gate.wait(30)
        for turn in range(15):
            cache["shared"] = value
            cache[f"own/{value[0]}/{turn}"] = value

    def read() -> None:
        gate.wait(30)
        for _ in range(60):
            seen.append(cache["shared"])
            list(cache.items())

    threads = [threading.Thread(target=write, args=(value,)) for value in values]
    threads += [threading.Thread(target=read) for _ in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(seen) == 240
    assert set(seen) <= set(values)
    assert [len(list(cache.group(f"own/{number}"))) for number in range(4)] == [15] * 4
    assert list(cache) == ["shared"]

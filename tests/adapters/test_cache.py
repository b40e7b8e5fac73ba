"""Caches: one contract for all of them, and what is particular to each."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobledger.cache import CacheNotConfigured, InMemoryCache, JobCache, LocalFileSystemCache, NoCache
from jobledger.core.errors import ArgumentError, JobLedgerError

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@pytest.fixture(params=["memory", "memory group", "files", "files unsynced", "files group"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> JobCache:
    made: dict[str, Callable[[], JobCache]] = {
        "memory": InMemoryCache,
        "memory group": lambda: InMemoryCache().group("job/1"),
        "files": lambda: LocalFileSystemCache(tmp_path / "cache"),
        "files unsynced": lambda: LocalFileSystemCache(str(tmp_path), sync=False),
        "files group": lambda: LocalFileSystemCache(tmp_path).group("job/1"),
    }
    return made[request.param]()


# ------------------------------------------------------------------------------------------------- the contract


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
def test_all_caches_behave_alike(tmp_path: Path, plan: list[tuple[str, str, bytes]]) -> None:
    memory: JobCache = InMemoryCache()
    around = tmp_path / os.urandom(8).hex()
    files: JobCache = LocalFileSystemCache(around / "root", sync=False)

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
        assert outcome(files, action, key, value) == said
        if action == "set" and said is None:
            model[key] = value
        elif action == "delete" and said is None:
            del model[key]
        elif action == "get" and isinstance(said, bytes):
            assert said == model[key]
    for cache in (memory, files):
        assert dict(cache.items()) == {key: value for key, value in model.items() if "/" not in key}
        assert all(cache[key] == value for key, value in model.items())
    assert not around.exists() or os.listdir(around) == ["root"]


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


# ------------------------------------------------------------------------------------------------- no cache


def test_no_cache_says_how_to_have_one() -> None:
    cache = NoCache()
    for use in (
        lambda: cache["a"],
        lambda: "a" in cache,
        lambda: cache.__setitem__("a", b""),
        lambda: cache.__delitem__("a"),
        lambda: list(cache),
        lambda: list(cache.items()),
        lambda: cache.group("a").group("b")["c"],
    ):
        with pytest.raises(CacheNotConfigured, match=r"no cache.*cache=LocalFileSystemCache") as caught:
            use()
        assert isinstance(caught.value, JobLedgerError)
        assert not isinstance(caught.value, KeyError)


# ------------------------------------------------------------------------------------------------- in memory


def test_a_cache_in_memory_stays_in_its_process() -> None:
    with pytest.raises(TypeError, match="cannot be handed to another process"):
        pickle.dumps(InMemoryCache())


def test_deleted_groups_leave_nothing_behind() -> None:
    cache = InMemoryCache()
    for number in range(100):
        cache[f"{number}/a"] = b""
        del cache[f"{number}/a"]
    assert not cache._groups


# ------------------------------------------------------------------------------------------------- files


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_keys_are_readable_file_names(tmp_path: Path) -> None:
    cache = LocalFileSystemCache(tmp_path)
    cache["raw/Scene_1.tif"] = b"content"
    cache[".a b"] = b""
    assert files_below(tmp_path) == ["%2Ea%20b", "raw+/Scene_1.tif"]
    assert (tmp_path / "raw+" / "Scene_1.tif").read_bytes() == b"content"


def test_another_process_finds_the_values(tmp_path: Path) -> None:
    LocalFileSystemCache(tmp_path)["a/b"] = b"1"
    again = pickle.loads(pickle.dumps(LocalFileSystemCache(tmp_path).group("a")))
    assert dict(again.items()) == {"b": b"1"}


def test_foreign_files_are_no_keys(tmp_path: Path) -> None:
    cache = LocalFileSystemCache(tmp_path)
    cache["a"] = b""
    for name in (".half-written", "not encoded", "%zz", "%2e", "dir"):
        (tmp_path / name).mkdir() if name == "dir" else (tmp_path / name).write_bytes(b"")
    assert list(cache) == ["a"]


def test_a_value_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = LocalFileSystemCache(tmp_path)
    cache["a"] = b"old"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "full").write_bytes(b"")
    with pytest.raises(OSError, match="directory"):
        cache["b"] = b"new"
    assert files_below(tmp_path) == ["a", "b/full"]
    assert cache["a"] == b"old"


def test_the_root_is_fixed_when_the_cache_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    cache = LocalFileSystemCache()
    monkeypatch.chdir(tmp_path / "elsewhere")
    cache["a"] = b""
    assert files_below(tmp_path) == ["cache/a"]


def test_files_can_be_shared_as_the_umask_allows(tmp_path: Path) -> None:
    LocalFileSystemCache(tmp_path)["a"] = b""
    before = os.umask(0)
    os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~before


def fill(root: Path, number: int, barrier: object) -> None:
    cache = LocalFileSystemCache(root).group("job")
    barrier.wait(30)  # type: ignore[attr-defined]
    for turn in range(20):
        cache["shared"] = bytes([number]) * 50_000
        cache[f"deep/{turn}/{number}"] = b"1"
        assert len(set(cache["shared"])) == 1
        assert len(cache["shared"]) == 50_000


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    processes = [context.Process(target=fill, args=(tmp_path, number, barrier)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert list(LocalFileSystemCache(tmp_path).group("job/deep/19")) == ["0", "1", "2"]
    assert not [name for name in files_below(tmp_path) if os.path.basename(name).startswith(".")]

"""No cache, a cache in memory, and one in files: what is particular to each."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import stat
from pathlib import Path

import pytest

from jobledger.cache import CacheNotConfigured, InMemoryCache, LocalFileSystemCache, NoCache
from jobledger.core.errors import JobLedgerError

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")

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
        with pytest.raises(CacheNotConfigured, match=r"cache=NoCache\(\).*Leave the argument out") as caught:
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

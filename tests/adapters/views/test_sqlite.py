"""What becomes of an SQLite file that is not as it should be."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from jobledger.adapters.views import sqlite_search
from jobledger.adapters.views.sqlite import SQLiteJobs
from jobledger.adapters.views.store import JobStore, Log, StoreDamaged
from jobledger.core.errors import ArgumentError
from jobledger.projections.jobs import JobFilter
from support.rows import every_row, row, save

from .conftest import OF, Opened

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite3"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def filled(store: JobStore) -> None:
    save(store, *[row(number, name=f"the import of part {number}") for number in range(2000)])
    store.close()


@pytest.mark.parametrize("content", [b"no database", bytes(5000), b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_put_aside(
    path: Path, url: str, opened: Opened, content: bytes
) -> None:
    path.write_bytes(content)
    store = opened(url)
    save(store, row(1))
    assert every_row(store) == [row(1)]
    assert path.with_name("jobs.sqlite3.aside").read_bytes() == content


def test_a_view_of_another_layout_is_put_aside(path: Path, url: str, opened: Opened) -> None:
    filled(opened(url))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert opened(url).position() == 0
    assert path.with_name("jobs.sqlite3.aside").exists()


def test_a_view_without_one_of_its_tables_is_put_aside(path: Path, url: str, opened: Opened) -> None:
    filled(opened(url))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE facets")
    connection.close()
    assert opened(url).position() == 0


def test_damage_that_shows_while_it_is_used_puts_the_file_aside(path: Path, url: str, opened: Opened) -> None:
    filled(opened(url))
    content = path.read_bytes()
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    leaves = [
        number for number, page in enumerate(pages) if page[0] == 0x0D and b"the import of part" in page
    ]
    for number in leaves[10:20]:  # not what is looked at when it is opened
        pages[number] = b"\xff" * PAGE
    path.write_bytes(b"".join(pages))
    store = opened(url)
    with pytest.raises(StoreDamaged, match="was damaged"):
        every_row(store)
    assert opened(url).position() == 0


def test_the_database_of_another_program_is_left_alone(path: Path, url: str, opened: Opened) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match="database of another program"):
        opened(url)
    assert path.read_bytes() == before


def test_a_view_of_a_log_that_is_gone_is_made_anew(url: str, opened: Opened) -> None:
    filled(opened(url))
    store = opened(url, Log(OF.name, "2030-01-01T00:00:00Z"))
    assert (store.position(), every_row(store)) == (0, [])


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="cannot be a file"):
        opened(f"sqlite:///{tmp_path}/file/jobs.sqlite3")


def test_names_of_files_may_hold_what_addresses_may_not(tmp_path: Path, opened: Opened) -> None:
    opened(f"sqlite:///{tmp_path}/a%3Fb%23c%25d%20e.sqlite3")
    assert (tmp_path / "a?b#c%d e.sqlite3").exists()


@pytest.mark.parametrize(
    "wanted",
    [
        JobFilter(),
        JobFilter(states=[4]),
        JobFilter(states=[4, 5]),
        JobFilter(name="import"),
        JobFilter(name="import", states=[4]),
        JobFilter(since=1_600_000_000_000_000, before=2_000_000_000_000_000),
        JobFilter(clusters=["default"], states=[4], labels={"team": ["a"]}),
    ],
    ids=str,
)
def test_no_search_has_to_sort_what_it_found(
    url: str, opened: Opened, wanted: JobFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.adapters.views.sqlite_search.FEW", 100)
    store = opened(url)
    some = {"clusters": ["default"], "labels": {"team": "a"}}
    save(store, *[row(number, name=f"the import of {number}", **some) for number in range(2000)])
    plans: list[str] = []

    def trace(statement: str) -> None:
        if statement.startswith("SELECT j.place"):
            plans.append(statement)

    assert isinstance(store, SQLiteJobs)
    with store.datastore.get_connection(commit=False) as connection:
        raw = connection._sqlite_conn
        raw.set_trace_callback(trace)
        with connection.transaction(commit=False) as c:
            assert len(sqlite_search.page(c, wanted, None, 10)) == 10
        raw.set_trace_callback(None)
        assert plans
        for plan in plans:
            steps = [step[3] for step in raw.execute(f"EXPLAIN QUERY PLAN {plan}")]
            assert not [step for step in steps if "TEMP B-TREE" in step], steps

"""What a view in a database promises, whichever database it is."""

from __future__ import annotations

import threading
from random import Random
from uuid import UUID

import pytest

from jobledger.adapters.views import sqlite_search
from jobledger.adapters.views.store import JobStore, Log, Overtaken, check_url, open_store
from jobledger.core.errors import ArgumentError
from jobledger.core.lifecycle import JobState
from jobledger.projections.jobs import Changes, JobFilter
from support.rows import T0, every_row, random_filter, random_row, row, save

from .conftest import OF, Opened


def test_a_new_view_is_empty(store: JobStore) -> None:
    assert (store.position(), every_row(store), store.count(JobFilter())) == (0, [], (0, 0))


def test_a_row_comes_back_as_it_was_saved(store: JobStore) -> None:
    rows = [random_row(Random(number), number) for number in range(20)]
    save(store, *rows)
    assert every_row(store) == sorted(rows, key=lambda one: -one.place)


def test_a_row_is_replaced_by_its_next_state(store: JobStore) -> None:
    save(store, row(1, state=JobState.RUNNING, clusters=["a"]))
    changed = row(1, state=JobState.FAILED, clusters=["a", "b"], reason="ValueError")
    save(store, changed)
    assert every_row(store) == [changed]
    assert every_row(store, JobFilter(states=[JobState.RUNNING.value])) == []
    assert every_row(store, JobFilter(states=[JobState.FAILED.value], clusters=["b"])) == [changed]


def test_a_deleted_job_is_gone_from_every_index(store: JobStore) -> None:
    kept, gone = row(1, name="the import"), row(2, name="the import", labels={"team": "a"})
    save(store, kept, gone)
    save(store, deleted=(gone.place,))
    for wanted in (JobFilter(), JobFilter(name="import"), JobFilter(states=[4]), JobFilter(first_id=kept.id)):
        assert every_row(store, wanted) == [kept]
        assert store.count(wanted).number == 1
    assert every_row(store, JobFilter(labels={"team": ["a"]})) == []


def test_to_delete_what_never_was_is_nothing(store: JobStore) -> None:
    save(store, row(1), deleted=(row(2).place,))
    assert len(every_row(store)) == 1


# -- the position ----------------------------------------------------------------------------------------------------


def test_rows_and_position_move_together_or_not_at_all(store: JobStore) -> None:
    store.save(Changes([row(1)], []), after=0, position=7)
    assert (store.position(), store.page(JobFilter(), behind=None, limit=1).position) == (7, 7)
    with pytest.raises(Overtaken, match="at position 7 instead of 3"):
        store.save(Changes([row(2)], []), after=3, position=9)
    assert (store.position(), every_row(store)) == (7, [row(1)])


def test_of_many_that_move_a_view_at_once_one_does(store_url: str, opened: Opened) -> None:
    stores = [opened(store_url) for _ in range(4)]
    start = threading.Barrier(len(stores))
    moved: list[int] = []

    def move(number: int) -> None:
        start.wait()
        try:
            stores[number].save(Changes([row(1, name=f"by {number}")], []), after=0, position=1)
        except Overtaken:
            return
        moved.append(number)

    threads = [threading.Thread(target=move, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.name for one in every_row(stores[0])] == [f"by {number}" for number in moved]
    assert len(moved) == 1


def test_a_view_is_kept_where_it_was(store_url: str, opened: Opened) -> None:
    first = opened(store_url)
    save(first, row(1), row(2))
    first.close()
    again = opened(store_url)
    assert (again.position(), len(every_row(again))) == (1, 2)


def test_a_view_that_was_reset_is_as_new(store: JobStore) -> None:
    save(store, row(1, name="the import"))
    store.reset()
    assert (store.position(), every_row(store), every_row(store, JobFilter(name="import"))) == (0, [], [])
    save(store, row(1, name="the import"))
    assert (store.position(), len(every_row(store, JobFilter(name="import")))) == (1, 1)


def test_whoever_had_it_before_it_was_reset_is_told(store_url: str, opened: Opened) -> None:
    first, second = opened(store_url), opened(store_url)
    save(first, row(1))
    second.reset()
    with pytest.raises(Overtaken):
        first.save(Changes([row(2)], []), after=1, position=2)


# -- finding ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(store: JobStore) -> JobStore:
    random = Random(1)
    rows = [random_row(random, number) for number in range(60)]
    save(store, *rows)
    return store


@pytest.mark.parametrize("few", [0, 5, 20_000])
def test_every_filter_finds_what_it_means_and_counts_it(
    filled: JobStore, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the search begins at every place it may begin at.
    monkeypatch.setattr(sqlite_search, "FEW", few)
    rows = every_row(filled)
    random = Random(few)
    for _ in range(150):
        wanted = random_filter(random)
        expected = [one for one in rows if wanted.matches(one)]
        assert every_row(filled, wanted, limit=random.choice([1, 7, 1000])) == expected, wanted
        assert filled.count(wanted).number == len(expected), wanted


def test_pages_are_not_disturbed_by_new_jobs(filled: JobStore) -> None:
    before = every_row(filled)
    first = filled.page(JobFilter(), behind=None, limit=10).rows
    save(filled, row(1000), row(1001))
    second = filled.page(JobFilter(), behind=first[-1].place, limit=10).rows
    assert first + second == before[:20]


def test_the_newest_come_first_by_the_time_of_their_submission(store: JobStore) -> None:
    save(store, row(3), row(1), row(2))
    assert [one.name for one in every_row(store)] == ["job 3", "job 2", "job 1"]


def test_ends_of_time_and_of_ids(store: JobStore) -> None:
    save(store, *map(row, range(5)))
    second = 1_000_000
    found = every_row(store, JobFilter(since=T0 + second, before=T0 + 3 * second))
    assert [one.name for one in found] == ["job 2", "job 1"]
    found = every_row(store, JobFilter(first_id=str(UUID(int=1)), last_id=str(UUID(int=3))))
    assert [one.name for one in found] == ["job 3", "job 2", "job 1"]
    assert every_row(store, JobFilter(since=T0 + 1, before=T0 + second)) == []


@pytest.mark.parametrize(
    "name", ["", "x", "it's", 'a "b" c', "100% _sure_", "back\\slash", "\N{SNOWMAN}" * 3, "nu\0l"]
)
def test_any_name_is_found_by_all_of_it(store: JobStore, name: str) -> None:
    save(store, row(1, name=name), row(2, name="something else"))
    found = every_row(store, JobFilter(name=name))
    assert [one.id for one in found] == [row(number).id for number in ((2, 1) if not name else (1,))]


def test_an_integer_of_any_size_a_runner_may_send_can_be_kept(store: JobStore) -> None:
    extreme = row(1, started=2**62, indicators=[("", 2**80, -(2**70))])
    save(store, extreme)
    assert every_row(store)[0].started == 2**62


# -- which store it is -----------------------------------------------------------------------------------------------


def test_two_logs_do_not_share_a_view(store_url: str, opened: Opened) -> None:
    opened(store_url)
    with pytest.raises(ArgumentError, match=r"is the view of .*jobledger-test-log"):
        open_store(store_url, "other", Log("jobledger-other-log", OF.created))


@pytest.mark.parametrize(
    "url", ["", "jobs.db", "mysql://host/db", "sqlite://", "postgresql:///", "sqlite:///"]
)
def test_what_is_no_store_is_refused_in_words(url: str) -> None:
    with pytest.raises(ArgumentError, match=r"write sqlite:///.* or postgresql://"):
        check_url(url)


def test_no_password_is_shown() -> None:
    with pytest.raises(ArgumentError) as refused:
        check_url("mysql://me:secret@host/db")
    assert "secret" not in str(refused.value)

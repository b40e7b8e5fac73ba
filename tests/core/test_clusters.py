"""Clusters: what may be asked of one, and what comes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.core.clusters import (
    ClusterCommand,
    ClusterCreated,
    ClusterDeleted,
    ClusterState,
    ClusterUpdated,
    CreateCluster,
    DeleteCluster,
    UpdateCluster,
    checked_slug,
    decide,
    evolve,
    initial,
    is_slug,
    slug_of,
)
from jobledger.core.errors import ArgumentError, NotFoundError
from jobledger.core.events import UnknownEvent


def after(*commands: ClusterCommand, slug: str = "gpu") -> ClusterState:
    """Return the cluster after these, one microsecond each."""
    state = initial(slug)
    for at, command in enumerate(commands, start=1):
        event = decide(state, command)
        if event is not None:
            state = evolve(state, at, event)
    return state


def test_there_is_none_before_it_is_created_and_after_it_is_deleted() -> None:
    assert not initial("gpu").exists
    assert after(CreateCluster("GPU pool", "fast")) == ClusterState("gpu", "GPU pool", "fast", True, 1, 0)
    gone = after(CreateCluster("GPU pool"), DeleteCluster())
    assert (gone.exists, gone.deleted) == (False, 2)


def test_the_default_one_is_there_from_the_beginning_and_for_good() -> None:
    assert initial("default") == ClusterState("default", "default", exists=True)
    with pytest.raises(ArgumentError, match="'default' cannot be deleted"):
        decide(initial("default"), DeleteCluster())
    with pytest.raises(ArgumentError, match="a cluster with the slug 'default' already"):
        decide(initial("default"), CreateCluster("mine"))
    renamed = after(UpdateCluster(name="everything else"), slug="default")
    assert (renamed.exists, renamed.name) == (True, "everything else")


def test_a_slug_belongs_to_one_cluster_at_a_time() -> None:
    with pytest.raises(
        ArgumentError, match=r"slug 'gpu' already, called 'GPU pool': nothing was created\. Choose"
    ):
        decide(after(CreateCluster("GPU pool")), CreateCluster("another"))
    again = after(CreateCluster("old", "worn"), DeleteCluster(), CreateCluster("new"))
    assert (again.exists, again.name, again.description, again.created) == (True, "new", "", 3)


def test_an_update_changes_what_is_given_and_is_nothing_where_nothing_changes() -> None:
    created = after(CreateCluster("GPU pool", "fast"))
    assert decide(created, UpdateCluster(description="")) == ClusterUpdated(None, "")
    assert decide(created, UpdateCluster("GPUs", "fast")) == ClusterUpdated("GPUs", None)
    assert decide(created, UpdateCluster("GPU pool", "fast")) is None
    assert after(CreateCluster("a", "b"), UpdateCluster(name="c")).description == "b"


@pytest.mark.parametrize("command", [UpdateCluster("a"), DeleteCluster()])
def test_what_is_not_there_cannot_be_changed(command: ClusterCommand) -> None:
    with pytest.raises(NotFoundError, match=r"no cluster 'gpu'$"):
        decide(initial("gpu"), command)
    with pytest.raises(NotFoundError, match="no cluster 'gpu' any more"):
        decide(after(CreateCluster("a"), DeleteCluster()), command)


@pytest.mark.parametrize(
    ("name", "description", "says"),
    [
        ("", "", "name='' is blank"),
        (" \n", "", r"name=' \\n' is blank"),
        (101 * "x", "", "101 characters, at most 100"),
        (5, "", "name=5 is a int, not text"),
        ("\ud800", "", "lone surrogate"),
        ("a", 50_001 * "x", "description has 50,001 characters, 50,000 are possible"),
        ("a", None, "description=None is a NoneType, not text"),
        ("a", "\ud800", "lone surrogate"),
    ],
)
def test_texts_that_cannot_be_kept_are_refused(name: str, description: str, says: str) -> None:
    with pytest.raises(ArgumentError, match=says) as caught:
        decide(initial("gpu"), CreateCluster(name, description))
    assert len(str(caught.value)) < 300


def test_texts_may_be_as_long_as_promised() -> None:
    state = after(CreateCluster(100 * "ü", 50_000 * "ü"))
    assert (len(state.name), len(state.description)) == (100, 50_000)


@pytest.mark.parametrize("slug", ["", "a b", "a.b", "ä", "a_b", "a/b", "*", ">", 101 * "x", "a\n", None, 5])
def test_unusable_slugs_are_refused(slug: str) -> None:
    with pytest.raises(
        ArgumentError, match="cannot be the slug of a cluster: use 1 to 100 letters"
    ) as caught:
        checked_slug(slug)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("slug", ["a", "GPU-2", "-", 100 * "x"])
def test_usable_slugs_stay_as_they_are(slug: str) -> None:
    assert checked_slug(slug) == slug


@given(st.text(max_size=150))
def test_a_slug_can_be_made_of_any_name(name: str) -> None:
    slug = slug_of(name, "0123abcd")
    assert is_slug(slug)
    assert slug.endswith("-0123abcd")
    assert not slug.startswith("-")


def test_what_a_later_version_wrote_changes_nothing() -> None:
    created = after(CreateCluster("a"))
    assert evolve(created, 9, UnknownEvent(77, ["x"])) == created
    assert evolve(created, 9, ClusterDeleted()).exists is False
    assert evolve(initial("b"), 9, ClusterCreated("b")).exists is True

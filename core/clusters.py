"""Clusters: labels that route tasks to runners. What can happen to one, what can be asked, and what follows.

A cluster is an aggregate of its own, as a job is, with a history of its own. The default one is there from the
beginning: it has no first event, and no last one.

>>> gpu = evolve(ClusterState("gpu"), 0, decide(ClusterState("gpu"), CreateCluster("GPU pool")))
>>> gpu.exists, gpu.name
(True, 'GPU pool')
>>> decide(gpu, UpdateCluster(description="two cards each"))
ClusterUpdated(name=None, description='two cards each')
"""

from __future__ import annotations

import re
import unicodedata
from typing import TypeAlias

import msgspec

from .errors import ArgumentError, NotFoundError
from .events import UnknownEvent

#: where tasks run whose submitter named no cluster, and what runners serve that were given none
DEFAULT_CLUSTER = "default"

MAX_SLUG = 100  # characters
MAX_NAME = 100  # characters
MAX_DESCRIPTION = 50_000  # characters

_SLUG = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_SLUG}}}")

# -- what can have happened --------------------------------------------------------------------------------------


class ClusterCreated(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """A user created the cluster, for the first time or after it was deleted."""

    name: str
    description: str = ""


class ClusterUpdated(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """A user renamed the cluster, or described it anew. None leaves a text as it is."""

    name: str | None = None
    description: str | None = None


class ClusterDeleted(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """A user deleted the cluster: no task can be sent there any more."""


ClusterEvent: TypeAlias = ClusterCreated | ClusterUpdated | ClusterDeleted

# -- what can be asked -------------------------------------------------------------------------------------------


class CreateCluster(msgspec.Struct, frozen=True):
    name: str
    description: str = ""


class UpdateCluster(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None


class DeleteCluster(msgspec.Struct, frozen=True):
    pass


ClusterCommand: TypeAlias = CreateCluster | UpdateCluster | DeleteCluster

# -- what follows ------------------------------------------------------------------------------------------------


class ClusterState(msgspec.Struct, frozen=True):
    """One cluster, as its events so far have made it. Times are µs since 1970 UTC, 0 where nothing happened yet."""

    slug: str
    name: str = ""
    description: str = ""
    exists: bool = False
    created: int = 0
    deleted: int = 0  #: when it was deleted last


def initial(slug: str) -> ClusterState:
    """Return the cluster as it is before anything has happened to it."""
    if slug == DEFAULT_CLUSTER:
        return ClusterState(slug, slug, exists=True)
    return ClusterState(slug)


def decide(state: ClusterState, command: ClusterCommand) -> ClusterEvent | None:
    """Return what `command` makes happen; None if that is nothing.

    Errors: ArgumentError, NotFoundError, where it cannot be done.
    """
    match command:
        case CreateCluster(name, description):
            if state.exists:
                raise ArgumentError(
                    f"there is a cluster with the slug {state.slug!r} already, called {state.name!r}: nothing was "
                    "created. Choose another slug, leave it out to have one made from the name, or update the cluster"
                )
            return ClusterCreated(_checked_name(name), _checked_description(description))
        case UpdateCluster(name, description):
            _require(state)
            changed = ClusterUpdated(
                None if name is None or _checked_name(name) == state.name else name,
                None
                if description is None or _checked_description(description) == state.description
                else description,
            )
            return None if changed == ClusterUpdated() else changed
        case DeleteCluster():
            if state.slug == DEFAULT_CLUSTER:
                raise ArgumentError(
                    f"the cluster {DEFAULT_CLUSTER!r} cannot be deleted: tasks go there unless they are sent elsewhere"
                )
            _require(state)
            return ClusterDeleted()


def evolve(state: ClusterState, at: int, event: ClusterEvent | UnknownEvent | None) -> ClusterState:
    """Return the cluster after `event`, which happened at `at`."""
    match event:
        case ClusterCreated(name, description):
            return ClusterState(state.slug, name, description, True, at, state.deleted)
        case ClusterUpdated(name, description):
            return msgspec.structs.replace(
                state,
                name=state.name if name is None else name,
                description=state.description if description is None else description,
            )
        case ClusterDeleted():
            return msgspec.structs.replace(state, exists=False, deleted=at)
    return state


def _require(state: ClusterState) -> None:
    if not state.exists:
        raise NotFoundError(f"there is no cluster {state.slug!r}{' any more' if state.deleted else ''}")


# -- names -------------------------------------------------------------------------------------------------------


def is_slug(text: str) -> bool:
    """Whether a cluster can have this slug: 1 to 100 ASCII letters, digits and dashes."""
    return _SLUG.fullmatch(text) is not None


def checked_slug(slug: object) -> str:
    """Return the slug. Errors: ArgumentError for what cannot be one."""
    if not isinstance(slug, str) or not is_slug(slug):
        raise ArgumentError(
            f"slug={slug!r:.150} cannot be the slug of a cluster: use 1 to {MAX_SLUG} letters (a to z, A to Z), digits "
            "and dashes, such as 'gpu-pool', or leave it out to have one made from the name"
        )
    return slug


def slug_of(name: str, suffix: str) -> str:
    """Return a slug for a cluster of this name; `suffix` tells it from others of the same name.

    >>> slug_of("Große GPUs, 2. Stock", "1f3b")
    'grosse-gpus-2-stock-1f3b'
    >>> slug_of("図形", "1f3b")
    'cluster-1f3b'
    """
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain)[: MAX_SLUG - len(suffix) - 1].strip("-")
    return f"{words or 'cluster'}-{suffix}"


def _checked_name(name: object) -> str:
    text = _checked_text("name", name, "such as name='GPU pool'")
    if not text.strip():
        raise ArgumentError(f"name={text!r:.100} is blank: a cluster has a name, such as 'GPU pool'")
    if len(text) > MAX_NAME:
        raise ArgumentError(
            f"name={text!r:.100} has {len(text)} characters, at most {MAX_NAME} are possible: put more into description="
        )
    return text


def _checked_description(description: object) -> str:
    text = _checked_text("description", description, "or '' for none")
    if len(text) > MAX_DESCRIPTION:
        raise ArgumentError(
            f"description has {len(text):,} characters, {MAX_DESCRIPTION:,} are possible: shorten it, or link to it"
        )
    return text


def _checked_text(argument: str, given: object, example: str) -> str:
    if not isinstance(given, str):
        raise ArgumentError(
            f"{argument}={given!r:.100} is a {type(given).__name__}, not text: pass text, {example}"
        )
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{argument}={given!r:.100} holds half a character (a lone surrogate)") from None
    return given

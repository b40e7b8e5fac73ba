"""Clusters as readers see them, and what happened to each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobledger.core.clusters import (
    DEFAULT_CLUSTER,
    ClusterCreated,
    ClusterDeleted,
    ClusterEvent,
    ClusterState,
    ClusterUpdated,
)
from jobledger.core.events import UnknownEvent

from .utc import stamp, utc_or_none


@dataclass(frozen=True, slots=True)
class Cluster:
    """A label that routes tasks: only runners of the same cluster take them. A snapshot; pass it, or its slug.

    >>> client.clusters().find("default")
    Cluster(slug='default', display_name='default', description='', deletable=False, created_at=None)
    >>> print(client.clusters().create("GPU pool", slug="gpu"))
    gpu
    """

    slug: str  #: what tasks and runners name it by; never changes
    display_name: str
    description: str
    deletable: bool  #: the default cluster is not
    created_at: (
        datetime | None
    )  #: aware UTC, by the clock of whoever created it; None for the default cluster

    def __str__(self) -> str:
        return self.slug


def cluster_of(state: ClusterState) -> Cluster:
    """Return a cluster as it stands."""
    created = utc_or_none(state.created)
    return Cluster(state.slug, state.name, state.description, state.slug != DEFAULT_CLUSTER, created)


@dataclass(frozen=True, slots=True)
class ClusterEntry:
    """One change of a cluster. `str(entry)` is its line in a timeline.

    >>> pool = client.clusters().create("pool")
    >>> entry = client.clusters().history(pool)[0]
    >>> print(entry)
    2...Z  created as 'pool', by ...
    >>> entry
    ClusterEntry(slug='pool-...', version=1, at=datetime.datetime(...), by='...', event=ClusterCreated(name='pool', ...))
    """

    slug: str
    version: int  #: number of the change within its cluster, from 1
    at: datetime  #: aware UTC, by the clock of whoever made the change
    by: str  #: who that was, as user@host
    event: ClusterEvent | UnknownEvent

    @property
    def text(self) -> str:
        """What happened, in words.

        >>> pool = client.clusters().create("pool", "two cards each")
        >>> client.clusters().history(pool)[0].text
        "created as 'pool': 'two cards each'"
        """
        match self.event:
            case ClusterCreated(name, description):
                return f"created as {name!r}{f': {_line(description)}' if description else ''}"
            case ClusterUpdated(name, description):
                parts = [] if name is None else [f"renamed to {name!r}"]
                if description is not None:
                    parts.append(
                        f"described as {_line(description)}" if description else "description removed"
                    )
                return ", ".join(parts)
            case ClusterDeleted():
                return "deleted"
        return f"event {self.event.tag!r}, which a later version of jobledger wrote"

    def __str__(self) -> str:
        return f"{stamp(self.at)}  {self.text}{f', by {self.by}' if self.by else ''}"


_LINE = 80  # characters of a description that a line shows


def _line(description: str) -> str:
    shown = " ".join(description.split())
    return repr(shown if len(shown) <= _LINE else f"{shown[:_LINE]}…")

"""Which clusters there are: looked up before tasks are sent to one, and before a runner serves one.

What is known is kept for each connection: the first look-up reads the whole stream, which is small; later ones ask
the server again only after something was said to have changed, or where a cluster is not among the known ones.
"""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from itertools import takewhile
from typing import TYPE_CHECKING

from nats.aio.msg import Msg

from jobledger.core.clusters import DEFAULT_CLUSTER, ClusterState, evolve, initial, is_slug
from jobledger.core.errors import NotFoundError

from .nats.clusters import StoredChange, read_changes
from .nats.wire import Wire

if TYPE_CHECKING:
    from .link import Link

PATIENCE = 30.0  # seconds
_SHOWN = 8  # clusters that a message lists


class ClusterDirectory:
    """All clusters of a namespace and their histories, as far as one connection has read them."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._histories: dict[str, list[StoredChange]] = {}
        self._states: dict[str, ClusterState] = {}
        self._position = 0
        self._read: tuple[Wire, int] | None = None  #: the connection, and which of its lives it was read in
        self._changed = True  #: something was said to have happened since it was read
        self._listening = False
        self._reading = asyncio.Lock()

    async def check(self, slug: str, patience: float = PATIENCE) -> None:
        """Make sure that there is a cluster of this slug. The default one costs nothing, a known one no request.

        Errors: NotFoundError, with what there is instead; ServerUnavailable when the server stays away.
        """
        if slug == DEFAULT_CLUSTER or (self.is_current and self.state(slug).exists):
            return
        await self.refresh(patience)
        self.require(slug)

    @property
    def is_current(self) -> bool:
        """Whether nothing is known to have changed since it was read."""
        return not self._changed and self._read == self._life()

    @property
    def existing(self) -> list[ClusterState]:
        """The clusters there are, by slug."""
        return sorted(
            (state for state in self._states.values() if state.exists), key=lambda state: state.slug
        )

    def state(self, slug: str) -> ClusterState:
        """Return what is known of a cluster, whether or not there is one."""
        return self._states.get(slug) or initial(slug)

    def require(self, slug: str) -> ClusterState:
        """Return what is known of a cluster that there is. Errors: NotFoundError."""
        state = self.state(slug)
        if not state.exists:
            raise NotFoundError(_not_there(state, self.existing))
        return state

    def history(self, slug: str) -> list[StoredChange]:
        """Return every change of a cluster, the oldest first."""
        return self._histories.get(slug, [])

    def at(self, time: int) -> ClusterDirectory:
        """Return the clusters as they were at a time (µs), as far as is known here. It is not to be refreshed."""
        past = ClusterDirectory(self._link)
        past._states = {DEFAULT_CLUSTER: initial(DEFAULT_CLUSTER)}
        for slug, changes in self._histories.items():
            past._histories[slug] = list(takewhile(lambda stored: stored.change.at <= time, changes))
            for stored in past._histories[slug]:
                past._states[slug] = evolve(past.state(slug), stored.change.at, stored.change.event)
        return past

    async def refresh(self, patience: float) -> None:
        """Read what was added. Errors: ServerUnavailable when the server stays away for `patience` seconds."""
        async with self._reading:
            if not self._listening:
                await self._link.listen(self._link.names.cluster_subjects, self._told)
                self._listening = True
            self._changed = False
            try:
                await self._link.work(self._catch_up, patience=patience)
            except BaseException:
                self._changed = True
                raise

    async def _catch_up(self, client: Wire) -> None:
        life = self._life()
        if self._read != life:  # it may be another server, or one that has lost what it had
            self._histories, self._states, self._position = {}, {DEFAULT_CLUSTER: initial(DEFAULT_CLUSTER)}, 0
        for stored in await read_changes(client, self._link.names, after=self._position):
            slug = stored.slug
            self._histories.setdefault(slug, []).append(stored)
            self._states[slug] = evolve(self.state(slug), stored.change.at, stored.change.event)
            self._position = stored.position
        self._read = life

    async def _told(self, message: Msg) -> None:
        self._changed = True

    def _life(self) -> tuple[Wire, int]:
        # While the connection was broken, nothing was heard.
        client = self._link.nc
        return client, client.stats["reconnects"]


def _not_there(wanted: ClusterState, existing: list[ClusterState]) -> str:
    slug = wanted.slug
    said = f"there is no cluster {slug!r:.150}{' any more: it was deleted' if wanted.deleted else ''}."
    create = f"create it: client.clusters().create({slug!r}{f', slug={slug!r}' if is_slug(slug) else ''})"
    called = [repr(state.slug) for state in existing if state.name == slug]
    if called:
        return f"{said} That is a display name; clusters are named by their slug, here {' or '.join(called)}"
    names = {state.name: state.slug for state in existing} | {state.slug: state.slug for state in existing}
    near = dict.fromkeys(repr(names[found]) for found in get_close_matches(slug, names))
    if near:
        return f"{said} Did you mean {' or '.join(near)}? Otherwise {create}"
    shown = ", ".join(repr(state.slug) for state in existing[:_SHOWN])
    more = f" and {len(existing) - _SHOWN} more" if len(existing) > _SHOWN else ""
    return f"{said} There are {shown}{more}: use one of them, or {create}"

"""Creating, finding, changing and deleting clusters, as two classes: `ClusterClient` blocks, `AsyncClusterClient` is awaited.

No engine takes part: a client appends to the history of the cluster itself, behind the change it has read last.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from jobledger.core.clusters import (
    DEFAULT_CLUSTER,
    ClusterCommand,
    CreateCluster,
    DeleteCluster,
    UpdateCluster,
    checked_slug,
    decide,
    slug_of,
)
from jobledger.core.errors import ArgumentError, NotFoundError, ServerUnavailable
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.clusters import Cluster, ClusterEntry, cluster_of
from jobledger.projections.moments import Moment
from jobledger.projections.utc import utc

from .arguments import ClusterOrSlug, cluster_name, flag
from .facade import awaited, blocking, same
from .history.past import At, moment_of
from .ids import whoami
from .query.finding import find as find_job
from .session import Session

if TYPE_CHECKING:
    from ..clusters import ClusterDirectory


_LIVE = (JobState.SUBMITTED, JobState.RUNNING, JobState.STARTED)
_UNDONE = (TaskState.QUEUED, TaskState.RUNNING)


async def create(session: Session, name: str, description: str = "", slug: str | None = None) -> Cluster:
    """Create a cluster and return it. Tasks and runners name it by its slug.

    Shape:  the slug is made of the name and a few random characters; or it is `slug`: up to 100 letters, digits and
            dashes. The name has up to 100 characters, the description up to 50,000.
    Errors: ArgumentError for each of these, and for a slug that another cluster has.

    >>> gpu = client.clusters().create("GPU pool", "two cards each")
    >>> job = client.jobs().submit("greetings", Greet("world"), cluster=gpu)
    >>> client.runner(cluster=gpu, tasks=[Greet]).run_all()
    """
    command = CreateCluster(name, description)
    # A name that is no text is refused with the command.
    chosen = checked_slug(slug_of(str(name), secrets.token_hex(4)) if slug is None else slug)
    return await _change(session, chosen, command)


async def find(session: Session, cluster_or_slug: ClusterOrSlug, *, at: At | None = None) -> Cluster:
    """Return the cluster of this slug, read afresh; with `at`, as it was at a moment of the past.

    Shape:  `at` is a position of the log, which means the time at which what is there was written, or an aware time.
    Errors: NotFoundError, with what there is instead; ArgumentError for what is no slug, and no moment (see `job.at`).

    >>> client.clusters().find("default").deletable
    False
    >>> pool = client.clusters().create("pool")
    >>> renamed = client.clusters().update(pool, name="GPU pool")
    >>> client.clusters().find(pool, at=pool.created_at).display_name
    'pool'
    """
    slug = cluster_name(cluster_or_slug)
    directory = await _directory(session, at)
    if at is not None and not directory.state(slug).exists:
        raise NotFoundError(f"there was no cluster {slug!r} at {Moment.of(at)}")
    return cluster_of(directory.require(slug))


async def find_all(session: Session, *, at: At | None = None) -> list[Cluster]:
    """Return all clusters, by slug: at least the default one. Shape and errors: as `find`.

    >>> "default" in [cluster.slug for cluster in client.clusters().all()]
    True
    """
    return [cluster_of(state) for state in (await _directory(session, at)).existing]


async def update(
    session: Session, cluster_or_slug: ClusterOrSlug, name: str | None = None, description: str | None = None
) -> Cluster:
    """Rename a cluster, or describe it anew, and return it. What is left out stays; the slug always does.

    Errors: NotFoundError; ArgumentError.

    >>> pool = client.clusters().create("pool")
    >>> client.clusters().update(pool, description="four cards each").description
    'four cards each'
    """
    if name is None and description is None:
        raise ArgumentError(
            "nothing to update: pass name=, description=, or both. The slug of a cluster never changes"
        )
    return await _change(session, cluster_name(cluster_or_slug), UpdateCluster(name, description))


async def delete(session: Session, cluster_or_slug: ClusterOrSlug, *, force: bool = False) -> None:
    """Delete a cluster: no task can be sent there any more, and no runner started for it. Its history stays.

    Shape:  `force` deletes it also where tasks of unsettled jobs are queued or running: they wait until somebody
            creates a cluster of the same slug and starts a runner for it.
    Errors: ArgumentError for the default cluster, and for one where there are such tasks; NotFoundError, also for a
            cluster that was deleted before; ServerUnavailable, also if no projector answers who could tell.

    >>> spare = client.clusters().create("spare")
    >>> client.clusters().delete(spare, force=True)
    >>> client.jobs().submit("greetings", Greet("world"), cluster=spare)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    NotFoundError: there is no cluster 'spare-5f0a1c2e' any more: it was deleted. …
    """
    slug = cluster_name(cluster_or_slug)
    flag("force", force)
    if not force and slug != DEFAULT_CLUSTER:
        (await _directory(session)).require(slug)
        await _refuse_if_in_use(session, slug)
    await _change(session, slug, DeleteCluster())


async def history(
    session: Session, cluster_or_slug: ClusterOrSlug, *, at: At | None = None
) -> list[ClusterEntry]:
    """Return what happened to a cluster, also to a deleted one: who changed what, and when. The oldest first.

    Shape:  with `at`, only what had happened by then; see `find`.
    Errors: NotFoundError if there never was one; ArgumentError.

    >>> pool = client.clusters().create("pool")
    >>> pool = client.clusters().update(pool, name="GPU pool")
    >>> for entry in client.clusters().history(pool):
    ...     print(entry)  # doctest: +ELLIPSIS
    2...Z  created as 'pool', by ...
    2...Z  renamed to 'GPU pool', by ...
    """
    slug = cluster_name(cluster_or_slug)
    directory = await _directory(session, at)
    changes = directory.history(slug)
    if not changes:
        directory.require(slug)
    return [
        ClusterEntry(slug, stored.version, utc(stored.change.at), stored.change.by, stored.change.event)
        for stored in changes
    ]


class _Clusters:
    """What both have in common."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of namespace {self._session.names.namespace!r}>"


class ClusterClient(_Clusters):
    """What can be done with clusters; from `client.clusters()`. May be used from several threads.

    Errors of every method: ServerUnavailable if no server answers, ServerUnsuitable if it cannot keep them.

    >>> clusters = client.clusters()
    >>> pool = clusters.create("GPU pool")
    >>> clusters.update(pool, description="two cards each").description
    'two cards each'
    >>> clusters.delete(pool)
    """

    create = blocking(create, same)
    find = blocking(find, same)
    all = blocking(find_all, same)
    update = blocking(update, same)
    delete = blocking(delete, same)
    history = blocking(history, same)


class AsyncClusterClient(_Clusters):
    """What can be done with clusters; from `client.clusters()` of an `AsyncClient`. Every method is awaited.

    Methods and errors are those of `ClusterClient`.

    >>> async def renamed() -> str:
    ...     async with AsyncClient() as client:
    ...         pool = await client.clusters().create("pool")
    ...         pool = await client.clusters().update(pool, name="GPU pool")
    ...         return pool.display_name
    >>> asyncio.run(renamed())
    'GPU pool'
    """

    create = awaited(create, same)
    find = awaited(find, same)
    all = awaited(find_all, same)
    update = awaited(update, same)
    delete = awaited(delete, same)
    history = awaited(history, same)


async def require(session: Session, slug: str) -> None:
    """Make sure that there is a cluster, asking the server only where need be. Errors: NotFoundError."""
    await (await session.link()).clusters.check(slug, session.patience)


async def _directory(session: Session, at: At | None = None) -> ClusterDirectory:
    moment = None if at is None else moment_of(session, at)
    directory = (await session.link()).clusters
    await directory.refresh(session.patience)
    if moment is None:
        return directory
    time = moment.time if moment.position is None else await session.written_at(moment.position)
    return directory.at(time or 0)


async def _change(session: Session, slug: str, command: ClusterCommand) -> Cluster:
    """Have a command take effect on a cluster, and return what comes of it. Errors: as `decide`, `append_change`."""
    from ..nats.asking import Superseded
    from ..nats.clusters import Change, append_change

    link = await session.link()
    change_id = uuid4().bytes
    while True:
        directory = await _directory(session)
        changes = directory.history(slug)
        if not any(stored.change.id == change_id for stored in changes):
            if not isinstance(command, CreateCluster):
                directory.require(slug)
            event = decide(directory.state(slug), command)
            if event is not None:
                version, after = (changes[-1].version + 1, changes[-1].position) if changes else (1, 0)
                change = Change(change_id, time.time_ns() // 1000, whoami(), event)
                append = partial(
                    append_change, names=link.names, slug=slug, version=version, change=change, after=after
                )
                # Superseded by somebody else's change, or by this very one, whose acknowledgement was lost.
                with suppress(Superseded):
                    await link.work(append, patience=session.patience)
                continue
        return cluster_of(directory.state(slug))


async def _refuse_if_in_use(session: Session, slug: str) -> None:
    """Errors: ArgumentError where tasks of unsettled jobs are queued or running; ServerUnavailable."""
    from .query.queries import rows

    try:
        waiting = await rows(session, clusters=slug, job_states=_LIVE, task_states=TaskState.QUEUED)
        running = await rows(session, clusters=slug, task_states=TaskState.RUNNING)
    except ServerUnavailable as error:
        raise ServerUnavailable(
            f"cluster {slug!r} was not deleted, as it is not known whether tasks are queued or running there: {error}. "
            "delete(…, force=True) does not ask"
        ) from error
    for row in {row.id: row for row in waiting + running}.values():
        view = (await find_job(session, row.id)).view
        tasks = [task for task in view.tasks if task.cluster == slug and task.state in _UNDONE]
        if tasks:
            raise ArgumentError(
                f"cluster {slug!r} was not deleted: {len(tasks)} of the tasks of job {row.name!r} ({row.id}) are queued "
                "or running there. Wait for the job or cancel it; or delete with force=True, and they wait for a "
                "cluster of the same slug"
            )

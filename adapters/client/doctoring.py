"""Having a namespace examined: what `client.doctor` does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from jobledger.core.errors import ArgumentError, JobLedgerError

from . import feed
from .query import viewing
from .session import Session

if TYPE_CHECKING:
    from ..doctor.findings import HealthReport
    from ..doctor.patient import Following
    from ..embedded.folder import DataFolder
    from ..nats.endpoint import Endpoint
    from ..nats.wire import Wire
    from ..views.protocol import ViewStatus

_APPEARANCE = 5.0  # seconds in which it must show up


def doctor(
    session: Session,
    *,
    system_user: str | None = None,
    system_password: str | None = None,
    system_credentials: str | PathLike[str] | None = None,
    monitoring: str | Sequence[str] = (),
) -> Coroutine[Any, Any, HealthReport]:
    """Examine the namespace and its servers, by asking them, and return what was found.

    Shape:  how servers sync what they store is only told to a user of their system account, `system_user` with
            `system_password` or a .creds file `system_credentials`, and at their monitoring addresses, `monitoring`:
            "http://host:8222", of each server that holds the log. The embedded server needs neither.
    Errors: ArgumentError for arguments that do not go together; ServerUnavailable when no server answers.

    >>> [finding.check for finding in client.doctor().findings if finding.state is Health.FAILED]
    []
    """
    addresses = (monitoring,) if isinstance(monitoring, str) else tuple(monitoring)
    if (system_user is None) != (system_password is None):
        raise ArgumentError("system_user and system_password go together: give both or neither")
    for address in addresses:
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            raise ArgumentError(
                f"monitoring={address!r:.100} is no monitoring address: write http://host:8222, as `http_port` of the server "
                "has it"
            )
    login = {"user": system_user, "password": system_password, "credentials": system_credentials}
    return _doctor(session, {name: value for name, value in login.items() if value is not None}, addresses)


async def _doctor(session: Session, login: dict[str, Any], monitoring: tuple[str, ...]) -> HealthReport:
    from ..doctor.examination import examine
    from ..doctor.patient import meet
    from ..doctor.servers import Inspection, ask_servers
    from ..embedded.folder import DataFolder

    link = await session.link()
    folder = None if session.folder is None else DataFolder.locate(session.folder)
    endpoint = await session.endpoint()
    servers, following = await asyncio.gather(
        ask_servers(Inspection(_system(endpoint, folder, login), monitoring)), _following(session)
    )

    async def examined(client: Wire) -> HealthReport:
        return await examine(await meet(client, session.names, servers, following, folder))

    return await link.work(examined, patience=session.patience)


def _system(endpoint: Endpoint, folder: DataFolder | None, login: dict[str, Any]) -> Endpoint | None:
    """Return how to log in to the system account of the servers at an endpoint; None where that is not known."""
    from ..embedded.nats_config import SYSTEM
    from ..nats.endpoint import Endpoint

    if folder is not None and not login:
        credentials = folder.credentials()
        if credentials is None:
            return None
        login = {"user": SYSTEM, "password": credentials.system}
    if not login:
        return None
    tls = {name: getattr(endpoint, name) for name in ("tls_ca", "tls_cert", "tls_key", "tls_hostname")}
    return Endpoint(endpoint.url, **login, **tls)


async def _following(session: Session) -> Following:
    """Return what those who follow the log say of themselves; those who do not answer say nothing."""
    from ..doctor.patient import Following

    views, published = await asyncio.gather(_views(session), feed.status(session), return_exceptions=True)
    for found in (views, published):
        if isinstance(found, BaseException) and not isinstance(found, JobLedgerError):
            raise found
    return Following(
        [] if isinstance(views, BaseException) else views,
        0 if isinstance(published, BaseException) else published.position,
        [] if isinstance(published, BaseException) else published.publishers,
    )


async def _views(session: Session) -> list[ViewStatus]:
    """Return how views stand. The projector of an embedded server that was started just now is waited for."""
    until = time.monotonic() + _APPEARANCE
    while True:
        found = await viewing.views(session)
        if found or session.folder is None or time.monotonic() > until:
            return found

"""The one way to open a connection: it never stops reconnecting, and a server that cannot serve is found out at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from os import PathLike, fspath
from typing import Any

import nats.errors

from jobledger.core.errors import (
    ArgumentError,
    JobLedgerError,
    ServerAway,
    ServerUnavailable,
    ServerUnsuitable,
)

from .asking import is_denied
from .endpoint import Endpoint
from .gated import Gate, Gated
from .suitability import check_jetstream, check_version
from .wire import Wire

__all__ = ["Endpoint", "connect", "open_connection"]

log = logging.getLogger(__name__)
# A program that set up no logging must not find reconnects on its stderr.
log.addHandler(logging.NullHandler())

RECONNECT_WAIT = 0.2  # seconds between two attempts at one server
PING_INTERVAL = 3  # seconds; a peer whose machine lost its power is noticed after two unanswered pings
PENDING_SIZE = 64 * 1024 * 1024  # bytes kept while the server is away
_CLOSE = 0.5  # seconds for the end of an attempt that failed
FIRST_CONNECT = 3.0  # seconds in which the first connection must come about

_SEED = re.compile(r"SU[A-Z2-7]{56}")


async def connect(
    endpoint: Endpoint,
    *,
    name: str,
    timeout: float = FIRST_CONNECT,
    on_lost: Callable[[], None] | None = None,
    on_back: Callable[[], None] | None = None,
    on_denied: Callable[[Exception], None] | None = None,
    gate: Gate | None = None,
) -> Wire:
    """Return a connection to a server proven able to hold the log. It reconnects for ever; `name` labels it there.

    Shape:  `on_lost` and `on_back` are called as the connection breaks and as it stands again, `on_denied` with the
            server's word that this user may not do something. `gate` is for a user that
            may not ask JetStream itself: see `Gated`. Then it is the engine that has looked at the server.
    Units:  `timeout` is seconds for the first connection and the checks together.
    Errors: ServerUnavailable when nobody answers or the credentials are refused, ServerUnsuitable when the server
            is too old or has no JetStream, ArgumentError when a file the endpoint names cannot be used.
    """
    started = time.monotonic()
    client = await open_connection(
        endpoint,
        name=name,
        timeout=timeout,
        on_lost=on_lost,
        on_back=on_back,
        on_denied=on_denied,
        gate=gate,
    )
    try:
        check_version(client, endpoint)
        if gate is None:
            # At least a second: a server reached at the last moment still gets to answer.
            await check_jetstream(client, endpoint, max(1.0, timeout - (time.monotonic() - started)))
    except BaseException:
        await client.close()
        raise
    return client


async def connect_patiently(
    endpoint: Endpoint,
    *,
    name: str,
    on_lost: Callable[[], None] | None = None,
    on_back: Callable[[], None] | None = None,
) -> Wire:
    """As `connect`, but wait for a server that is away; the log says so, once.

    Errors: as `connect`, where waiting cannot help: a login that is refused, a server that is too old.
    """
    told = False
    while True:
        try:
            return await connect(endpoint, name=name, on_lost=on_lost, on_back=on_back)
        except ServerAway as error:
            if not told:
                log.warning("%s. Waiting for it", error)
                told = True
            await asyncio.sleep(RECONNECT_WAIT)


async def open_connection(
    endpoint: Endpoint,
    *,
    name: str,
    timeout: float = FIRST_CONNECT,
    on_lost: Callable[[], None] | None = None,
    on_back: Callable[[], None] | None = None,
    on_denied: Callable[[Exception], None] | None = None,
    gate: Gate | None = None,
) -> Wire:
    """Return a connection to any NATS server, unchecked: for accounts that hold no log. Errors: as `connect`."""
    options = _options(endpoint)
    client = _Connection() if gate is None else _GatedConnection(gate)
    first = _FirstConnect(several=len(endpoint.urls) > 1)
    connected = False
    said = ""

    async def on_error(error: Exception) -> None:
        nonlocal said
        if not connected:
            first.failed(error)
        elif not client.is_connected and not client.is_closed:
            _hang_up(client)
        if on_denied is not None and is_denied(error):
            on_denied(error)
        reason = str(error) or type(error).__name__
        # While a server is away the same comes five times a second: it is told once.
        log.log(logging.DEBUG if reason == said else logging.INFO, "connection %s: %s", name, reason)
        said = reason

    async def on_disconnected() -> None:
        if not client.is_closed:
            log.info("connection %s: lost, reconnecting", name)
        if on_lost is not None:
            on_lost()

    async def on_reconnected() -> None:
        nonlocal said
        said = ""
        log.info("connection %s: back", name)
        if on_back is not None:
            on_back()

    try:
        async with asyncio.timeout(timeout):
            await client.connect(
                list(endpoint.urls),
                name=name,
                error_cb=on_error,
                disconnected_cb=on_disconnected,
                reconnected_cb=on_reconnected,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT,  # type: ignore[arg-type]  # any number of seconds is fine
                ping_interval=PING_INTERVAL,
                pending_size=PENDING_SIZE,
                **options,
            )
    except BaseException as error:
        # Whatever state the attempt stopped in, its socket is to be closed. Where TLS was refused half way, nats-py would
        # wait for ever to hear that it is.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE):
                await client.close()
        if isinstance(error, ImportError):
            raise ServerUnsuitable(
                f"cannot use the credentials for {endpoint.shown}: {error}. Install it: pip install nkeys"
            ) from error
        if isinstance(error, _Hopeless):
            raise _unavailable(endpoint, error.cause, timeout) from error.cause
        if isinstance(error, TimeoutError | OSError | nats.errors.Error):
            raise _unavailable(endpoint, first.last or error, timeout) from error
        raise
    connected = True
    return client


class _Connection(Wire):
    """A connection whose end is never an error of whoever ends it."""

    async def close(self) -> None:
        task = asyncio.current_task()
        asked = 0 if task is None else task.cancelling()
        try:
            await super().close()
        except OSError as error:
            log.debug("a connection was lost as it was closed: %s", error)
        except asyncio.CancelledError:
            # Not we were canceled, it may be: nats-py waits for its socket to be closed, and where the server was killed
            # that waiting may have been canceled with the task that read from it.
            if task is None or task.cancelling() > asked:
                raise


class _GatedConnection(Gated, _Connection):
    """One that passes through the gate."""


def _hang_up(client: Wire) -> None:
    """Close the socket of an attempt to reconnect that failed after it was accepted: nats-py just forgets it.

    It touches a private attribute; `test_attempts_that_fail_half_way_leave_no_sockets_behind` pins it.
    """
    if client._transport is not None:
        client._transport.close()  # type: ignore[no-untyped-call]


class _Hopeless(Exception):
    """Leaves nats-py's endless first connect: trying again cannot help."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _FirstConnect:
    """Judges the errors of the first connect.

    With endless reconnect nats-py also tries for ever to connect at first, and only what its error callback raises
    ends that early. Errors that more patience may mend (a server just starting) are left to the timeout.
    """

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self.last: Exception | None = None

    def failed(self, error: Exception) -> None:
        self.last = error
        if isinstance(error, ssl.SSLError) or _refuses_login(error):
            raise _Hopeless(error)
        # An unknown host name: with several servers another one may be known.
        if isinstance(error, socket.gaierror) and not self._several:
            raise _Hopeless(error)


def _refuses_login(error: BaseException) -> bool:
    return isinstance(error, nats.errors.Error) and "authorization" in str(error).lower()


def _unavailable(endpoint: Endpoint, error: BaseException, timeout: float) -> JobLedgerError:
    where = endpoint.shown
    if _refuses_login(error):
        return ServerUnavailable(
            f"the NATS server at {where} refused the login"
            f"{'' if endpoint.user is None else f' of user {endpoint.user!r}'}: "
            "check user and password, token, nkey or credentials file"
        )
    if isinstance(error, ssl.SSLError):
        return ServerUnavailable(
            f"no secure connection to the NATS server at {where}: {error}. "
            "Check the certificate authority (tls_ca) and the host name"
        )
    reason = str(error) or f"no answer within {timeout:g} s"
    hopeless = isinstance(error, socket.gaierror)
    return (ServerUnavailable if hopeless else ServerAway)(
        f"no NATS server answers at {where}: {reason}. Check the address and that the server runs"
    )


def _options(endpoint: Endpoint) -> dict[str, Any]:
    """Return what `Wire.connect` is to be given besides the addresses."""
    options: dict[str, Any] = {}
    if endpoint.user is not None:
        options["user"], options["password"] = endpoint.user, endpoint.password
    if endpoint.token is not None:
        options["token"] = endpoint.token
    if endpoint.credentials is not None:
        path = fspath(endpoint.credentials)
        try:
            with open(path, "rb"):
                options["user_credentials"] = path
        except OSError as error:
            raise ArgumentError(f"cannot read the credentials file {path}: {error.strerror}") from error
    if endpoint.nkey is not None:
        options["nkeys_seed_str"] = _seed(endpoint.nkey)
    if endpoint.who is not None:
        options["inbox_prefix"] = endpoint.who.inbox
    if endpoint.tls_ca is not None or endpoint.tls_cert is not None:
        try:
            context = ssl.create_default_context(cafile=endpoint.tls_ca)
            if endpoint.tls_cert is not None:
                context.load_cert_chain(endpoint.tls_cert, endpoint.tls_key)
        except OSError as error:  # ssl.SSLError is one
            raise ArgumentError(f"cannot use the TLS files of the endpoint: {error}") from error
        options["tls"] = context
    if endpoint.tls_hostname is not None:
        options["tls_hostname"] = endpoint.tls_hostname
    return options


def _seed(nkey: str | PathLike[str]) -> str:
    """Return the seed of an nkey, from the file if it is one. Errors: ArgumentError, which never repeats a seed."""
    seed = fspath(nkey).strip()
    if not _SEED.fullmatch(seed):
        try:
            with open(seed, encoding="ascii") as file:
                seed = file.read().strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ArgumentError(
                f"nkey is neither the seed of a user (SU and 56 letters and digits) nor a file that can be read: {reason}"
            ) from error
    if not _SEED.fullmatch(seed):
        raise ArgumentError(
            "the file that nkey names has no seed of a user in it: SU and 56 letters and digits, on one line"
        )
    return seed

"""`/metrics` and `/healthz` over HTTP, on threads of their own: for Prometheus, and for whoever looks after processes."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobledger.core.errors import ArgumentError, JobLedgerError, ServerAway

from .figures import Report

DEFAULT_HOST = "127.0.0.1"
#: where exporters listen by custom, next to those of others
DEFAULT_PORT = 9464

_PATIENCE = 8.0  # seconds to gather what is asked for: Prometheus waits 10
_IDLE = 15.0  # seconds a connection may say nothing
_PLAIN = "text/plain; charset=utf-8"
_NOT_YET = "the NATS server was not reached yet"

Gather = Callable[[], Coroutine[Any, Any, list[Report]]]


class Endpoint:
    """An address that is taken at once, and let go of by `close`. Until `serve` it answers that it cannot tell yet.

    Errors: ArgumentError for an address that cannot be had.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ArgumentError(f"metrics cannot be served at {host} port {port}: {_told(error)}") from None
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="jobledger-metrics",
            daemon=True,
        ).start()

    @property
    def url(self) -> str:
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    def serve(self, namespace: str, gather: Gather, problem: Callable[[], str]) -> None:
        """Begin to tell. To be called on the event loop on which `gather` is to run.

        Shape:  `problem` returns why the process is not healthy, "" if it is; it may be called from any thread.
        """
        from .exposition import exposition

        loop = asyncio.get_running_loop()

        def metrics(accept: str) -> tuple[bytes, str]:
            gathering = asyncio.run_coroutine_threadsafe(gather(), loop)
            try:
                return exposition(namespace, gathering.result(_PATIENCE), accept)
            finally:
                gathering.cancel()

        self._server.metrics, self._server.problem = metrics, problem

    def close(self) -> None:
        """Let go of the address. What is being answered may stay unanswered."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        super().__init__(address, handler)
        self.metrics: Callable[[str], tuple[bytes, str]] = _not_yet
        self.problem: Callable[[], str] = lambda: _NOT_YET

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()  # HTTPServer would look up the name of this machine

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # whoever asked has gone
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE
    protocol_version = "HTTP/1.1"
    server_version = "jobledger"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._metrics()
        elif path == "/healthz":
            problem = self.server.problem()
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            self._answer(status, f"{problem or 'ok'}\n".encode())
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n")

    do_HEAD = do_GET

    def _metrics(self) -> None:
        try:
            body, content_type = self.server.metrics(self.headers.get("Accept", ""))
        except TimeoutError:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"no metrics could be had in time\n")
        except (JobLedgerError, RuntimeError) as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
        else:
            self._answer(HTTPStatus.OK, body, content_type)

    def _refuse(self) -> None:
        self.close_connection = True  # what else it sent was not read
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", allow="GET, HEAD")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse

    def _answer(
        self, status: HTTPStatus, body: bytes, content_type: str = _PLAIN, *, allow: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if allow:
            self.send_header("Allow", allow)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: it is asked every few seconds."""


def _not_yet(accept: str) -> tuple[bytes, str]:
    raise ServerAway(_NOT_YET)


def _told(error: OSError | OverflowError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "another program listens there. Name another port, or 0 for any that is free"
    if isinstance(error, PermissionError):
        return "this user may not listen there. Name a port above 1023, or 0 for any that is free"
    if isinstance(error, OverflowError):
        return "ports go from 0 to 65535"
    return f"{getattr(error, 'strerror', None) or error}. Name an address of this machine, such as 127.0.0.1"

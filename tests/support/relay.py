"""A TCP relay between a client and a server that loses traffic on demand: how acknowledgements get lost for real."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class Relay:
    """Forwards connections to a port on loopback. What it is told to lose is read and thrown away.

    `lost` is set as soon as something was. `mend` cuts the connections there are, as a client whose bytes are
    missing could not go on with them, and forwards everything again.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._closed = False
        self._lock = threading.Lock()
        self._lose_requests = False
        self._lose_answers = False
        self._fatal_request: bytes | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self.lost = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._listener.getsockname()[1]}"

    def lose_requests(self) -> None:
        """From now on nothing reaches the server."""
        self._lose_requests = True

    def lose_answers(self, to: bytes | None = None) -> None:
        """From now on, or from a request that holds `to` on, nothing the server says reaches the client."""
        self._fatal_request = to
        self._lose_answers = to is None

    def stall(self) -> None:
        """From now on nothing moves, and nothing gets lost."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Let what was held up, and everything after it, pass."""
        self._flowing.set()

    def mend(self) -> None:
        self._lose_requests = self._lose_answers = False
        self._fatal_request = None
        self.lost.clear()
        self.cut()

    def cut(self) -> None:
        """Break all connections; new ones are taken."""
        with self._lock:
            for connection in self._open:
                _close(connection)
            self._open.clear()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        _close(self._listener)
        self._flowing.set()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the server is away
                _close(client)
                continue
            with self._lock:
                if self._closed:
                    _close(client)
                    _close(server)
                    return
                self._open += [client, server]
            for source, sink, answers in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._forward, args=(source, sink, answers), daemon=True)
                thread.start()
                self._threads.append(thread)
            self._threads = [thread for thread in self._threads if thread.is_alive()]

    def _forward(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                self._flowing.wait()
                if not answers and self._fatal_request is not None and self._fatal_request in data:
                    self._lose_answers = True
                if self._lose_answers if answers else self._lose_requests:
                    self.lost.set()
                else:
                    sink.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(sink)


def _close(connection: socket.socket) -> None:
    # a plain close() would not wake a thread that is blocked on the socket
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()

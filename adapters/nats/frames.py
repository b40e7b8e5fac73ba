"""Bytes from a NATS server, divided into messages and the rest.

nats-py's parser tries regular expressions at the front of its buffer and cuts off what it has read: 26 µs for a
message with its dispatch; this takes 3 (Python 3.11). It knows only the two frames that carry messages. All others,
and whatever it does not understand, are left to nats-py's.
"""

from __future__ import annotations

from collections.abc import Callable

_CRLF = b"\r\n"
_VERSION = b"NATS/1.0"
#: bytes of a message with its headers: no server can be set to take more
LARGEST = 64 * 1024 * 1024
#: bytes of a line; the longest a server says is which other servers there are
LONGEST_LINE = 1024 * 1024
#: subscription id, subject, reply, headers, payload; returns whether anybody took the message
Deliver = Callable[[int, bytes, bytes, bytes, bytes], bool]


class Frames:
    """The frames of one connection. `deliver` is offered each message; the rest is handed to `leave`, in order."""

    def __init__(self, deliver: Deliver, leave: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._leave = leave
        self._waiting: list[bytes] = []  #: pieces of a frame that is not complete
        self._missing = 0  #: so many bytes at least are missing of it

    def feed(self, data: bytes) -> None:
        """Take what was read.

        Errors: ValueError for what cannot be a frame of a message. Nothing after that can be divided.
        """
        try:
            self._feed(data)
        except IndexError:
            raise ValueError("a frame of a message with fewer words than it has") from None

    def _feed(self, data: bytes) -> None:
        if self._waiting:
            self._waiting.append(data)
            self._missing -= len(data)
            if self._missing > 0:  # a large message comes in many pieces, which are put together once
                return
            data = b"".join(self._waiting)
            self._waiting.clear()
        at, size = 0, len(data)
        while at < size:
            end_of_line = data.find(_CRLF, at)
            if end_of_line < 0:
                if size - at > LONGEST_LINE:
                    raise ValueError(f"a line of more than {LONGEST_LINE:,} bytes")
                self._keep(data[at:], 1)
                return
            start = end_of_line + 2
            if data.startswith(b"MSG ", at):
                headers_size = 0
                words = data[at:end_of_line].split()
            elif data.startswith(b"HMSG ", at):
                words = data[at:end_of_line].split()
                headers_size = int(words.pop(-2))
                if not 0 <= headers_size <= int(words[-1]):
                    raise ValueError(f"{headers_size:,} bytes of headers in a message of fewer")
            else:
                self._leave(data[at:start])
                at = start
                continue
            length = int(words[-1])
            if not 0 <= length <= LARGEST:
                raise ValueError(f"a message of {length:,} bytes")
            end = start + length
            if end + 2 > size:
                self._keep(data[at:], end + 2 - size)
                return
            body = start + headers_size
            reply = words[3] if len(words) == 5 else b""
            if not self._deliver(int(words[2]), words[1], reply, data[start:body], data[body:end]):
                self._leave(data[at : end + 2])
            at = end + 2

    def _keep(self, piece: bytes, missing: int) -> None:
        self._waiting.append(piece)
        self._missing = missing


def parse_headers(block: bytes) -> dict[str, str]:
    """Return the headers of a message, as nats-py does: the status of the server's own words is among them.

    What is no text in them is replaced, as nothing here depends on it.
    """
    first, *lines = block.split(_CRLF)
    headers = {}
    if status := first[len(_VERSION) :].strip():
        code, _, description = status.partition(b" ")
        headers["Status"] = code.decode("utf-8", "replace")
        if description:
            headers["Description"] = description.decode("utf-8", "replace")
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.strip().decode("utf-8", "replace")] = value.strip().decode("utf-8", "replace")
    return headers


def find_status(block: bytes) -> str:
    r"""Return the status in a block of headers, "" if there is none.

    >>> find_status(b"NATS/1.0 404 No Messages\r\n\r\n")
    '404'
    """
    return block[9:12].decode("utf-8", "replace") if block[8:9] == b" " else ""


def find_header(block: bytes, name: bytes) -> str:
    r"""Return one header of a block, "" if it is not there.

    >>> find_header(header_block({"Nats-Rollup": "sub"}), b"Nats-Rollup")
    'sub'
    """
    before = _CRLF + name + b":"
    start = block.find(before)
    if start < 0:
        return ""
    start += len(before)
    return block[start : block.find(_CRLF, start)].strip().decode("utf-8", "replace")


def header_block(headers: dict[str, str]) -> bytes:
    r"""Return headers as they go over the wire.

    >>> header_block({"Nats-Rollup": "sub"})
    b'NATS/1.0\r\nNats-Rollup: sub\r\n\r\n'
    """
    lines = [_VERSION.decode(), *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()

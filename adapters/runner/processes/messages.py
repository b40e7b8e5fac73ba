"""What a runner and its worker processes tell each other: MessagePack over a socket pair. Nothing is ever unpickled.

Both ends are of one version and one machine, so that these need no care for others: they may change at any time.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from jobledger.core.events import Progress, Value

from ...protocol import ClaimedJob

_LENGTH = 4  # bytes before each message


class _Message(msgspec.Struct, array_like=True, tag=True):
    pass


# -- to a process -----------------------------------------------------------------------------------------------------


class Main(msgspec.Struct, array_like=True, frozen=True):
    """The script that the runner's process was started with."""

    path: str
    package: str  #: in which it is a module, where it was started by `python -m`


class SetUp(_Message):
    """The first message: what all attempts have in common. Classes are named as `module:qualified.name`."""

    argv: list[str]
    main: Main | None  #: None where no class is defined in it: then it is not loaded at all
    tasks: list[str]
    context: str  #: class of the runner context; empty for none
    cluster: str
    log_level: int
    max_report: int  #: bytes
    runner: str  #: its id


class Work(_Message):
    """Attempts to be run when their tickets say so, numbered from `first` in the order in which they are listed."""

    first: int
    jobs: list[ClaimedJob]
    failures: int  #: how many attempts of this process have failed, by what the runner knows
    tasks: list[str]  #: classes that were registered since


class Told(_Message):
    """A running attempt is to stop: by itself or, with `force`, at once."""

    number: int
    cause: str
    reason: str
    force: bool


class Answer(_Message):
    call: int
    value: msgspec.Raw
    raised: Raised | None = None


class Raised(msgspec.Struct, array_like=True, frozen=True):
    """An exception: its class by name, and the arguments it was made with."""

    kind: str
    arguments: list[Any]


ToProcess: TypeAlias = SetUp | Work | Told | Answer


# -- from a process ---------------------------------------------------------------------------------------------------


class Ready(_Message):
    """All classes are there: work may come."""


class Unusable(_Message):
    """This process cannot run the tasks, and ends."""

    message: str


class Ended(_Message):
    """An attempt was run; the fields are those of `Assignment`."""

    number: int
    started: int
    stopped: int
    reports: list[bytes]
    submits: bool
    failed: bool


class Noted(_Message):
    """Something a task logged or traced, encoded as it is kept; `trace` and `span` are the parent of its attempt."""

    job_id: str
    trace: bytes
    span: bytes
    record: bytes


class News(_Message):
    """What a running attempt has counted and displays by now."""

    number: int
    counted: list[Progress] | None
    display: str | None


class Call(_Message):
    """A question whose answer is waited for."""

    call: int
    ask: Ask


# -- what can be asked for: what `Values`, `JobCache`, and `Equipment` do in the runner ---------------------------------


class Keep(_Message):
    job_id: str
    data: bytes


class Refer(_Message):
    job_id: str
    data: bytes  #: sealed, in a sealed job


class Load(_Message):
    name: str


class Returned(_Message):
    job_id: str
    task: int


class Recall(_Message):
    key: bytes


class Adopt(_Message):
    job_id: str
    value: Value


class FindCluster(_Message):
    slug: str


class FetchKey(_Message):
    """The bytes of a sealed job's key."""

    job_id: str
    key: str


class CacheHas(_Message):
    groups: list[str]
    key: str


class CacheGet(_Message):
    groups: list[str]
    key: str


class CacheSet(_Message):
    groups: list[str]
    key: str
    value: bytes


class CacheDelete(_Message):
    groups: list[str]
    key: str


class CacheList(_Message):
    groups: list[str]


Ask: TypeAlias = (
    Keep
    | Refer
    | Load
    | Returned
    | Recall
    | Adopt
    | FindCluster
    | FetchKey
    | CacheHas
    | CacheGet
    | CacheSet
    | CacheDelete
    | CacheList
)
FromProcess: TypeAlias = Ready | Unusable | Ended | Noted | News | Call

encode = msgspec.msgpack.Encoder().encode
decode_to_process = msgspec.msgpack.Decoder(ToProcess).decode
decode_from_process = msgspec.msgpack.Decoder(FromProcess).decode


def framed(message: ToProcess | FromProcess) -> bytes:
    """Return a message as it is sent."""
    data = encode(message)
    return len(data).to_bytes(_LENGTH) + data


class Frames:
    """Makes messages of what arrives."""

    def __init__(self) -> None:
        self._data = bytearray()

    def split(self, data: bytes | memoryview) -> list[bytes]:
        """Take what arrived, and return the messages that are complete by that, without their lengths."""
        self._data += data
        messages, at = list[bytes](), 0
        while len(self._data) >= at + _LENGTH:
            end = at + _LENGTH + int.from_bytes(self._data[at : at + _LENGTH])
            if len(self._data) < end:
                break
            messages.append(bytes(self._data[at + _LENGTH : end]))
            at = end
        del self._data[:at]
        return messages

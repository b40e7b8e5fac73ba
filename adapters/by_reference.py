"""Which inputs and results travel in messages, and which as the name of an object in the object store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec

from jobledger.core import ranges
from jobledger.core.errors import ArgumentError
from jobledger.core.events import Value
from jobledger.core.submission import Submission

from . import objects
from .nats.names import Names
from .nats.wire import Wire
from .objects import LARGEST

INLINE_RESULT = 32 * 1024  # bytes of a result that travel in messages: the engine keeps them in memory
INLINE_INPUT = 128 * 1024  # bytes of an input that do
_NAME = 128  # bytes of a name, and of its place among the references, at most
_HEADER = 5  # bytes before an input, at most

#: stores bytes for a job and returns their name
Store = Callable[[bytes], Awaitable[str]]


def check_size(what: str, size: int) -> None:
    """Raise ArgumentError for an input or a result that is larger than any object."""
    if size > LARGEST:
        raise ArgumentError(
            f"{what} has {size:,} bytes, at most {LARGEST:,} are possible. Put the data into a file or an object store "
            "of your own and pass its path or key"
        )


async def data_of(client: Wire, names: Names, value: Value) -> bytes:
    """Return the JSON that a value is, or refers to. Errors: as `objects.get`."""
    return await objects.get(client, names, value.object) if value.object else value.data


async def refer_inputs(tasks: Submission, room: int, store: Store) -> Submission:
    """Return the tasks of a submission with large inputs replaced by their names.

    Large are those above INLINE_INPUT; where all together do not fit into `room` bytes, others are too, the largest
    first.
    """
    inputs = list(tasks.inputs)
    columns = len(msgspec.msgpack.encode(msgspec.structs.replace(tasks, inputs=[])))
    beside = columns + len(inputs) * _HEADER
    left = sum(map(len, inputs)) + beside
    if left > room and sum(min(len(data), _NAME) for data in inputs) + beside > room:
        return tasks  # it is of no use: there are too many of them
    referred = set(ranges.numbers(tasks.references))
    for index in sorted(range(len(inputs)), key=lambda index: len(inputs[index]), reverse=True):
        size = len(inputs[index])
        if size <= INLINE_INPUT and (left <= room or size <= 2 * _NAME):
            break
        check_size(f"the input of {_name(tasks, index)}", size)
        inputs[index] = (await store(inputs[index])).encode()
        referred.add(tasks.start + index)
        left -= size - len(inputs[index])
    if len(referred) == ranges.count(tasks.references):
        return tasks
    return msgspec.structs.replace(tasks, inputs=inputs, references=ranges.pack(referred))


def referring(chunk: Submission, positions: Iterable[int]) -> Submission:
    """Return one chunk of a submission, of which the inputs at these positions are names."""
    ours = [position for position in positions if 0 <= position - chunk.start < len(chunk)]
    return msgspec.structs.replace(chunk, references=ranges.pack(ours)) if ours else chunk


def _name(tasks: Submission, index: int) -> str:
    position = tasks.start + index
    run = next(run for run in tasks.runs() if run.start <= position < run.stop)
    return str(tasks.specs[run.spec].identifier)

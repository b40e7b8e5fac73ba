"""What is recorded of an exception: always valid text of bounded size, however hostile the exception is.

An exception can raise from `__str__`, can carry bytes that are no text (file names with lone surrogates), and can
be megabytes long. None of that may keep the failure from being reported: a task whose failure cannot be told would
look as if it ran for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from jobledger.core.events import Error
from jobledger.core.policy import Policy

MAX_MESSAGE = 16 * 1024  # bytes
MAX_TRACEBACK = 64 * 1024  # bytes
_MAX_NAME = 256

#: frames of these begin every traceback and say nothing about the task
_MACHINERY = (str(Path(__file__).parent), str(Path(asyncio.__file__).parent), threading.__file__)


def describe(error: BaseException) -> Error:
    """Return what the log keeps of `error`. Raises nothing, whatever the exception does when it is looked at."""
    return Error(
        reason=bounded(_read(lambda: type(error).__name__, "Exception"), _MAX_NAME) or "Exception",
        message=bounded(
            _read(lambda: str(error), "<the text of this exception cannot be read>"), MAX_MESSAGE
        ),
        traceback=bounded(_traceback(error), MAX_TRACEBACK),
    )


def short(error: BaseException) -> str:
    """Return the repr of `error` in at most about a thousand characters, for one line of a log."""
    return bounded(_read(lambda: repr(error), f"<{describe(error).reason}, of which repr() raises>"), 1000)


def stack_of(thread: int) -> str:
    """Return what the user's code does in a thread at this moment, as the traceback of an exception would show it."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return ""
    frames = traceback.extract_stack(frame)
    first = next((i for i, f in enumerate(frames) if not f.filename.startswith(_MACHINERY)), 0)
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[first:])]
    return bounded("".join(lines), MAX_TRACEBACK)


def stack_of_coroutine(task: asyncio.Task[Any] | None) -> str:
    """Return where the user's code waits in an asyncio task, as `stack_of` does for a thread."""
    frames = traceback.StackSummary()
    for frame in task.get_stack() if task is not None else ():
        frames += traceback.extract_stack(frame, 1)
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    return bounded("".join(lines), MAX_TRACEBACK)


def kinds_of(error: BaseException) -> set[str]:
    """Return the names by which a policy may mean this exception: its type's, and those of the bases of that.

    >>> sorted(kinds_of(KeyError("Title")) & {"KeyError", "builtins.LookupError", "ValueError"})
    ['KeyError', 'builtins.LookupError']
    """
    names = {name for kind in type.mro(type(error)) for name in _names(kind)}
    # In a worker process the script goes by another name; policies have the one it was submitted with.
    return names | {
        "__main__" + name.removeprefix("__mp_main__") for name in names if name.startswith("__mp_main__.")
    }


def _names(kind: type) -> tuple[str, str]:
    name = _read(lambda: kind.__name__, "Exception")
    return name, _read(lambda: f"{kind.__module__}.{kind.__qualname__}", name)


def is_final(policy: Policy, kinds: set[str]) -> bool:
    """Whether the policy gives up after a failure of these kinds, however many retries are left.

    >>> policy = Policy(retry_on=("OSError",), give_up=("FileNotFoundError",))
    >>> [is_final(policy, kinds_of(error)) for error in (ConnectionError(), FileNotFoundError(), ValueError())]
    [False, True, True]
    """
    if not kinds.isdisjoint(policy.give_up):
        return True
    return policy.retry_on is not None and kinds.isdisjoint(policy.retry_on)


def bounded(text: str, limit: int) -> str:
    """Return `text` as valid Unicode of about `limit` bytes at most: its head and its tail, if it is longer.

    >>> bounded("abc\\udcff", 100)
    'abc\\\\udcff'
    >>> bounded("a" * 50 + "z" * 50, 20)
    'aaaaaa … 80 bytes left out … zzzzzzzzzzzzzz'
    """
    data = str.encode(text, "utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    head = limit // 3
    tail = limit - head
    first, last = data[:head].decode(errors="ignore"), data[-tail:].decode(errors="ignore")
    return f"{first} … {len(data) - limit} bytes left out … {last}"


def _read(read: Callable[[], Any], otherwise: str) -> str:
    try:
        text = read()
        return text if isinstance(text, str) else otherwise
    except BaseException:  # noqa: BLE001  even SystemExit: it comes from the exception's own methods
        return otherwise


def _traceback(error: BaseException) -> str:
    frames = _from_user_code(error.__traceback__)
    with contextlib.suppress(BaseException):
        return "".join(traceback.format_exception(type(error), error, frames))
    with contextlib.suppress(BaseException):  # without its text, and without what it was caused by
        return "".join(traceback.format_tb(frames))
    return ""


def _from_user_code(frames: TracebackType | None) -> TracebackType | None:
    """Leave out what comes before the first frame of the user's code; everything, if there is none."""
    found = frames
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_MACHINERY):
        found = found.tb_next
    return found or frames

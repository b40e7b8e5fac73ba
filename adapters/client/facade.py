"""One source for the blocking and the asynchronous facade.

An operation is one function: it holds the signature, the documentation and the code. It takes what it works on first
(a `Session`, or the `Reading` of one job) and returns a coroutine, or an asynchronous iterator. Being `async` itself,
all of it runs on the event loop; as a plain function, it checks its arguments at once, where it was called.

A class of the facade lists operations as its methods: `submit = blocking(submitting.submit, Job)` in one class,
`submit = awaited(submitting.submit, AsyncJob)` in the other. Type checkers see each with the operation's own
parameters and with the result of that class; `help()` shows the same.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from ..portal import shared_portal

if TYPE_CHECKING:
    from .read.reading import Reading
    from .session import Session

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class HasSession(Protocol):
    """What operations on a namespace are methods of."""

    @property
    def _session(self) -> Session: ...


class HasReading(Protocol):
    """What operations on one job are methods of."""

    @property
    def _reading(self) -> Reading: ...


J = TypeVar("J", bound=HasReading)


def same(result: T) -> T:
    """Return what is given: for operations whose result is the method's."""
    return result


# -- operations on a namespace ------------------------------------------------------------------------------------


def blocking(
    op: Callable[Concatenate[Session, P], Coroutine[Any, Any, R]], made: Callable[[R], T]
) -> Callable[Concatenate[HasSession, P], T]:
    """Return `op` as a method that blocks, on the shared loop, and returns what `made` makes of the result."""

    @functools.wraps(op)
    def method(self: HasSession, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return made(shared_portal().run(op(self._session, *args, **kwargs)))

    return _shown(method, op, _returned(op, made))


def awaited(
    op: Callable[Concatenate[Session, P], Coroutine[Any, Any, R]], made: Callable[[R], T]
) -> Callable[Concatenate[HasSession, P], Coroutine[Any, Any, T]]:
    """Return `op` as a method to be awaited, on the caller's loop."""

    @functools.wraps(op)
    async def method(self: HasSession, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return made(await op(self._session, *args, **kwargs))

    return _shown(method, op, _returned(op, made))


def blocking_iteration(
    op: Callable[Concatenate[Session, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[HasSession, P], Iterator[T]]:
    """Return `op` as a method that iterates over what it yields, blocking."""

    @functools.wraps(op)
    def method(self: HasSession, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return pulled(op(self._session, *args, **kwargs))

    return _shown(method, op, _annotation(op).replace("AsyncGenerator[", "Iterator[").replace(", None]", "]"))


def awaited_iteration(
    op: Callable[Concatenate[Session, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[HasSession, P], AsyncGenerator[T, None]]:
    """Return `op` as a method that iterates over what it yields asynchronously, on the caller's loop."""

    @functools.wraps(op)
    def method(self: HasSession, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        return op(self._session, *args, **kwargs)

    return _shown(method, op, _annotation(op))


# -- operations on one job ----------------------------------------------------------------------------------------


def blocking_of_job(
    op: Callable[Concatenate[Reading, P], Coroutine[Any, Any, R]], made: Callable[[R], T]
) -> Callable[Concatenate[HasReading, P], T]:
    """Return `op` as a method of a job that blocks and returns what `made` makes of the result."""

    @functools.wraps(op)
    def method(self: HasReading, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return made(shared_portal().run(op(self._reading, *args, **kwargs)))

    return _shown(method, op, _returned(op, made))


def awaited_of_job(
    op: Callable[Concatenate[Reading, P], Coroutine[Any, Any, R]], made: Callable[[R], T]
) -> Callable[Concatenate[HasReading, P], Coroutine[Any, Any, T]]:
    """Return `op` as a method of a job to be awaited, which returns what `made` makes of the result."""

    @functools.wraps(op)
    async def method(self: HasReading, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return made(await op(self._reading, *args, **kwargs))

    return _shown(method, op, _returned(op, made))


# -- the same, which return the job ------------------------------------------------------------------


def blocking_on_job(
    op: Callable[Concatenate[Reading, P], Coroutine[Any, Any, object]],
) -> Callable[Concatenate[J, P], J]:
    """Return `op` as a method of a job that blocks and returns the job."""

    @functools.wraps(op)
    def method(self: J, /, *args: P.args, **kwargs: P.kwargs) -> J:
        shared_portal().run(op(self._reading, *args, **kwargs))
        return self

    return _shown(method, op, "Self")


def awaited_on_job(
    op: Callable[Concatenate[Reading, P], Coroutine[Any, Any, object]],
) -> Callable[Concatenate[J, P], Coroutine[Any, Any, J]]:
    """Return `op` as a method of a job to be awaited, which returns the job."""

    @functools.wraps(op)
    async def method(self: J, /, *args: P.args, **kwargs: P.kwargs) -> J:
        await op(self._reading, *args, **kwargs)
        return self

    return _shown(method, op, "Self")


def blocking_each(
    op: Callable[Concatenate[Reading, P], AsyncGenerator[object, None]],
) -> Callable[Concatenate[J, P], Iterator[J]]:
    """Return `op` as a method of a job that iterates over the job, once for each result."""

    @functools.wraps(op)
    def method(self: J, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[J]:
        return (self for _ in pulled(op(self._reading, *args, **kwargs)))

    return _shown(method, op, "Iterator[Self]")


def awaited_each(
    op: Callable[Concatenate[Reading, P], AsyncGenerator[object, None]],
) -> Callable[Concatenate[J, P], AsyncIterator[J]]:
    """Return `op` as a method of a job that iterates over the job asynchronously, once for each result."""

    @functools.wraps(op)
    def method(self: J, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[J]:
        return _each(op(self._reading, *args, **kwargs), self)

    return _shown(method, op, "AsyncIterator[Self]")


async def _each(results: AsyncGenerator[object, None], job: J) -> AsyncIterator[J]:
    async with contextlib.aclosing(results):
        async for _ in results:
            yield job


_END: Any = object()


def pulled(results: AsyncGenerator[T, None]) -> Iterator[T]:
    """Iterate, blocking, over what an asynchronous generator yields on the shared loop."""
    portal = shared_portal()

    async def following() -> T:
        return await anext(results, _END)

    try:
        while (result := portal.run(following())) is not _END:
            yield result
    finally:
        # Not waited for: this may run in the garbage collector, on any thread.
        portal.loop.call_soon_threadsafe(lambda: portal.loop.create_task(_close(results)))


async def _close(results: AsyncGenerator[T, None]) -> None:
    with contextlib.suppress(RuntimeError):  # it runs: the wait for it was interrupted, and so it is ending
        await results.aclose()


# -- what help() shows --------------------------------------------------------------------------------------------

M = TypeVar("M", bound=Callable[..., Any])


def _shown(method: M, op: Callable[..., Any], returns: str) -> M:
    """Have `method` show the signature of `op`, with `self` in place of what it works on, and what it returns."""
    signature = inspect.signature(op)
    first, *others = signature.parameters.values()
    itself = first.replace(name="self", annotation=inspect.Parameter.empty)
    shown = signature.replace(parameters=[itself, *others], return_annotation=returns)
    method.__signature__ = shown  # type: ignore[attr-defined]
    return method


def _returned(op: Callable[..., Any], made: Callable[..., Any]) -> str:
    """Return the name of what an operation's result is made into."""
    if isinstance(made, type):
        return made.__name__
    text = _annotation(op if made is same else made)
    return (
        text.removeprefix("Coroutine[Any, Any, ").removesuffix("]") if text.startswith("Coroutine") else text
    )


def _annotation(function: Callable[..., Any]) -> str:
    return str(function.__annotations__["return"])

"""A runner to be awaited: it works on threads of its own, beside the caller's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..runner.runner import GRACE, TaskRunner

if TYPE_CHECKING:
    from jobledger.core.task import TaskClass, TaskIdentifier

_AGAIN = 0.2  # seconds between two orders to stop: a run that is only just beginning does not hear the first


class AsyncTaskRunner:
    """Runs tasks of its classes and its cluster while `run_all` or `run_forever` is awaited.

    Canceling that ends the run in order: what runs has the grace to finish, what has not begun is given back. Signals
    are left to the program: an event loop handles them, and calls `stop`.

    >>> async def work() -> str:
    ...     async with AsyncClient() as client:
    ...         runner = client.runner(tasks=[Greet], concurrency=4)
    ...         job = await client.jobs().submit("greetings", Greet("world"))
    ...         _, job = await asyncio.gather(runner.run_all(), job.wait())
    ...         return job.state.name
    >>> asyncio.run(work())
    'COMPLETED'
    """

    def __init__(self, runner: TaskRunner) -> None:
        self._runner = runner

    @property
    def tasks_to_run(self) -> list[TaskIdentifier]:
        """What this runner takes.

        >>> AsyncClient().runner(tasks=[Greet]).tasks_to_run
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        return self._runner.tasks_to_run

    def register(self, task: TaskClass) -> None:
        """Add a task class; a run in progress takes tasks of it from its next request on. As `TaskRunner.register`.

        >>> runner = AsyncClient().runner()
        >>> runner.register(Greet)
        >>> runner.tasks_to_run
        [TaskIdentifier(name='Greet', major=0, minor=0)]
        """
        self._runner.register(task)

    def stop(self) -> None:
        """End the runs in progress in order; do not wait for it.

        >>> async def serve_one() -> None:
        ...     async with AsyncClient() as client:
        ...         runner = client.runner(tasks=[Greet])
        ...         serving = asyncio.create_task(runner.run_forever())
        ...         job = await client.jobs().submit("greetings", Greet("world"))
        ...         await job.wait()
        ...         runner.stop()
        ...         await serving
        >>> asyncio.run(serve_one())
        """
        self._runner.stop()

    async def run_all(self, *, grace: float = GRACE) -> None:
        """Run until no task is ready for this runner and none of its own is running. As `TaskRunner.run_all`.

        >>> async def work() -> str:
        ...     async with AsyncClient() as client:
        ...         job = await client.jobs().submit("greetings", Greet("world"))
        ...         await client.runner(tasks=[Greet]).run_all()
        ...         return (await job.refresh()).state.name
        >>> asyncio.run(work())
        'COMPLETED'
        """
        await self._on_thread(partial(self._runner.run_all, grace=grace))

    async def run_forever(self, *, grace: float = GRACE) -> None:
        """Run until `stop`, or until this is canceled: then running tasks finish for `grace` seconds, others are given
        back. A server that is away is waited for.

        >>> async def serve() -> str:
        ...     async with AsyncClient() as client:
        ...         serving = asyncio.create_task(client.runner(tasks=[Greet]).run_forever())
        ...         job = await client.jobs().submit("greetings", Greet("world"))
        ...         await job.wait()
        ...         serving.cancel()
        ...         return job.state.name
        >>> asyncio.run(serve())
        'COMPLETED'
        """
        await self._on_thread(partial(self._runner.run_forever, grace=grace))

    async def _on_thread(self, run: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            if not ended.done():
                ended.set_result(None) if error is None else ended.set_exception(error)

        def work() -> None:
            error: BaseException | None = None
            try:
                run()
            except BaseException as caught:  # noqa: BLE001  raised again where it is awaited
                error = caught
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, error)

        # Not of the loop's own threads: those are few, and this one may be needed for ever.
        threading.Thread(target=work, name="jobledger-runner", daemon=True).start()
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            while not ended.done():
                self._runner.stop()
                await asyncio.wait((ended,), timeout=_AGAIN)
            raise

"""`execute` as a coroutine, beside an ordinary one."""

import asyncio

from jobledger import Client, ExecutionContext, Job, Task


class AsyncRoot(Task):
    async def execute(self, context: ExecutionContext) -> None:
        parts = await asyncio.gather(*(_part(i) for i in range(3)))
        print(f"gathered {parts}")
        first = context.submit_subtask(AsyncLeaf("first"))
        context.submit_subtask(OrdinaryLeaf("second"), depends_on=first)


class AsyncLeaf(Task):
    name: str

    async def execute(self, context: ExecutionContext) -> None:
        await asyncio.sleep(0)
        print(f"async {self.name}")


class OrdinaryLeaf(Task):
    name: str

    def execute(self, context: ExecutionContext) -> None:
        # a loop of one's own is no trouble either
        print(f"ordinary {self.name}, {asyncio.run(_part(4))}")


async def _part(i: int) -> int:
    await asyncio.sleep(0)
    return i * i


def main() -> Job:
    client = Client()
    job = client.jobs().submit("asynchronous", AsyncRoot())

    client.runner(tasks=[AsyncRoot, AsyncLeaf, OrdinaryLeaf]).run_all()
    return job


async def in_a_notebook() -> Job:
    """As in a notebook, where an event loop is running already."""
    return main()


if __name__ == "__main__":
    main()

"""Keys that are kept elsewhere: the client makes them there, the engine destroys them there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobledger import Client, ExecutionContext, Task
from jobledger.adapters.nats.names import Names
from jobledger.errors import ErasedError, KeyUnavailable, NotFoundError
from jobledger.sealing import MemoryKeys
from support.bytes_on_disk import files_with
from support.engines import EngineHarness
from support.servers import NatsServer
from support.waiting import eventually


class Vault(MemoryKeys):
    """Lets nobody destroy a key while it is `locked`."""

    def __init__(self) -> None:
        super().__init__("vault")
        self.locked = False

    async def destroy(self, job_id: str) -> None:
        if self.locked:
            raise KeyUnavailable("the vault is locked: ask its keeper")
        await super().destroy(job_id)


class Note(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        return self.text


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def client(nats_server: NatsServer, names: Names, vault: Vault) -> Iterator[Client]:
    engine = EngineHarness(nats_server.url, names, keys=vault).wait_ready()
    with Client(nats_server.url, namespace=names.namespace, keys=vault, encrypt=True) as client:
        yield client
    engine.stop()


def test_its_keys_never_come_near_the_server(client: Client, vault: Vault, nats_server: NatsServer) -> None:
    job = client.jobs().submit("a note", Note("a secret"))
    client.runner(tasks=[Note]).run_all()
    assert job.result == "a secret"
    key = vault._keys[str(job.id)]
    assert key is not None
    assert files_with(nats_server.folder, key) == []
    client.jobs().delete(job)
    assert vault._keys[str(job.id)] is None


def test_a_key_that_cannot_be_destroyed_now_is_later(client: Client, vault: Vault) -> None:
    job = client.jobs().submit("a note", Note("a secret"))
    submitted = job.history[0].position
    vault.locked = True
    with pytest.raises(KeyUnavailable, match="the vault is locked: ask its keeper"):
        client.jobs().delete(job, force=True)
    with pytest.raises(NotFoundError, match="its key is being destroyed"):
        client.jobs().find(job.id)
    vault.locked = False
    eventually(lambda: vault._keys[str(job.id)] is None)
    eventually(lambda: "job erased" in str(client.jobs().replay(job.id).seek(version=-1)))
    with pytest.raises(ErasedError):
        client.jobs().find(job.id, at=submitted).tasks[0].input  # noqa: B018

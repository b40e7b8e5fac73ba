"""Sealed jobs as their users meet them: as any other while they are there, and unreadable once they are deleted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from jobledger import AsyncClient, Client, ExecutionContext, Task
from jobledger.adapters.nats.asking import jetstream
from jobledger.adapters.nats.log import read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.stored import stored_messages
from jobledger.adapters.portal import shared_portal
from jobledger.core.codec import encode_commit
from jobledger.core.events import JobDeleted, JobErased, JobSubmitted, TaskComputed
from jobledger.data import JobState, TaskState
from jobledger.errors import (
    ArgumentError,
    ErasedError,
    JobFailed,
    KeyUnavailable,
    NotFoundError,
    SealBroken,
)
from jobledger.projections.jobs.row_fold import RowFold, Step
from jobledger.sealing import MemoryKeys
from support.servers import NatsServer
from support.waiting import eventually

SECRET = "the patient is Ada Lovelace"
LARGE = SECRET * 10_000
SWITCH = threading.Event()


class Shout(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        context.current_task.display = self.text
        context.progress(self.text[:50]).add(2)
        return self.text.upper()


class Sum(Task):
    def execute(self, context: ExecutionContext) -> list[str]:
        return [text[:27] for text in context.results(as_type=str) if text]


class Tree(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        parts = context.submit_subtasks([Shout(self.text), Shout(self.text * 10_000)])
        context.submit_subtask(Sum(), depends_on=parts)
        context.job_cache["case/notes"] = self.text.encode()
        context.logger.info(self.text, name=self.text)
        with context.tracer.span(self.text):
            return self.text * 10_000


class Fail(Task):
    text: str

    def execute(self, context: ExecutionContext) -> None:
        if not SWITCH.is_set():
            raise ValueError(self.text)


class Wait(Task):
    text: str

    def execute(self, context: ExecutionContext) -> str:
        while not context.canceled:
            SWITCH.wait(0.01)
        return self.text


TASKS = [Tree, Shout, Sum, Fail, Wait]


@pytest.fixture(autouse=True)
def switched_off() -> Iterator[None]:
    SWITCH.clear()
    yield
    SWITCH.set()


@pytest.fixture
def sealed(client: Client) -> Callable[..., Any]:
    """Submit a sealed job, and run it as far as it goes."""

    def submit(*tasks: Task, run: bool = True, **options: Any) -> Any:
        job = client.jobs().submit("confidential", list(tasks), encrypt=True, **options)
        if run:
            client.runner(tasks=TASKS).run_all()
        return job

    return submit


# -- while it is there ------------------------------------------------------------------------------------------------


def test_whoever_submitted_it_reads_it_as_any_other(sealed: Callable[..., Any], client: Client) -> None:
    job = sealed(Tree(SECRET), Shout(LARGE)).wait(timeout=20)
    tree, large, first, second, total = job.tasks
    assert (tree.input_json, large.input_json) == (SECRET, LARGE)
    assert (first.input_json, second.input_json) == (SECRET, LARGE)
    assert (tree.result, large.result, second.result) == (LARGE, LARGE.upper(), LARGE.upper())
    assert first.value.data == b'"%s"' % SECRET.upper().encode()
    assert total.result == [SECRET.upper()] * 2  # a task reads what others returned
    assert job.result == [LARGE, LARGE.upper()]
    assert first.display == SECRET
    assert [(one.label, one.total) for one in job.progress] == [(SECRET, 2), (LARGE[:50], 4)]
    (line,) = client.jobs().query_logs(job)
    assert (line.body, line.attributes) == (SECRET, {"name": SECRET})
    assert SECRET in [span.name for span in client.jobs().query_spans(job)]


def test_so_does_anybody_else_without_being_told_anything(
    sealed: Callable[..., Any], nats_server: NatsServer, names: Names
) -> None:
    job = sealed(Tree(SECRET))
    with Client(nats_server.url, namespace=names.namespace) as other:
        found = other.jobs().find(job.id)
        assert (found.tasks[0].input_json, found.result, found.tasks[1].display) == (SECRET, LARGE, SECRET)
        assert found.at(found.history[-1].position).tasks[1].display == SECRET


def test_what_went_wrong_is_told_to_whoever_waits(sealed: Callable[..., Any]) -> None:
    job = sealed(Fail(SECRET))
    with pytest.raises(JobFailed, match=f"ValueError: {SECRET}") as raised:
        job.wait(timeout=20)
    assert (raised.value.reason, raised.value.message) == ("ValueError", SECRET)
    error = job.tasks[0].error
    assert error.message == SECRET
    assert f"ValueError: {SECRET}" in error.traceback
    assert any(SECRET in entry.text for entry in job.history)


def test_views_across_jobs_have_no_key_and_need_none(
    sealed: Callable[..., Any], client: Client, names: Names
) -> None:
    job = sealed(Shout(SECRET), Fail(SECRET))
    link = shared_portal().run(client._session.link())
    fold = RowFold(str(job.id))
    for stored in shared_portal().run(read_job(link.nc, names, str(job.id))):
        fold.apply(Step(stored.position, stored.version, encode_commit(stored.commit)))
    row = fold.row()
    assert (row.name, row.state, row.error) == (
        "confidential",
        JobState.FAILED,
        (f"{job.id}/1", "ValueError", "", ""),
    )
    assert str(row.error) == "ValueError"
    assert row.progress == [(None, 2, 0)]


def test_nothing_of_it_is_in_any_stream(sealed: Callable[..., Any], client: Client, names: Names) -> None:
    job = sealed(Tree(SECRET), Fail(SECRET), Shout(LARGE))
    assert job.settled
    link = shared_portal().run(client._session.link())

    async def stored(stream: str) -> list[bytes]:
        return [one.subject.encode() + one.payload async for one in stored_messages(link.nc, stream, ">")]

    objects = f"OBJ_{names.objects_bucket}"
    for stream in (names.log_stream, names.telemetry_stream, names.cache_stream, objects):
        messages = shared_portal().run(stored(stream))
        assert messages
        for message in messages:
            assert b"Lovelace" not in message
            assert b"LOVELACE" not in message
            assert b"notes" not in message


def test_a_failed_one_is_retried(sealed: Callable[..., Any], client: Client) -> None:
    job = sealed(Fail(SECRET), max_retries=1)
    assert (job.state, job.tasks[0].attempt) == (JobState.FAILED, 2)
    assert [attempt.error.message for attempt in job.tasks[0].attempts] == [SECRET, SECRET]
    SWITCH.set()
    client.jobs().retry(job)
    client.runner(tasks=TASKS).run_all()
    assert job.wait(timeout=20).state is JobState.COMPLETED


def test_several_runners_share_it(
    sealed: Callable[..., Any], client: Client, nats_server: NatsServer, names: Names
) -> None:
    job = sealed(*(Tree(f"{SECRET} {number}") for number in range(10)), run=False)
    with Client(nats_server.url, namespace=names.namespace) as other:
        running = [
            threading.Thread(target=one.runner(tasks=TASKS, concurrency=2).run_all) for one in (client, other)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(20)
        client.runner(tasks=TASKS).run_all()
    assert job.wait(timeout=20).state is JobState.COMPLETED
    assert sorted(task.display for task in job.tasks if task.name == "Shout")[:1] == [f"{SECRET} 0"]


def test_the_same_key_is_the_same_job(
    sealed: Callable[..., Any], nats_server: NatsServer, names: Names
) -> None:
    job = sealed(Shout(SECRET), Shout(LARGE), idempotency_key="case 7")
    with Client(nats_server.url, namespace=names.namespace, encrypt=True) as other:
        again = other.jobs().submit("confidential", [Shout(SECRET), Shout(LARGE)], idempotency_key="case 7")
        assert again == job
        with pytest.raises(ArgumentError, match="belongs to job"):
            other.jobs().submit("confidential", Shout("somebody else"), idempotency_key="case 7")
        assert again.result[0] == SECRET.upper()  # what was refused did no harm
        other.jobs().delete(job)
        with pytest.raises(
            ArgumentError, match=r"idempotency_key='case 7' belongs to job .* was deleted: pass another"
        ):
            other.jobs().submit("confidential", [Shout(SECRET), Shout(LARGE)], idempotency_key="case 7")


def test_a_result_of_it_is_never_reused(client: Client, sealed: Callable[..., Any]) -> None:
    """Whoever can guess an input would find out by that."""
    for encrypt in (True, False, True):
        job = client.jobs().submit("again", Shout(SECRET), encrypt=encrypt, reuse=True)
        client.runner(tasks=TASKS).run_all()
        assert not job.tasks[0].reused
        assert [
            entry.event.reuse_key is None for entry in job.history if isinstance(entry.event, TaskComputed)
        ] == [encrypt]


def test_what_was_put_in_the_place_of_another_input_is_not_run(
    sealed: Callable[..., Any], client: Client, names: Names
) -> None:
    job = sealed(Shout("a dose of 1 mg"), Shout("a dose of 9 mg"), run=False)
    link = shared_portal().run(client._session.link())
    (stored,) = shared_portal().run(read_job(link.nc, names, str(job.id)))
    (submitted,) = stored.commit.events
    swapped = msgspec.structs.replace(submitted.tasks, inputs=submitted.tasks.inputs[::-1])
    event = msgspec.structs.replace(submitted, tasks=swapped)
    reading = client.jobs().find(job.id)._reading
    reading.view.job.inputs[:] = event.tasks.inputs
    for task in reading.view.tasks:
        with pytest.raises(SealBroken, match=f"the input -1 {task.number} of job {job.id} cannot be opened"):
            task.input  # noqa: B018


# -- who asks for it --------------------------------------------------------------------------------------------------


def test_a_client_seals_all_its_jobs_if_it_is_told_to(
    client: Client, nats_server: NatsServer, names: Names
) -> None:
    def sealed_with(job: Any) -> str:
        submitted = job.history[0].event
        assert isinstance(submitted, JobSubmitted)
        return submitted.options.sealed if submitted.options else ""

    with Client(nats_server.url, namespace=names.namespace, encrypt=True) as careful:
        job = careful.jobs().submit("one", Sum())
        assert sealed_with(job) == f"nats/{job.id}"
        assert sealed_with(careful.jobs().submit("two", Sum(), encrypt=False)) == ""
    assert sealed_with(client.jobs().submit("three", Sum())) == ""


@pytest.mark.parametrize("encrypt", ["yes", 1, 0])
def test_it_is_a_yes_or_no(client: Client, encrypt: Any) -> None:
    with pytest.raises(ArgumentError, match=f"encrypt={encrypt!r}"):
        client.jobs().submit("one", Sum(), encrypt=encrypt)
    with pytest.raises(ArgumentError, match=f"encrypt={encrypt!r}"):
        Client("nats://127.0.0.1:1", encrypt=encrypt)


def test_no_job_gets_a_key_that_its_engine_could_not_destroy(
    client: Client, nats_server: NatsServer, names: Names
) -> None:
    keys = MemoryKeys("vault")
    with Client(nats_server.url, namespace=names.namespace, keys=keys) as other:
        with pytest.raises(
            ArgumentError, match=r"engine of this namespace has no key store 'vault'.*Nothing was submitted"
        ):
            other.jobs().submit("one", Shout(SECRET), encrypt=True)
        assert set(keys._keys.values()) == {None}  # the key is of no use
        assert other.jobs().submit("two", Sum()).state is JobState.SUBMITTED


def test_what_cannot_be_submitted_leaves_no_key(client: Client, names: Names) -> None:
    with pytest.raises(NotFoundError):
        client.jobs().submit("one", Shout(SECRET), "no-such-cluster", encrypt=True)
    with pytest.raises(ArgumentError, match="root tasks take"):
        client.jobs().submit("two", [Shout("x" * 140)] * 65_000, encrypt=True)
    link = shared_portal().run(client._session.link())

    async def stored() -> Any:
        return (await jetstream(link.nc, f"STREAM.INFO.KV_{names.keys_bucket}", {}))["state"]["last_seq"]

    assert shared_portal().run(stored()) == 2  # a key, and the marker in its place


# -- without its key --------------------------------------------------------------------------------------------------


def test_without_its_key_its_states_can_be_read_and_nothing_else(
    sealed: Callable[..., Any], client: Client, nats_server: NatsServer, names: Names
) -> None:
    job = sealed(Tree(SECRET), Fail(SECRET))
    with Client(nats_server.url, namespace=names.namespace) as other:
        other._session.keyring._stores = {"vault": MemoryKeys("vault")}
        seen = other.jobs().find(job.id)
        assert (seen.state, seen.tasks_by_state) == (JobState.FAILED, job.tasks_by_state)
        assert str(seen.error) == "ValueError: (sealed)"
        assert [task.display for task in seen.tasks] == ["Tree", "Fail", "(sealed)", "(sealed)", "Sum"]
        for read in (lambda: seen.tasks[0].input, lambda: seen.tasks[0].result, lambda: seen.result):
            with pytest.raises(KeyUnavailable, match="kept by 'nats', and this program only has 'vault'"):
                read()
        with pytest.raises(KeyUnavailable):
            other.jobs().query_logs(job)
        assert "ValueError: (sealed)" in str(seen.history)


def test_a_runner_without_its_key_fails_the_attempt_and_says_why(
    sealed: Callable[..., Any], client: Client, nats_server: NatsServer, names: Names
) -> None:
    job = sealed(Shout(SECRET), run=False)
    with Client(nats_server.url, namespace=names.namespace) as other:
        other._session.keyring._stores = {"vault": MemoryKeys("vault")}
        other.runner(tasks=TASKS).run_all()
    error = job.wait(timeout=20, raise_on_failure=False).tasks[0].error
    assert (error.reason, error.sealed) == ("KeyUnavailable", b"")
    assert "kept by 'nats'" in error.message


# -- once it is deleted -----------------------------------------------------------------------------------------------


def test_its_key_goes_with_it_and_its_history_says_so(sealed: Callable[..., Any], client: Client) -> None:
    job = sealed(Tree(SECRET), Fail(SECRET))
    before = job.history[-1].position
    assert client.jobs().delete(job, reason="it was asked for") is None
    with pytest.raises(NotFoundError, match=r"was deleted .* it was asked for\. .* its key was destroyed"):
        client.jobs().find(job.id)
    replay = client.jobs().replay(job.id)
    assert replay.seek(version=-1).lines == [
        f"job erased: key nats/{job.id} was destroyed; nobody can read its inputs, results and errors any more"
    ]
    past = client.jobs().find(job.id, at=before)
    assert (past.state, past.tasks_by_state[TaskState.COMPUTED]) == (JobState.FAILED, 4)
    assert past.error == (f"{job.id}/1", "ValueError", "(erased)", "")
    assert "ValueError: (erased)" in str(past.history)
    for read in (lambda: past.tasks[0].input, lambda: past.tasks[0].result, lambda: past.tasks[1].input_json):
        with pytest.raises(ErasedError, match=f"job {job.id} was erased: it was deleted"):
            read()


def test_its_chain_still_holds(sealed: Callable[..., Any], client: Client, names: Names) -> None:
    job = sealed(Tree(SECRET))
    client.jobs().delete(job)
    link = shared_portal().run(client._session.link())
    commits = shared_portal().run(read_job(link.nc, names, str(job.id)))  # checks each digest
    kinds = [type(event) for stored in commits for event in stored.commit.events]
    assert kinds[-2:] == [JobDeleted, JobErased]
    assert [stored.commit.settled for stored in commits[-2:]] == [False, True]


def test_one_that_runs_is_erased_by_force(sealed: Callable[..., Any], client: Client) -> None:
    job = sealed(Wait(SECRET), run=False)
    runner = client.runner(tasks=TASKS)
    running = threading.Thread(target=runner.run_all)
    running.start()
    eventually(lambda: job.tasks[0].state is TaskState.RUNNING)
    client.jobs().delete(job, force=True)
    running.join(20)
    assert not running.is_alive()
    with pytest.raises(NotFoundError, match="its key was destroyed"):
        client.jobs().find(job.id)
    assert str(job.id) not in client._session.keyring._at_hand


def test_it_is_deleted_once(sealed: Callable[..., Any], client: Client) -> None:
    job = sealed(Shout(SECRET))
    client.jobs().delete(job)
    with pytest.raises(NotFoundError, match=r"was deleted .* its key was destroyed"):
        client.jobs().delete(job)


def test_others_stay_as_they_are(sealed: Callable[..., Any], client: Client) -> None:
    one, two = sealed(Shout(SECRET)), sealed(Shout(LARGE))
    client.jobs().delete(one)
    assert two.result == LARGE.upper()


def test_what_is_not_sealed_is_not_erased(client: Client) -> None:
    job = client.jobs().submit("open", Sum())
    client.runner(tasks=TASKS).run_all()
    client.jobs().delete(job)
    assert client.jobs().replay(job.id).seek(version=-1).lines[-1].startswith("job deleted")


def test_runners_forget_its_key(
    sealed: Callable[..., Any], client: Client, nats_server: NatsServer, names: Names
) -> None:
    job = sealed(Wait(SECRET), run=False)
    with Client(nats_server.url, namespace=names.namespace) as elsewhere:
        runner = elsewhere.runner(tasks=TASKS)
        serving = threading.Thread(target=runner.run_forever)
        serving.start()
        at_hand = elsewhere._session.keyring._at_hand
        eventually(lambda: str(job.id) in at_hand)
        client.jobs().delete(job, force=True)
        eventually(lambda: str(job.id) not in at_hand)
        runner.stop()
        serving.join(20)
        assert not serving.is_alive()


# -- awaited ----------------------------------------------------------------------------------------------------------


def test_so_it_is_for_programs_that_await(client: Client, nats_server: NatsServer, names: Names) -> None:
    async def program() -> None:
        async with AsyncClient(nats_server.url, namespace=names.namespace, encrypt=True) as other:
            job = await other.jobs().submit("confidential", [Shout(SECRET), Shout(LARGE), Fail(SECRET)])
            await other.runner(tasks=TASKS).run_all()
            await job.refresh()
            assert job.tasks[0].input_json == SECRET
            assert await job.result() == [SECRET.upper(), LARGE.upper(), None]
            assert job.error is not None
            assert job.error.message == SECRET
            await other.jobs().delete(job)
            with pytest.raises(NotFoundError, match="its key was destroyed"):
                await job.refresh()

    asyncio.run(program())

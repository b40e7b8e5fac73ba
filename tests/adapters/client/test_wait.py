"""Waiting for a job: told when it settles, through restarts of the engine and of the server."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from jobledger import (
    ArgumentError,
    Client,
    ExecutionContext,
    Job,
    JobCanceled,
    JobFailed,
    JobState,
    NotFoundError,
    ServerUnavailable,
    Task,
)
from jobledger.adapters.embedded.start import server_status, stop_server
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from support.engines import BareRunner, EngineHarness, computed, failed
from support.servers import NatsServer
from support.waiting import eventually


class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> None:
        pass


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], Job]], Future[Job]]]:
    """Start a call on a thread; it has begun when this returns."""
    with ThreadPoolExecutor(4) as pool:

        def start(call: Callable[[], Job]) -> Future[Job]:
            begun = threading.Event()

            def run() -> Job:
                begun.set()
                return call()

            future = pool.submit(run)
            assert begun.wait(5)
            return future

        yield start


def notices_the_loss(client: Client) -> None:
    """Return when the client knows. One that asks in the very moment of the loss waits five seconds for an answer."""
    link = shared_portal().run(client._session.link())
    eventually(lambda: not link.nc.is_connected)


def test_wait_returns_the_job_once_it_is_completed(
    client: Client, bare_runner: BareRunner, in_background: Callable[..., Future[Job]]
) -> None:
    job = client.jobs().submit("adding", Add(1))
    waiting = in_background(job.wait)
    (ref,) = bare_runner.claim()
    assert not waiting.done()
    bare_runner.report(computed(ref))
    assert waiting.result(5) is job
    assert repr(job).endswith("COMPLETED>")
    assert job.wait(timeout=0).state is JobState.COMPLETED


def test_a_failed_job_raises_with_the_cause_and_the_way_on(client: Client, bare_runner: BareRunner) -> None:
    job = client.jobs().submit("adding", Add(1))
    (ref,) = bare_runner.claim()
    bare_runner.report(failed(ref))
    with pytest.raises(JobFailed) as caught:
        job.wait()
    assert str(caught.value) == (
        f"job 'adding' ({job.id}) failed: task {job.id}/0 (Add) failed at attempt 1 with ValueError: it broke. Mend "
        f"the cause, then go on from there, keeping what is computed: client.jobs().retry('{job.id}')"
    )
    error = caught.value
    assert (error.job_id, error.task_id) == (str(job.id), f"{job.id}/0")
    assert (error.reason, error.message) == ("ValueError", "it broke")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.task_id, again.message) == (str(error), error.task_id, "it broke")
    assert job.wait(raise_on_failure=False).state is JobState.FAILED


def test_a_canceled_job_raises_who_canceled_it(client: Client) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1))
    jobs.cancel(job, "not needed")
    with pytest.raises(
        JobCanceled, match=rf"job 'adding' \({job.id}\) was canceled by .*@.*: not needed"
    ) as caught:
        job.wait(timeout=5)
    assert (caught.value.job_id, caught.value.reason) == (str(job.id), "not needed")
    assert "@" in caught.value.by
    assert job.wait(raise_on_failure=False).canceled


def test_what_is_raised_can_be_chosen(client: Client, bare_runner: BareRunner) -> None:
    jobs = client.jobs()
    canceled, broken = jobs.submit("canceled", Add(1)), jobs.submit("broken", Add(1))
    jobs.cancel(canceled)
    bare_runner.report(failed(bare_runner.claim()[0]))
    assert canceled.wait(raise_on_cancel=False).canceled
    with pytest.raises(JobCanceled):
        canceled.wait(raise_on_failure=False, raise_on_cancel=True)
    with pytest.raises(JobFailed):
        broken.wait(raise_on_cancel=False)


def test_a_canceled_job_is_waited_for_until_its_running_task_has_ended(
    client: Client, bare_runner: BareRunner, in_background: Callable[..., Future[Job]]
) -> None:
    jobs = client.jobs()
    job = jobs.submit("adding", Add(1))
    (ref,) = bare_runner.claim()
    jobs.cancel(job)
    waiting = in_background(lambda: job.wait(raise_on_failure=False))
    with pytest.raises(TimeoutError, match=r"is not settled after 0.1 s: CANCELED with tasks 1 RUNNING"):
        job.wait(timeout=0.1)
    assert not waiting.done()
    bare_runner.report(computed(ref))
    assert waiting.result(5).settled


def test_time_runs_out_with_the_state_so_far(client: Client, bare_runner: BareRunner) -> None:
    job = client.jobs().submit("adding", [Add(1), Add(2)])
    began = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        job.wait(timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 1.5
    assert str(caught.value) == (
        f"job 'adding' ({job.id}) is not settled after 0.2 s: SUBMITTED with tasks 2 QUEUED; task 0 is ready: waits "
        "for a runner of cluster 'default' with task Add v0.0. It goes on: wait again, or cancel it"
    )
    bare_runner.claim()
    with pytest.raises(TimeoutError, match=r"after 0 s: RUNNING with tasks 1 QUEUED, 1 RUNNING. It goes on"):
        job.wait(timeout=0)


def test_waiting_tells_the_programs_log_how_far_the_job_has_come(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    job = client.jobs().submit("adding", Add(1))
    for level in ("WARNING", "INFO"):
        with caplog.at_level(level, "jobledger"), pytest.raises(TimeoutError):
            job.wait(timeout=0.05, interval=0.01)
    told = [record.getMessage() for record in caplog.records if "following" in record.name]
    assert set(told) == {f"job 'adding' ({job.id}) is SUBMITTED, 0.0 %"}
    with pytest.raises(ArgumentError, match="interval=0 leaves no time"):
        job.wait(interval=0)


@pytest.mark.parametrize("timeout", [-1, "5", float("nan")])
def test_a_timeout_that_is_none_is_refused(client: Client, timeout: float) -> None:
    job = client.jobs().submit("adding", Add(1))
    with pytest.raises(ArgumentError, match="timeout="):
        job.wait(timeout=timeout)


def test_many_wait_for_many(client: Client, in_background: Callable[..., Future[Job]]) -> None:
    jobs = [client.jobs().submit(f"adding {n}", Add(n)) for n in range(4)]
    waiting = [in_background(job.wait) for job in jobs]
    client.runner(tasks=[Add]).run_all()
    assert [one.result(5) for one in waiting] == jobs


def test_ctrl_c_ends_a_wait_and_leaves_the_client_usable(client: Client) -> None:
    job = client.jobs().submit("adding", Add(1))
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        job.wait(timeout=20)
    timer.join()
    assert job.state is JobState.SUBMITTED


def test_a_wait_outlasts_its_engine(
    nats_server: NatsServer, names: Names, in_background: Callable[..., Future[Job]]
) -> None:
    engine = EngineHarness(nats_server.url, names).wait_ready()
    with Client(nats_server.url, namespace=names.namespace) as client:
        job = client.jobs().submit("adding", Add(1))
        waiting = in_background(job.wait)
        engine.stop()
        assert job.state is JobState.SUBMITTED  # reading needs no engine
        assert client.jobs().find(job.id) == job
        assert not waiting.done()
        engine = EngineHarness(nats_server.url, names).wait_ready()
        client.runner(tasks=[Add]).run_all()
        assert waiting.result(10).state is JobState.COMPLETED
    engine.stop()


def test_a_request_nobody_answers_says_so(nats_server: NatsServer, names: Names) -> None:
    with Client(nats_server.url, namespace=names.namespace, patience=0.3) as client:
        began = time.monotonic()
        with pytest.raises(ServerUnavailable, match="no engine serves this namespace"):
            client.jobs().submit("adding", Add(1))
        with pytest.raises(ServerUnavailable, match="an engine serves namespace"):
            client.jobs().find("018dd029-58ca-74e5-8b58-b4f99d610f9a")
        assert time.monotonic() - began < 5


def test_a_job_goes_on_after_its_server_was_away(
    tmp_path: Path, in_background: Callable[..., Future[Job]]
) -> None:
    server = NatsServer(tmp_path).start()
    engine = EngineHarness(server.url, Names("default")).wait_ready()
    with Client(server.url) as client:
        job = client.jobs().submit("adding", Add(1))
        other = client.jobs().submit("adding", Add(2))
        waiting = in_background(job.wait)
        server.kill()
        notices_the_loss(client)
        reading = in_background(lambda: other.refresh())
        submitting = in_background(lambda: client.jobs().submit("later", Add(3)))
        with pytest.raises(TimeoutError):
            job.wait(timeout=0.5)
        assert [one.done() for one in (waiting, reading, submitting)] == [False, False, False]
        server.start()
        assert reading.result(20).state is JobState.SUBMITTED
        later = submitting.result(20)
        client.runner(tasks=[Add]).run_all()
        assert waiting.result(20).state is JobState.COMPLETED
        assert later.wait(timeout=20).name == "later"
    engine.stop()
    server.stop()


def test_the_embedded_server_is_started_and_started_again(
    tmp_path: Path, in_background: Callable[..., Future[Job]]
) -> None:
    folder = tmp_path / "data"
    try:
        with Client(data_folder=folder) as client:
            job = client.jobs().submit("adding", Add(1))
            assert job.state is JobState.SUBMITTED
            waiting = in_background(job.wait)
            record = server_status(folder).record
            assert record is not None
            for pid in (record.supervisor_pid, record.server_pid):
                os.kill(pid, signal.SIGKILL)
            notices_the_loss(client)
            assert job.state is JobState.SUBMITTED  # reading, too, starts it again
            found = eventually(lambda: server_status(folder).record)
            assert found is not None
            assert found.supervisor_pid != record.supervisor_pid
            client.runner(tasks=[Add]).run_all()
            assert waiting.result(30).state is JobState.COMPLETED
    finally:
        stop_server(folder)


def test_a_job_of_another_namespace_is_not_found(client: Client, nats_server: NatsServer) -> None:
    job = client.jobs().submit("adding", Add(1))
    elsewhere = Names("elsewhere")
    engine = EngineHarness(nats_server.url, elsewhere).wait_ready()
    with (
        Client(nats_server.url, namespace="elsewhere") as other,
        pytest.raises(NotFoundError, match="the namespace it was submitted to"),
    ):
        other.jobs().find(job.id)
    engine.stop()

"""What users that may not ask JetStream get by way of the engine: each right is used, every other attempt is seen refused."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from jobledger.adapters import protocol as p
from jobledger.adapters.access.rights import Kept, Op, Stream, streams
from jobledger.adapters.link import Link
from jobledger.adapters.nats.asking import NotAllowed
from jobledger.adapters.nats.gated import DENIED, TO
from jobledger.adapters.nats.log import read_job
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.wire import Wire
from jobledger.adapters.portal import shared_portal
from jobledger.core import commands as c
from jobledger.core.errors import ServerAway
from support.engines import submission, task
from support.secured import NAMESPACE, SecuredServer
from support.waiting import eventually

N = Names(NAMESPACE)
STREAMS = streams(N)
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_numbers = itertools.count(1)

#: role -> what is kept -> what may be done with it
RIGHTS: dict[str, dict[str, str]] = {
    "client.c": {
        "log": "info list read follow",
        "clusters": "info list read write",
        "objects": "info list read write purge",
        "cache": "info list read write purge",
        "keys": "info read write",
        "telemetry": "info list read",
        "feed": "info list read follow",
        "bookmarks": "info list read write",
    },
    "auditor.a": {
        "log": "info list read follow",
        "clusters": "info list read",
        "objects": "info list read",
        "telemetry": "info list read",
        "feed": "info list read follow",
    },
    "subscriber.s": {"log": "info", "feed": "info list read follow"},
    "metrics.m": {"log": "info"},
    # of the jobs it runs a task of
    "runner.gpu.g1": {
        "log": "info",
        "clusters": "info read",
        "objects": "info read write purge",
        "cache": "info list read write purge",
        "reuse": "info read",
        "keys": "info read",
        "telemetry": "info write",
    },
    # of a job of which it runs none: objects and successes are had by names that nobody can guess
    "runner.gpu.g2": {
        "log": "info",
        "clusters": "info read",
        "objects": "info read",
        "cache": "info",
        "reuse": "info read",
        "keys": "info",
        "telemetry": "info write",
    },
    # of a job that has nothing for its cluster
    "runner.cpu.c1": {
        "log": "info",
        "clusters": "info read",
        "objects": "info read",
        "cache": "info",
        "reuse": "info read",
        "keys": "info",
        "telemetry": "info",
    },
}


class Site:
    """A job of which runner g1 of cluster gpu runs a task, and a connection of everybody."""

    def __init__(self, server: SecuredServer) -> None:
        self.server = server
        self._links = {who: Link(partial(server.endpoint, who), N, who) for who in ("operator.o", *RIGHTS)}
        self.job_id = f"00000000-0000-0000-0000-{next(_numbers):012d}"

    async def open(self) -> None:
        for link in self._links.values():
            while True:
                try:
                    await link.open()
                    break
                except ServerAway:  # a machine that is busy with the programs that are just starting
                    continue

    def link(self, who: str) -> Link:
        return self._links[who]

    def ask(self, who: str, subject: str, request: Any) -> p.Answer:
        return shared_portal().run(self.link(who).ask(subject, p.encode(request), timeout=20, patience=20))

    def exchange(self, who: str, *reports: c.Report, limit: int = 0, **more: Any) -> p.Answer:
        _, cluster, user = who.split(".")
        kinds = [("Task", 1, 0)]
        request = p.Exchange(cluster, kinds, list(reports), limit, 5.0 if limit else 0.0, **more)
        return self.ask(who, N.exchange("s", cluster, user), request)

    def submit_and_claim(self) -> None:
        tasks = submission(task(cluster="gpu"), task(cluster="gpu"))
        done = self.ask("client.c", N.command, c.SubmitJob(self.job_id, "a job", tasks))
        assert isinstance(done, p.Done), done
        claimed = self.exchange("runner.gpu.g1", limit=1)
        assert isinstance(claimed, p.Exchanged), claimed
        assert [one.job_id for one in claimed.jobs] == [self.job_id]

    def subject(self, kept: Kept) -> str:
        """Return a subject of the stream that has to do with the job."""
        job_id, rest = self.job_id, "ab" * 32
        name = base64.urlsafe_b64encode(f"{job_id}/{rest}".encode()).decode()
        return (
            STREAMS[kept].prefix
            + {
                Kept.LOG: job_id,
                Kept.CLUSTERS: "gpu",
                Kept.OBJECTS: f"M.{name}",
                Kept.CACHE: f"{job_id}.k.x",
                Kept.REUSE: f"key.{rest}",
                Kept.KEYS: job_id,
                Kept.TELEMETRY: job_id,
                Kept.FEED: "x",
                Kept.BOOKMARKS: "mine",
            }[kept]
        )

    def holds(self, stream: str) -> bool:
        """Whether there is such a stream."""
        asking = self.link("operator.o").nc.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=5)
        return "error" not in json.loads(shared_portal().run(asking).data)

    def history(self) -> list[str]:
        async def read() -> list[str]:
            commits = await read_job(self.link("operator.o").nc, N, self.job_id)
            return [type(event).__name__ for stored in commits for event in stored.commit.events]

        return shared_portal().run(read())

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()


@pytest.fixture(scope="module")
def site(secured: SecuredServer) -> Iterator[Site]:
    site = Site(secured)
    shared_portal().run(site.open())
    site.submit_and_claim()
    eventually(lambda: site.holds(N.feed_stream), within=30)  # its publisher makes it as soon as it serves
    yield site
    shared_portal().run(site.close())


def _request(op: Op, stream: Stream, subject: str) -> tuple[str, bytes]:
    """Return where such a request goes, and what it says."""
    api = "$JS.API"
    consumer = {
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": 1,
        "ack_policy": "none",
        "filter_subject": subject,
        "inactive_threshold": 1_000_000_000,
        "mem_storage": True,
        "num_replicas": 1,
    }
    to, body = {
        Op.INFO: (f"{api}.STREAM.INFO.{stream.name}", {}),
        Op.LIST: (f"{api}.STREAM.INFO.{stream.name}", {"subjects_filter": f"{subject}.>"}),
        Op.READ: (f"{api}.STREAM.MSG.GET.{stream.name}", {"last_by_subj": subject}),
        Op.FOLLOW: (
            f"{api}.CONSUMER.CREATE.{stream.name}",
            {"stream_name": stream.name, "config": consumer},
        ),
        Op.PURGE: (f"{api}.STREAM.PURGE.{stream.name}", {"filter": subject}),
        Op.WRITE: (subject, {}),
    }[op]
    return to, json.dumps(body).encode()


async def _passes(client: Wire, to: str, payload: bytes, headers: dict[str, str] | None) -> bool:
    """Whether JetStream itself answers. Errors: AssertionError where it takes the request for a wrong one."""
    try:
        answer = await client.request(to, payload, timeout=10, headers=headers)
    except NotAllowed:
        return False
    reply = json.loads(answer.data)
    looked = (10037, 10059, 10071)  # it is not there, or something is that is not to be replaced
    assert "error" not in reply or reply["error"]["err_code"] in looked, reply
    return True


@pytest.mark.parametrize("who", RIGHTS)
def test_the_engine_passes_on_what_a_role_has_a_right_to_and_nothing_else(site: Site, who: str) -> None:
    async def everything() -> list[str]:
        wrong = []
        for kept, op in itertools.product(Kept, Op):
            may = op in RIGHTS[who].get(kept.value, "").split()
            subject = site.subject(kept)
            if op is Op.LIST and kept is Kept.CACHE:
                subject = subject.rpartition(".")[0]
            only_new = {_EXPECTED: "0"} if op is Op.WRITE and kept in (Kept.CLUSTERS, Kept.KEYS) else None
            if await _passes(site.link(who).nc, *_request(op, STREAMS[kept], subject), only_new) != may:
                wrong.append(f"{who} {'may not' if may else 'may'} {op} {kept}")
        return wrong

    assert shared_portal().run(everything()) == []


# -- what a user may try ----------------------------------------------------------------------------------------------


_READ = {"batch": 10, "max_bytes": 1000}
_CONSUMER = {
    "deliver_policy": "all",
    "ack_policy": "none",
    "filter_subject": N.log_subjects,
    "inactive_threshold": 1_000_000_000,
}
_OBJECTS, _CACHE, _KEYS, _REUSE, _LOG = (
    STREAMS[kept].name for kept in (Kept.OBJECTS, Kept.CACHE, Kept.KEYS, Kept.REUSE, Kept.LOG)
)
#: who, where to, what, headers
ATTEMPTS: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "read all caches": (
        "runner.gpu.g1",
        f"$JS.API.DIRECT.GET.{_CACHE}",
        _READ | {"next_by_subj": f"{N.cache}.>"},
        {},
    ),
    "read caches by number": ("runner.gpu.g1", f"$JS.API.STREAM.MSG.GET.{_CACHE}", {"seq": 1}, {}),
    "read the newest cache": ("runner.gpu.g1", f"$JS.API.DIRECT.GET.{_CACHE}.{N.cache}.*.k.x", "", {}),
    "list jobs by caches": (
        "runner.gpu.g1",
        f"$JS.API.STREAM.INFO.{_CACHE}",
        {"subjects_filter": f"{N.cache}.*.k"},
        {},
    ),
    "list all jobs": ("runner.gpu.g1", f"$JS.API.STREAM.INFO.{_LOG}", {"subjects_filter": ">"}, {}),
    "delete all caches": ("runner.gpu.g1", f"$JS.API.STREAM.PURGE.{_CACHE}", {"filter": f"{N.cache}.>"}, {}),
    "delete a stream": ("runner.gpu.g1", f"$JS.API.STREAM.PURGE.{_CACHE}", {}, {}),
    "delete a stream by a header": ("runner.gpu.g1", f"{N.cache}.JOB.k.x", "", {"Nats-Rollup": "all"}),
    "delete an object by a header": (
        "runner.gpu.g1",
        f"$O.{N.objects_bucket}.C.JOB.{'ab' * 32}.{'cd' * 16}",
        "",
        {"Nats-Rollup": "sub"},
    ),
    "replace a key": ("client.c", f"$KV.{N.keys_bucket}.JOB", "", {}),
    "replace the key at its place": ("client.c", f"$KV.{N.keys_bucket}.JOB", "", {_EXPECTED: "1"}),
    "write over the history of a cluster": ("client.c", N.cluster_subject("gpu"), "", {}),
    "delete a stream for good": ("client.c", f"$JS.API.STREAM.DELETE.{_CACHE}", {}, {}),
    "read some object": ("runner.gpu.g1", f"$JS.API.DIRECT.GET.{_OBJECTS}.$O.{N.objects_bucket}.M.*", "", {}),
    "read all objects": (
        "runner.gpu.g1",
        f"$JS.API.DIRECT.GET.{_OBJECTS}",
        _READ | {"next_by_subj": f"$O.{N.objects_bucket}.C.>"},
        {},
    ),
    "read some success": ("runner.gpu.g1", f"$JS.API.DIRECT.GET.{_REUSE}.$KV.{N.reuse_bucket}.key.*", "", {}),
    "read some key": (
        "runner.gpu.g1",
        f"$JS.API.STREAM.MSG.GET.{_KEYS}",
        {"last_by_subj": f"$KV.{N.keys_bucket}.*"},
        {},
    ),
    "read all keys": (
        "client.c",
        f"$JS.API.STREAM.MSG.GET.{_KEYS}",
        {"last_by_subj": f"$KV.{N.keys_bucket}.>"},
        {},
    ),
    "read keys by number": ("client.c", f"$JS.API.STREAM.MSG.GET.{_KEYS}", {"seq": 1}, {}),
    "make a stream": (
        "client.c",
        "$JS.API.STREAM.CREATE.mine",
        {"name": "mine", "subjects": [N.command]},
        {},
    ),
    "have the log delivered elsewhere": (
        "auditor.a",
        f"$JS.API.CONSUMER.CREATE.{_LOG}",
        {"stream_name": _LOG, "config": _CONSUMER | {"inactive_threshold": 0, "deliver_subject": N.command}},
        {},
    ),
    "leave consumers behind": (
        "auditor.a",
        f"$JS.API.CONSUMER.CREATE.{_LOG}",
        {"stream_name": _LOG, "config": _CONSUMER | {"inactive_threshold": 10**15}},
        {},
    ),
    "write an event": ("client.c", N.log_subject("JOB"), "", {}),
    "ask about another namespace": ("client.c", "$JS.API.STREAM.INFO.jobledger-other-log", {}, {}),
    "say more than the server is to hear": (
        "client.c",
        f"$JS.API.STREAM.INFO.{_LOG}.x {N.command} 0",
        {},
        {},
    ),
    "say something else": ("auditor.a", N.command, "", {}),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_looks_like_a_right_but_is_none_is_refused(site: Site, attempt: str) -> None:
    who, to, body, headers = ATTEMPTS[attempt]
    role, *rest = who.split(".")
    through = ".".join((N.gate, role, rest[0] if len(rest) == 2 else "-", rest[-1]))

    async def reply() -> Any:
        said = json.dumps(body).encode() if body != "" else b""
        sent = {TO: to.replace("JOB", site.job_id)} | headers
        return await site.link(who).nc.request(through, said, timeout=10, headers=sent)

    assert shared_portal().run(reply()).headers["Status"] == DENIED


def test_of_a_consumer_nothing_is_passed_on_but_what_can_be_pulled_from(site: Site) -> None:
    config = _CONSUMER | {"deliver_subject": N.command, "name": "mine", "durable_name": "mine"}
    request = json.dumps({"stream_name": _LOG, "config": config}).encode()

    async def made() -> dict[str, Any]:
        answer = await site.link("auditor.a").nc.request(
            f"$JS.API.CONSUMER.CREATE.{_LOG}", request, timeout=10
        )
        made: dict[str, Any] = json.loads(answer.data)
        return made

    assert not shared_portal().run(made())["config"].keys() & {"deliver_subject", "durable_name"}


Attack = Callable[[Wire, str], Awaitable[None]]


async def _by_command(client: Wire, reply: str) -> None:
    await client.publish(N.command, p.encode(p.FollowJob("nobody", 0)), reply=reply)


async def _by_gate(client: Wire, reply: str) -> None:
    headers = {TO: f"$JS.API.STREAM.INFO.{_LOG}"}
    await client.publish(f"{N.gate}.client.-.c", b"{}", reply=reply, headers=headers)


async def _by_api(client: Wire, reply: str) -> None:
    await client.publish(N.api_subject("list"), b"{}", reply=reply)


async def _by_question(client: Wire, reply: str) -> None:
    await client.publish(N.metrics, b"", reply=reply)
    await client.publish(N.views, b"", reply=reply)
    await client.publish(N.query, b"", reply=reply)
    await client.publish(N.feed_publishers, b"", reply=reply)
    await client.publish("$SRV.PING", b"", reply=reply)


@pytest.mark.parametrize("attack", [_by_command, _by_gate, _by_api, _by_question])
def test_an_answer_is_never_delivered_to_the_log(site: Site, attack: Attack) -> None:
    async def attacked() -> tuple[int, int]:
        async with _listening(site) as newest:
            before = await newest()
            client = site.link("client.c").nc
            await attack(client, N.log_subject(site.job_id))
            # What was asked before is answered before.
            await client.request(f"$JS.API.STREAM.INFO.{_LOG}", b"{}", timeout=10)
            await site.link("client.c").ask(
                N.command, p.encode(p.FollowJob(site.job_id, 0)), timeout=10, patience=10
            )
            return before, await newest()

    before, after = shared_portal().run(attacked())
    assert after == before


@asynccontextmanager
async def _listening(site: Site) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    async def newest() -> int:
        reply = await site.link("operator.o").nc.request(f"$JS.API.STREAM.INFO.{_LOG}", b"", timeout=10)
        return int(json.loads(reply.data)["state"]["last_seq"])

    yield newest


# -- what runners say -------------------------------------------------------------------------------------------------


def test_nobody_speaks_for_what_another_runner_runs(site: Site) -> None:
    history = site.history()
    held = p.AttemptRef(site.job_id, 0, 1)
    forged = (
        c.ReportComputed(*held, 1, 2),
        c.ReleaseTask(*held, "not mine"),
    )
    for report in forged:
        answer = site.exchange("runner.gpu.g2", report)
        assert isinstance(answer, p.Exchanged)
        assert [refused.code for refused in answer.refused] == ["stale"]
    beat = p.Heartbeat([held], [c.ReportProgress(*held, 1, display="forged")])
    seen = site.ask("runner.gpu.g2", N.heartbeat("s", "gpu", "g2"), beat)
    assert seen == p.HeartbeatSeen([held])
    results = site.ask("runner.gpu.g2", N.results_for("s", "gpu", "g2"), p.ReadResults(site.job_id, 0))
    assert isinstance(results, p.Refused)
    again = site.exchange("runner.gpu.g2", holds=[])
    assert isinstance(again, p.Exchanged)
    assert again.jobs == []
    assert site.history() == history


def test_a_runner_gets_no_tasks_of_another_cluster(site: Site) -> None:
    request = p.Exchange("gpu", [("Task", 1, 0)], limit=10)
    answer = site.ask("runner.cpu.c1", N.exchange("s", "cpu", "c1"), request)
    assert isinstance(answer, p.Refused)
    assert "cluster" in answer.message
    own = site.exchange("runner.cpu.c1", limit=0)
    assert isinstance(own, p.Exchanged)


@pytest.mark.parametrize("who", ["auditor.a", "runner.gpu.g1"])
def test_who_may_not_command_is_told_so(site: Site, who: str) -> None:
    with pytest.raises(NotAllowed, match="may not do that"):
        site.ask(who, N.command, c.CancelJob(site.job_id, "a-command"))

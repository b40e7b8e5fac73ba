"""What the server lets each user publish and hear: every right is used, and every other attempt is seen refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from nats.aio.client import Client as Nats

from jobledger.adapters.nats.connection import open_connection
from jobledger.adapters.nats.names import Names
from jobledger.adapters.portal import shared_portal
from support.secured import EVERYBODY, NAMESPACE, SecuredServer

N = Names(NAMESPACE)
ASKERS = "client.c operator.o"
READERS = f"{ASKERS} auditor.a"
TRUSTED = "engine.e projector.p publisher.f operator.o"
API = "$JS.API"
G1, G2 = ("s", "gpu", "g1"), ("s", "gpu", "g2")
NUMBERED = N.prefix + ".exchange.3.gpu.g1.s"

#: subject -> who may publish there, and somebody who hears it
PUBLISH: dict[str, tuple[str, str | None]] = {
    # commands
    N.command: (f"engine.e {ASKERS}", "engine.e"),
    f"{N.command}.3": (f"engine.e {ASKERS}", "engine.e"),
    N.api_subject("submit"): (f"engine.e {ASKERS}", "engine.e"),
    # runners, each for itself
    N.exchange(*G1): ("engine.e runner.gpu.g1", "engine.e"),
    N.exchange(*G2): ("engine.e runner.gpu.g2", "engine.e"),
    NUMBERED: ("engine.e runner.gpu.g1", "engine.e"),
    N.heartbeat(*G1): ("engine.e runner.gpu.g1", "engine.e"),
    N.results_for(*G1): ("engine.e runner.gpu.g1", "engine.e"),
    N.exchange("s", "cpu", "g1"): ("engine.e", "engine.e"),
    N.exchange("s", "gpu", "-"): ("engine.e", "engine.e"),
    # each through its own part of the gate
    f"{N.gate}.runner.gpu.g1": ("engine.e runner.gpu.g1", "engine.e"),
    f"{N.gate}.3.runner.gpu.g1": ("engine.e runner.gpu.g1", "engine.e"),
    f"{N.gate}.client.-.c": ("engine.e client.c", "engine.e"),
    f"{N.gate}.auditor.-.a": ("engine.e auditor.a", "engine.e"),
    f"{N.gate}.operator.-.o": ("engine.e", "engine.e"),
    # what engines say
    N.hello: ("engine.e", "runner.gpu.g1"),
    N.farewell: ("engine.e", "client.c"),
    N.halted("gpu"): ("engine.e", "runner.gpu.g1"),
    # questions
    N.query: (f"engine.e {READERS}", "projector.p"),
    N.views: (f"engine.e {READERS}", "projector.p"),
    N.metrics: (f"engine.e {READERS} metrics.m", "projector.p"),
    N.feed_publishers: (f"engine.e {READERS} subscriber.s", "publisher.f"),
    N.feed_switch: ("engine.e operator.o", None),
    # streams
    N.log_subject("a-job"): ("engine.e", None),
    N.cluster_subject("x"): ("engine.e operator.o", "client.c"),
    N.telemetry_subject("a-job"): ("engine.e operator.o", "client.c"),
    f"{N.cache}.a-job.k.x": ("engine.e operator.o", None),
    f"{N.feed_prefix}.x": ("engine.e operator.o publisher.f", "subscriber.s"),
    f"$KV.{N.keys_bucket}.a-job": ("engine.e operator.o", None),
    f"$KV.{N.reuse_bucket}.key.x": ("engine.e operator.o", None),
    f"$KV.{N.engines_bucket}.owner": ("engine.e operator.o", None),
    f"$O.{N.objects_bucket}.M.x": ("engine.e operator.o", None),
    # JetStream itself
    f"{API}.INFO": (TRUSTED, None),
    f"{API}.STREAM.INFO.{N.log_stream}": (TRUSTED, None),
    f"{API}.STREAM.CREATE.{N.log_stream}": (TRUSTED, None),
    f"{API}.STREAM.UPDATE.{N.log_stream}": ("engine.e operator.o", None),
    f"{API}.STREAM.DELETE.{N.log_stream}": ("operator.o", None),
    f"{API}.STREAM.PURGE.{N.log_stream}": ("", None),
    f"{API}.STREAM.MSG.GET.{N.log_stream}": (TRUSTED, None),
    f"{API}.DIRECT.GET.{N.log_stream}": (TRUSTED, None),
    f"{API}.CONSUMER.CREATE.{N.log_stream}": (TRUSTED, None),
    f"{API}.STREAM.MSG.GET.KV_{N.keys_bucket}": ("engine.e operator.o", None),
    f"{API}.STREAM.CREATE.something": ("", None),
    f"{API}.STREAM.NAMES": ("", None),
    # answers, and what is not of this namespace
    "_INBOX.runner.gpu.g2.x": ("engine.e projector.p publisher.f", "runner.gpu.g2"),
    "jobledger.other.command": ("", None),
    f"{API}.STREAM.INFO.jobledger-other-log": ("", None),
    "$SYS.REQ.SERVER.PING": ("", None),
}

EVERYONE = " ".join(EVERYBODY)
#: what somebody subscribes to -> who may, and a subject that is heard there
SUBSCRIBE: dict[str, tuple[str, str | None]] = {
    N.command: ("engine.e", N.command),
    N.exchanges: ("engine.e", N.exchange(*G1)),
    f"{N.prefix}.exchange.>": ("engine.e", N.exchange(*G1)),
    N.exchange(*G1): ("engine.e", N.exchange(*G1)),
    N.heartbeats: ("engine.e", N.heartbeat(*G1)),
    N.results: ("engine.e", N.results_for(*G1)),
    N.gates: ("engine.e", f"{N.gate}.client.-.c"),
    f"{N.api}.>": ("engine.e", N.api_subject("submit")),
    N.hello: (EVERYONE, N.hello),
    N.farewell: (EVERYONE, N.farewell),
    N.halted("gpu"): ("runner.gpu.g1 runner.gpu.g2", N.halted("gpu")),
    N.halted("cpu"): ("runner.cpu.c1", N.halted("cpu")),
    N.halts: ("", None),
    N.query: ("projector.p", N.query),
    N.views: ("projector.p", N.views),
    N.metrics: ("engine.e projector.p publisher.f", N.metrics),
    N.feed_publishers: ("publisher.f", N.feed_publishers),
    N.cluster_subjects: (
        f"engine.e {READERS} runner.gpu.g1 runner.gpu.g2 runner.cpu.c1",
        N.cluster_subject("x"),
    ),
    N.telemetry_subjects: (READERS, N.telemetry_subject("a-job")),
    N.feed_subjects: ("subscriber.s", f"{N.feed_prefix}.x"),
    N.log_subjects: ("", None),
    f"{N.cache}.>": ("", None),
    f"$KV.{N.keys_bucket}.>": ("", None),
    f"$O.{N.objects_bucket}.>": ("", None),
    f"{N.prefix}.>": ("", None),
    "_INBOX.>": ("", None),
    "_INBOX.runner.gpu.g2.>": ("runner.gpu.g2", "_INBOX.runner.gpu.g2.x"),
    "_INBOX.client.-.c.>": ("client.c", "_INBOX.client.-.c.x"),
    "$JS.>": ("", None),
    "$SYS.>": ("", None),
    ">": ("", None),
}


class Person:
    """A connection of one user, and what the server said against it."""

    def __init__(self, connection: Nats) -> None:
        self.connection = connection

    async def refused(self, action: Callable[[], Any]) -> bool:
        """Whether the server refuses this: it says so before it answers the ping behind it."""
        self.connection._err = None
        await action()
        await self.connection.flush()
        said = str(self.connection.last_error or "").lower()
        return "permissions violation" in said

    async def says(self, subject: str) -> bool:
        return not await self.refused(lambda: self.connection.publish(subject, b"x"))


@asynccontextmanager
async def everybody(server: SecuredServer) -> AsyncIterator[dict[str, Person]]:
    async with AsyncExitStack() as stack:
        people = {}
        for who in EVERYBODY:
            connection = await open_connection(server.endpoint(who), name=who)
            stack.push_async_callback(connection.close)
            people[who] = Person(connection)
        yield people


async def _publish(server: SecuredServer) -> list[str]:
    wrong = []
    async with everybody(server) as people:
        for subject, (allowed, observer) in PUBLISH.items():
            heard = None
            if observer is not None:
                heard = await people[observer].connection.subscribe(subject)
                await people[observer].connection.flush()
            for who, person in people.items():
                may = who in allowed.split()
                if await person.says(subject) != may:
                    wrong.append(f"{who} {'may not' if may else 'may'} publish to {subject}")
                elif may and heard is not None:
                    await heard.next_msg(5)
            if heard is not None:
                assert heard.pending_msgs == 0
                await heard.unsubscribe()
    return wrong


async def _subscribe(server: SecuredServer) -> list[str]:
    wrong = []
    async with everybody(server) as people:
        engine = people["engine.e"].connection
        for subject, (allowed, heard_on) in SUBSCRIBE.items():
            for who, person in people.items():
                may = who in allowed.split()
                heard: list[Any] = []

                async def subscribe(
                    person: Person = person, heard: list[Any] = heard, on: str = subject
                ) -> None:
                    heard.append(await person.connection.subscribe(on))

                refused = await person.refused(subscribe)
                if refused == may:
                    wrong.append(f"{who} {'may not' if may else 'may'} subscribe to {subject}")
                elif may and heard_on is not None:
                    await engine.publish(heard_on, b"x")
                    await heard[0].next_msg(5)
                await heard[0].unsubscribe()
    return wrong


@pytest.mark.parametrize("matrix", [_publish, _subscribe])
def test_the_server_lets_nobody_do_more_or_less_than_its_role(
    server_alone: SecuredServer, matrix: Callable[[SecuredServer], Any]
) -> None:
    assert shared_portal().run(matrix(server_alone)) == []


def test_nobody_gets_in_without_a_login(server_alone: SecuredServer) -> None:
    from jobledger.adapters.nats.endpoint import Endpoint
    from jobledger.core.errors import ServerUnavailable

    tls = {name: value for name, value in server_alone.login("client.c").items() if name.startswith("tls")}
    with pytest.raises(ServerUnavailable, match="refused the login"):
        asyncio.run(open_connection(Endpoint(server_alone.url, **tls), name="nobody"))


def test_nobody_gets_in_without_a_certificate(server_alone: SecuredServer) -> None:
    from jobledger.adapters.nats.endpoint import Endpoint
    from jobledger.core.errors import ServerUnavailable

    login = {name: value for name, value in server_alone.login("client.c").items() if name != "tls_cert"}
    with pytest.raises(ServerUnavailable):
        asyncio.run(open_connection(Endpoint(server_alone.url, **login), name="nobody"))

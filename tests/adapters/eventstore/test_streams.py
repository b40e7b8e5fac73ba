"""A stream is used only with the settings under which it keeps what it acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

import nats
import pytest
from eventsourcing.persistence import ProgrammingError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType

from jobledger.adapters.nats.eventstore import JetStreamFactory
from jobledger.adapters.nats.names import Names
from jobledger.adapters.nats.streams import StreamSettingsError, ensure_log, log_settings
from support.servers import NatsServer


async def connected(url: str) -> tuple[Any, JetStreamContext]:
    nc = await nats.connect(url)
    return nc, nc.jetstream()


OTHER_SETTINGS: list[dict[str, Any]] = [
    {"storage": StorageType.MEMORY},
    {"discard": DiscardPolicy.OLD},
    {"max_age": 60.0},
    {"max_msgs": 10},
    {"max_msgs_per_subject": 1},
    {"allow_direct": False},
    {"allow_atomic": False},
    {"allow_msg_ttl": True},
    {"deny_delete": False},
    {"deny_purge": False},
]


@pytest.mark.parametrize("other", OTHER_SETTINGS, ids=lambda other: "-".join(other))
def test_a_stream_with_another_setting_is_refused_by_its_name(
    nats_server: NatsServer, names: Names, other: dict[str, Any]
) -> None:
    async def check() -> None:
        nc, js = await connected(nats_server.url)
        try:
            await js.add_stream(log_settings(names.log_stream, [names.log_subjects]).evolve(**other))
            (setting,) = other
            with pytest.raises(StreamSettingsError, match=f"stream '{names.log_stream}' has {setting} ="):
                await ensure_log(js, names)
        finally:
            await nc.close()

    asyncio.run(check())


def test_the_log_is_made_once_and_accepted_from_then_on(nats_server: NatsServer, names: Names) -> None:
    async def check() -> None:
        nc, js = await connected(nats_server.url)
        try:
            await asyncio.gather(*(ensure_log(js, names) for _ in range(5)))
            await js.publish(names.log_subject("job"), b"")
            await ensure_log(js, names)
            assert (await js.stream_info(names.log_stream)).state.messages == 1
        finally:
            await nc.close()

    asyncio.run(check())


def test_more_replicas_than_the_server_has_and_overlapping_subjects_are_refused(
    nats_server: NatsServer, names: Names
) -> None:
    async def check() -> None:
        nc, js = await connected(nats_server.url)
        try:
            with pytest.raises(StreamSettingsError, match="replicas > 1 not supported"):
                await ensure_log(js, names, replicas=3)
            await js.add_stream(log_settings(f"{names.namespace}-other", [f"{names.prefix}.>"]))
            with pytest.raises(StreamSettingsError, match="overlap"):
                await ensure_log(js, names)
        finally:
            await nc.close()

    asyncio.run(check())


def test_fewer_replicas_than_asked_for_are_refused(nats_server: NatsServer, names: Names) -> None:
    async def check() -> None:
        nc, js = await connected(nats_server.url)
        try:
            await ensure_log(js, names)
            with pytest.raises(StreamSettingsError, match="num_replicas = 1"):
                await ensure_log(js, names, replicas=3)
        finally:
            await nc.close()

    asyncio.run(check())


def test_a_recorder_refuses_the_stream_of_a_process(nats_server: NatsServer, names: Names) -> None:
    factory = JetStreamFactory({"NATS_URL": nats_server.url, "NATS_STREAM": names.namespace})
    try:
        factory.process_recorder()
        with pytest.raises(ProgrammingError, match=f"stream '{names.namespace}' has subjects ="):
            factory.application_recorder()
    finally:
        factory.close()

"""Structs as events, through the mapper and through a whole application."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import (
    JSONTranscoder,
    MapperDeserialisationError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.utils import register_topic
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.nats.eventstore import MsgspecMapper
from jobledger.adapters.nats.names import Names
from support.servers import NatsServer


class Opened(msgspec.Struct, frozen=True, array_like=True, tag=1):
    TOPIC = "test.account.opened"

    originator_id: str
    originator_version: int
    owner: str
    limits: list[int] = []


class Paid(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag_field="kind"):
    TOPIC = "test.account.paid"

    amount: int
    note: str | None = None
    paid_by: str = "cash"
    originator_id: str
    originator_version: int


class Payment:
    TOPIC = "test.account.payment"


for _event in (Opened, Paid):
    register_topic(_event.TOPIC, _event)


def mapper(**options: Any) -> MsgspecMapper:
    return MsgspecMapper(JSONTranscoder(), **options)


@given(st.text(), st.integers(0, 2**63), st.text(), st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_an_event_comes_back(originator_id: str, version: int, owner: str, limits: list[int]) -> None:
    event = Opened(originator_id, version, owner, limits)
    for each in (mapper(), mapper(compressor=zlib)):
        stored = each.to_stored_event(event)
        assert (stored.originator_id, stored.originator_version, stored.topic) == (
            originator_id,
            version,
            Opened.TOPIC,
        )
        assert each.to_domain_event(stored) == event


def test_the_state_is_the_struct_without_what_the_record_holds() -> None:
    opened = mapper().to_stored_event(Opened("a", 1, "me", [5]))
    paid = mapper().to_stored_event(Paid(originator_id="a", originator_version=2, amount=3, paid_by="card"))

    assert msgspec.msgpack.decode(opened.state) == [1, "me", [5]]
    assert msgspec.msgpack.decode(paid.state) == {"kind": "Paid", "amount": 3, "paidBy": "card"}
    assert mapper().to_domain_event(paid) == Paid(
        originator_id="a", originator_version=2, amount=3, paid_by="card"
    )


def test_fields_appended_since_take_their_defaults() -> None:
    stored = StoredEvent("a", 1, Opened.TOPIC, msgspec.msgpack.encode([1, "me"]))

    first, second = (mapper().to_domain_event(stored) for _ in range(2))

    assert first == Opened("a", 1, "me", [])
    assert isinstance(first, Opened)
    assert isinstance(second, Opened)
    assert first.limits is not second.limits


@pytest.mark.parametrize(
    "state", [b"", b"\xff", msgspec.msgpack.encode([1, 7]), msgspec.msgpack.encode([2, "me"])]
)
def test_a_state_of_another_shape_is_named(state: bytes) -> None:
    with pytest.raises(
        MapperDeserialisationError, match=r"version 4 of originator 'a', of topic 'test\.account\.opened'"
    ):
        mapper().to_domain_event(StoredEvent("a", 4, Opened.TOPIC, state))


def test_other_classes_are_refused() -> None:
    with pytest.raises(ProgrammingError, match="Payment is not a msgspec Struct"):
        mapper().to_stored_event(Payment())  # type: ignore[arg-type]


class Account:
    """An aggregate of its own making, as the library allows."""

    def __init__(self, account_id: str, version: int, balance: int) -> None:
        self.id, self.version, self.balance = account_id, version, balance


def projected(initial: Account | None, domain_events: Any) -> Account | None:
    account = initial
    for event in domain_events:
        if isinstance(event, Opened):
            account = Account(event.originator_id, event.originator_version, 0)
        elif isinstance(event, Paid):
            assert account is not None
            account = Account(account.id, event.originator_version, account.balance + event.amount)
    return account


def test_an_application_of_structs(nats_server: NatsServer, names: Names) -> None:
    env = {
        "PERSISTENCE_MODULE": "jobledger.adapters.nats.eventstore",
        "MAPPER_TOPIC": "jobledger.adapters.nats.eventstore:MsgspecMapper",
        "NATS_URL": nats_server.url,
        "NATS_STREAM": names.namespace,
    }
    with Application[str](env=env) as app:
        app.save(Opened("a", 1, "me"), Paid(originator_id="a", originator_version=2, amount=30))
        app.save(Paid(originator_id="a", originator_version=3, amount=12))

        account: Account = app.repository.get("a", projector_func=projected)
        assert (account.version, account.balance) == (3, 42)

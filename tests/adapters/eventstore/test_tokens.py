"""Originator ids and their subject tokens."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from eventsourcing.persistence import DataError, ProgrammingError
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.nats.eventstore.tokens import id_of, token_of

plain = st.from_regex(re.compile(r"[A-Za-z0-9_-]{1,40}"), fullmatch=True)
#: surrogates and the characters that escapes are made of included
hostile = st.text(st.characters(exclude_categories=()) | st.sampled_from(".*> %=~_-$\x00\n"), max_size=40)
ids = plain | hostile | st.uuids() | st.uuids().map(str) | st.uuids().map(lambda u: f"={u.hex}")


@given(ids)
def test_an_id_comes_back_with_its_type(originator_id: UUID | str) -> None:
    back = id_of(token_of(originator_id))

    assert back == originator_id
    assert type(back) is type(originator_id)


@given(ids)
def test_a_token_is_one_token_of_a_subject(originator_id: UUID | str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_%=-]+", token_of(originator_id))


@given(plain)
def test_a_plain_id_is_its_own_token(originator_id: str) -> None:
    assert token_of(originator_id) == originator_id


@given(st.text(st.sampled_from("a%=2EF.~-"), max_size=8))
def test_a_token_stands_for_one_id_only(token: str) -> None:
    try:
        originator_id = id_of(token)
    except DataError:
        return
    assert token_of(originator_id) == token


@pytest.mark.parametrize("originator_id", [7, None, b"bytes"])
def test_other_types_are_refused(originator_id: object) -> None:
    with pytest.raises(ProgrammingError, match="strings or UUIDs"):
        token_of(originator_id)  # type: ignore[arg-type]


def test_an_id_too_long_for_a_subject_is_refused() -> None:
    assert len(token_of("x" * 2048)) == 2048
    with pytest.raises(ProgrammingError, match="shorter"):
        token_of("x" * 2049)

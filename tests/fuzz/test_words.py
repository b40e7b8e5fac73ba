"""What people type: references, times, labels, versions. What is none is refused in words, and never with a traceback."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

import pytest
from cyclopts import Token
from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.audit.layout import decode_heads
from jobledger.adapters.cli import references, selection, times
from jobledger.adapters.cli.job import forking
from jobledger.adapters.client import arguments
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.nats.names import Names
from jobledger.core.errors import ArgumentError
from jobledger.core.task import TaskIdentifier
from jobledger.core.tokens import text_of_token, token_of_text
from jobledger.projections.feed import FeedId
from jobledger.projections.feed.subjects import kind_token, text_of_kind

from .budget import examples
from .hostile import TEXTS
from .mutation import damaged

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
WORDS = [
    *(
        "90",
        "15m",
        "2h",
        "2026-05-01T12:00",
        "2026-05-01T12:00+02:00",
        "#4711",
        JOB,
        f"{JOB}/3",
        "v1.2",
        "key=value",
    ),
    *(
        "1-2-3",
        "9" * 5000,
        f"{JOB}/{'9' * 5000}",
        f"3={'9' * 5000}",
        f"{'9' * 5000}=3",
        "٣",
        "\uff11\uff15m",
        "²",
        "1e5",
        "%ZZ",
    ),
    *(
        "0001-01-01T00:00+23:59",
        "9999-12-31T23:59-23:59",
        "-5",
        "3=[1]",
        f"3={'[' * 5000}",
        "job\t1\t2\t3\tff",
    ),
    *TEXTS,
]


def token(text: str) -> list[Token]:
    return [Token(value=text)]


#: what reads a word, and the errors it may have
READERS: dict[str, tuple[Callable[[str], Any], type[Exception]]] = {
    "a length of time": (lambda text: times._seconds(None, token(text)), ValueError),
    "a past time": (lambda text: times._past(None, token(text)), ValueError),
    "a future time": (lambda text: times._future(None, token(text)), ValueError),
    "a point": (times.point_from, ValueError),
    "a label": (lambda text: selection.labels_from([text, text]), ArgumentError),
    "a job or task": (arguments.job_or_task, ArgumentError),
    "a new input": (lambda text: forking._inputs([text]), ArgumentError),
    "a version": (lambda text: TaskIdentifier.parse("Task", text), ArgumentError),
    "a namespace": (Names, ValueError),
    "a data folder": (DataFolder.locate, ArgumentError),
    "the id of a message of the feed": (FeedId.parse, ValueError),
    "a token": (text_of_token, ValueError),
    "the token of a kind": (text_of_kind, ValueError),
    "the heads of a bundle": (lambda text: decode_heads(text.encode("utf-8", "surrogateescape")), ValueError),
}


def reference(text: str) -> None:
    if not text.startswith("latest"):
        references.target_of(None, text)  # type: ignore[arg-type]  # whoever names a job asks no client


READERS["a reference"] = (reference, ArgumentError)


def understood_or_refused(what: str, text: str) -> None:
    read, error = READERS[what]
    try:
        read(text)
    except error as problem:
        str(problem)


@pytest.mark.parametrize("what", READERS)
def test_none_of_the_known_words_surprises(what: str) -> None:
    for text in WORDS:
        understood_or_refused(what, text)


@pytest.mark.parametrize("what", READERS)
@examples(25)
@given(random=st.randoms(use_true_random=True))
def test_a_word_is_understood_or_refused(what: str, random: Random) -> None:
    for _ in range(12):
        data = damaged(random.choice(WORDS).encode(), random, [word.encode() for word in WORDS])[:6000]
        understood_or_refused(what, data.decode("utf-8", random.choice(("replace", "surrogateescape"))))


@pytest.mark.parametrize("text", ["9" * 5000, f"#{'9' * 30}"])
def test_a_position_that_no_log_has_is_refused_by_what_could_be_written(text: str) -> None:
    with pytest.raises(ValueError, match="neither a position of the log"):
        times.point_from(text)


@pytest.mark.parametrize("text", TEXTS)
def test_any_name_becomes_one_word_of_a_subject(text: str) -> None:
    for made in (token_of_text(text), kind_token(text)):
        assert made.isascii()
        assert made
        assert not set(made) & set(" \t\r\n.*>\0")
    assert text_of_token(token_of_text(text)) == text


def test_a_time_that_no_calendar_has_is_no_answer() -> None:
    assert isinstance(times._past(None, token("100w")), datetime)

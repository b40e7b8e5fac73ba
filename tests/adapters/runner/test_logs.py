"""The lines a task logs."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from jobledger.adapters.runner.telemetry.log_level import log_level
from jobledger.adapters.runner.telemetry.logs import task_logger
from jobledger.core.errors import ArgumentError

IDS: dict[str, Any] = {"job_id": "j", "task_id": "j/3", "attempt": 2}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_lines_read_as_message_and_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    logger = task_logger(logging.INFO, **IDS)
    logger.info("Movie release date fetched", title="Shrek 2", released="19 May 2004")
    logger.bind(size=3).info("half of %s", "it", part=1.5)
    assert lines(capsys) == [
        'Movie release date fetched title="Shrek 2" released="19 May 2004"',
        "half of it size=3 part=1.5",
    ]


def test_other_levels_are_named_and_warnings_say_whose_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    logger = task_logger(logging.DEBUG, **IDS)
    logger.debug("d")
    logger.warning("w")
    logger.error("e")
    logger.critical("c")
    ids = 'job_id="j" task_id="j/3" attempt=2'
    assert lines(capsys) == ["DEBUG: d", f"WARNING: w {ids}", f"ERROR: e {ids}", f"CRITICAL: c {ids}"]


def test_nothing_below_the_level_is_printed_however_it_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    logger = task_logger(logging.ERROR, **IDS)
    logger.bind(a=1).warning("no")
    logger.info("no")
    assert lines(capsys) == []


def test_exception_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logger = task_logger(logging.INFO)
    try:
        raise KeyError("Title")
    except KeyError:
        logger.exception("broke")
    found = lines(capsys)
    assert found[0] == "ERROR: broke"
    assert found[-1] == "KeyError: 'Title'"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


@pytest.mark.parametrize(
    ("message", "args", "attributes", "line"),
    [
        ("%d", ("x",), {}, '%d "x"'),
        ("%s %s", ("x",), {}, '%s %s "x"'),
        ("100%", (), {}, "100%"),
        (Hostile(), (), {}, "<Hostile, of which str() raises>"),
        ("m", (), {"key": Hostile()}, "m key=<Hostile>"),
        ("m", (), {"event": 1, "level": 2, "message": 3}, "m level=2 message=3 event_=1"),
        ("half \udcff", (), {}, "half \\udcff"),
        (7, (), {}, "7"),
    ],
)
def test_no_line_fails_a_task(
    message: Any,
    args: tuple[Any, ...],
    attributes: dict[str, Any],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    task_logger(logging.INFO).info(message, *args, **attributes)
    stdout.seek(0)
    assert stdout.read() == line + "\n"


def test_a_closed_stdout_fails_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stdout in (closed, None):
        monkeypatch.setattr(sys, "stdout", stdout)
        task_logger(logging.INFO).info("unheard")


def test_structlog_and_logging_stay_as_they_are() -> None:
    handlers = list(logging.getLogger().handlers)
    task_logger(logging.INFO).info("x")
    assert not structlog.is_configured()
    assert logging.getLogger().handlers == handlers


@pytest.fixture
def captured() -> Iterator[list[Any]]:
    """What a program that configured structlog itself gets to see."""
    with structlog.testing.capture_logs() as logs:
        structlog.configure(processors=structlog.get_config()["processors"])
        yield logs
    structlog.reset_defaults()


def test_a_configured_structlog_is_used(captured: list[Any]) -> None:
    task_logger(logging.INFO, **IDS).info("hello", size=1)
    assert captured == [{**IDS, "size": 1, "event": "hello", "log_level": "info"}]


@pytest.mark.parametrize(
    ("value", "level"), [("", 20), (" debug ", 10), ("WARNING", 30), ("35", 35), ("Critical", 50)]
)
def test_the_level_comes_from_the_environment(value: str, level: int) -> None:
    assert log_level(value) == level


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ArgumentError, match="JOBLEDGER_LOG_LEVEL='loud' names no log level"):
        log_level("loud")

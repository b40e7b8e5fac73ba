"""The page of limits says what the code says, and every limit of a request is one that the tests see refused or kept to."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from jobledger import ArgumentError, ExecutionContext, Retry, Task
from jobledger.adapters.client.query.selection import job_filter
from jobledger.adapters.runner.attempt.running_task import WorkCount
from jobledger.adapters.runner.registry import TaskRegistry
from jobledger.core import limits

ROOT = Path(__file__).parent.parent.parent


def test_the_committed_page_is_what_the_code_says() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert (ROOT / "docs" / "limits.md").read_text(encoding="utf-8") == generate["limits_page"]()


def test_every_limit_is_in_use() -> None:
    names = [name for name in vars(limits) if name.isupper()]
    sources = [
        path.read_text(encoding="utf-8")
        for room in ("core", "projections", "adapters")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "limits.py"
    ]
    assert len(names) > 20
    for name in names:
        assert any(name in source for source in sources), name


@pytest.mark.parametrize(
    "ask",
    [
        lambda: job_filter(None, {"clusters": ["a"] * (limits.MOST_VALUES + 1)}),
        lambda: job_filter(None, {"labels": {str(number): "a" for number in range(limits.MAX_LABELS + 1)}}),
        lambda: Retry(1, on=("E",) * (limits.MOST_WORDS + 1)),
        lambda: Retry(1, on=("E" * (limits.MAX_WORD + 1),)),
        lambda: WorkCount("").add(limits.MOST_COUNT + 1),
        lambda: WorkCount("").done(2**70),
    ],
)
def test_who_asks_for_more_is_told_so_before_anything_is_sent(ask: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError):
        ask()


def test_a_runner_of_too_many_kinds_is_refused_as_the_kind_is_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobledger.adapters.runner.registry.MOST_IDENTIFIERS", 1)

    class One(Task):
        def execute(self, context: ExecutionContext) -> None: ...

    class Two(Task):
        def execute(self, context: ExecutionContext) -> None: ...

    with pytest.raises(ArgumentError, match="1 task classes at most"):
        TaskRegistry([One, Two])

"""Which classes a runner takes, and which of them runs what."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pytest

from jobledger.adapters.runner.registry import TaskRegistry
from jobledger.core.context import ExecutionContext
from jobledger.core.errors import ArgumentError
from jobledger.core.task import Task


class Plain(Task):
    def execute(self, context: ExecutionContext) -> None: ...


class Elsewhere(Task):
    size: int


class Unfinished(Task):
    def execute(self, context: ExecutionContext) -> None:
        self.step()

    @abstractmethod
    def step(self) -> None: ...


def versioned(major: int, minor: int, name: str = "example.org/Versioned") -> type[Task]:
    class Versioned(Task):
        @staticmethod
        def identifier() -> tuple[str, str]:
            return name, f"v{major}.{minor}"

        def execute(self, context: ExecutionContext) -> None: ...

    return Versioned


def test_a_class_runs_what_was_submitted_with_its_version_or_an_older_minor_one() -> None:
    v1_2, v1_5, v2_0 = versioned(1, 2), versioned(1, 5), versioned(2, 0)
    registry = TaskRegistry([v1_2, v1_5, v2_0, Plain])
    name = "example.org/Versioned"
    assert registry.lookup(name, 1, 2) is v1_5
    assert registry.lookup(name, 1, 5) is v1_5
    assert registry.lookup(name, 1, 6) is None
    assert registry.lookup(name, 2, 0) is v2_0
    assert registry.lookup(name, 3, 0) is None
    assert registry.lookup("Plain", 0, 0) is Plain
    assert registry.lookup("Plane", 0, 0) is None


def test_a_class_registered_later_is_found() -> None:
    registry = TaskRegistry([versioned(1, 2)])
    assert registry.lookup("Plain", 0, 0) is None
    registry.register(Plain)
    assert registry.lookup("Plain", 0, 0) is Plain
    assert registry.announced == [("example.org/Versioned", 1, 2), ("Plain", 0, 0)]


def test_the_same_name_and_version_twice_is_refused() -> None:
    registry = TaskRegistry([Plain])
    with pytest.raises(
        ValueError,
        match=r"there is a class for Plain v0\.0 already",
    ):
        registry.register(Plain)
    assert registry.classes == [Plain]


def test_what_can_only_be_submitted_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"Elsewhere cannot be run: it has no execute method"):
        TaskRegistry([Elsewhere])
    with pytest.raises(ArgumentError, match="Unfinished cannot be run: it leaves step abstract"):
        TaskRegistry([Unfinished])


@pytest.mark.parametrize("thing", [Task, int, "Plain", None, Plain()])
def test_what_is_no_task_class_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match="task class"):
        TaskRegistry([thing])


@pytest.mark.parametrize("things", [Plain, 5])
def test_tasks_are_given_as_a_list(things: Any) -> None:
    with pytest.raises(TypeError, match="is no list of task classes: pass one, such as tasks="):
        TaskRegistry(things)

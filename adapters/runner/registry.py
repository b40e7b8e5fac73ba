"""Which task classes a runner can run, and which of them runs a given task."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable

from jobledger.core.errors import ArgumentError
from jobledger.core.limits import MOST_IDENTIFIERS
from jobledger.core.task import Task, TaskClass, TaskIdentifier, identifier_of, is_executable

from .assignment import Assignment
from .fingerprint import fingerprint


class TaskRegistry:
    """Task classes by identifier. May be added to while a runner uses it."""

    def __init__(self, tasks: Iterable[TaskClass] = ()) -> None:
        self._classes: dict[TaskIdentifier, type[Task]] = {}
        self._found: dict[tuple[str, int, int], type[Task] | None] = {}
        self._adding = threading.Lock()
        self.coroutines: frozenset[type[Task]] = frozenset()  #: those whose `execute` is a coroutine function
        #: what a runner announces: name, major and minor of each class
        self.announced: list[tuple[str, int, int]] = []
        if not isinstance(tasks, Iterable):
            raise TypeError(
                f"tasks={tasks!r:.100} is no list of task classes: pass one, such as tasks=[Crop, Resize]"
            )
        for cls in tasks:
            self.register(cls)

    @property
    def identifiers(self) -> list[TaskIdentifier]:
        return list(self._classes)

    @property
    def classes(self) -> list[type[Task]]:
        return list(self._classes.values())

    def register(self, cls: TaskClass) -> None:
        """Let tasks of this class be run here.

        Errors: TypeError for anything that is no subclass of Task; ArgumentError (a ValueError) for a class that can
        only be submitted, and for a second class with the same name and version.
        """
        if isinstance(cls, Task):
            raise TypeError(f"a task class is registered, not a task: write {type(cls).__name__} without (…)")
        if not isinstance(cls, type) or not issubclass(cls, Task) or cls is Task:
            raise TypeError(f"{cls!r:.200} is not a task class: a runner runs subclasses of jobledger.Task")
        identifier = identifier_of(cls)
        if not is_executable(cls):
            raise ArgumentError(_why_not_executable(cls, identifier))
        fingerprint(cls)  # now: its file may be edited while it is in use
        with self._adding:
            if len(self._classes) >= MOST_IDENTIFIERS:
                raise ArgumentError(
                    f"a runner runs {MOST_IDENTIFIERS:,} task classes at most, {identifier} would be one more: divide "
                    "them among several runners"
                )
            if identifier in self._classes:
                raise ArgumentError(
                    f"there is a class for {identifier} already: {self._classes[identifier]!r}. Register each class "
                    "once; classes of one name need different versions, see Task.identifier"
                )
            self._classes[identifier] = cls
            if inspect.iscoroutinefunction(cls.execute):
                self.coroutines |= {cls}
            self._found = {}
            self.announced = [(i.name, i.major, i.minor) for i in self._classes]

    def is_coroutine(self, assignment: Assignment) -> bool:
        """Whether this is run by a coroutine function."""
        spec = assignment.spec
        return self.lookup(spec.name, spec.major, spec.minor) in self.coroutines

    def lookup(self, name: str, major: int, minor: int) -> type[Task] | None:
        """Return the class that runs tasks submitted as this: of the same major version, and the newest minor one.

        None if no class here may run them.
        """
        found = self._found
        key = (name, major, minor)
        try:
            return found[key]
        except KeyError:
            submitted = TaskIdentifier(name, major, minor)
            able = [identifier for identifier in self._classes if identifier.runs(submitted)]
            best = max(able, key=lambda identifier: identifier.minor, default=None)
            return found.setdefault(key, None if best is None else self._classes[best])


def _why_not_executable(cls: type[Task], identifier: TaskIdentifier) -> str:
    shown = cls.__name__ if identifier.name == cls.__name__ else f"{cls.__name__} ({identifier.name})"
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))
        return f"{shown} cannot be run: it leaves {missing} abstract. Register a subclass that has them"
    return (
        f"{shown} cannot be run: it has no execute method. Give it one, or only submit it, and let a runner run it "
        "that has the code"
    )

"""Which tasks have figures of their own: names are users' words, and there may be any number of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jobledger.core.submission import TaskSpec

from .catalogue import LONGEST_LABEL, MOST_TASKS, OTHER


class TaskLabels(NamedTuple):
    """By what tasks are told apart in metrics."""

    cluster: str
    task: str


_OTHERS = TaskLabels(OTHER, OTHER)


class KnownTasks:
    """The first so many pairs of cluster and task name that this process saw; all further ones are one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], TaskLabels] = {}
        self._others = False

    def of(self, spec: TaskSpec) -> TaskLabels:
        """Return the labels under which tasks of this kind are counted."""
        labels = self._known.get((spec.cluster, spec.name))
        return labels or self._admit(spec.cluster, spec.name)

    def _admit(self, cluster: str, name: str) -> TaskLabels:
        if len(self._known) >= MOST_TASKS:
            self._others = True
            return _OTHERS
        labels = self._known[cluster, name] = TaskLabels(_cut(cluster), _cut(name))
        return labels

    def __iter__(self) -> Iterator[TaskLabels]:
        # Names that are the same once they are cut are one.
        yield from dict.fromkeys((*self._known.values(), *((_OTHERS,) if self._others else ())))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"

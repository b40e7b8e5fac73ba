"""Write the pages of this folder that say what the code says: run `python docs/generate.py` after changing it.

`tests/core/test_lifecycle.py` fails while a committed page is not what this prints.
"""

from __future__ import annotations

import inspect
from enum import Enum
from pathlib import Path
from typing import Any

from statemachine import StateMachine

from jobledger.core import lifecycle
from jobledger.core.lifecycle import HALTED, JobLifecycle, JobState, TaskLifecycle, TaskState

INTRODUCTION = """\
# States

Generated from `core/lifecycle.py` by `python docs/generate.py`; change it there.

Every state in which a task or a job can be, and every way from one to the next. An event that has no arrow out of the
state at hand is refused and changes nothing.
"""

COMPLETED = """\
A task is *completed* when it is COMPUTED, SKIPPED or FAILED_OPTIONAL and all tasks below it are completed. That is no
state of its own: it follows from the states of the tasks.
"""

SETTLED = """\
No task is claimed while its job is {halted}. A job in one of these states is
*settled* once none of its tasks is running; a deleted one always is. `run` and `rest` are not on the log: they follow from the states
of the tasks. Which events of the log lead where, and why: [decision 24](decisions/0024-policies-and-cancel.md).
"""


def states_page() -> str:
    """Return the text of `states.md`."""
    *others, last = (state.name for state in JobState if state.value in HALTED)
    parts = [
        INTRODUCTION,
        _section("Tasks", TaskLifecycle, TaskState),
        COMPLETED,
        _section("Jobs", JobLifecycle, JobState),
        SETTLED.format(halted=f"{', '.join(others)} or {last}"),
    ]
    return "\n".join(parts)


def _section(title: str, machine: type[StateMachine], states: type[Enum]) -> str:
    meanings = _meanings(states)
    rows = [f"| {state.value} | {state.name} | {meanings[state.name]} |" for state in states]
    return "\n".join(
        [
            f"## {title}",
            "",
            "```mermaid",
            _mermaid(machine),
            "```",
            "",
            "| number | state | meaning |",
            "|---|---|---|",
            *rows,
            "",
            _transitions(machine),
            "",
        ]
    )


def _mermaid(machine: type[StateMachine]) -> str:
    initial: Any = machine.initial_state
    lines = ["stateDiagram-v2", f"    [*] --> {initial.id.upper()}"]
    lines += [f"    {source} --> {target} : {event}" for source, event, target in _edges(machine)]
    lines += [f"    {state.id.upper()} --> [*]" for state in machine.states if state.final]
    return "\n".join(lines)


def _transitions(machine: type[StateMachine]) -> str:
    rows = [f"| {source} | {event} | {target} |" for source, event, target in _edges(machine)]
    return "\n".join(["| from | event | to |", "|---|---|---|", *rows])


def _edges(machine: type[StateMachine]) -> list[tuple[str, str, str]]:
    states: list[Any] = list(machine.states)
    return [
        (state.id.upper(), str(event), transition.target.id.upper())
        for state in states
        for transition in state.transitions
        for event in transition.events
    ]


def _meanings(states: type[Enum]) -> dict[str, str]:
    """Return the `#:` comments of the members: what the code says is what the page says."""
    meanings = {}
    for line in inspect.getsource(states).splitlines():
        name, equals, rest = line.strip().partition(" = ")
        if equals and "#:" in rest:
            meanings[name] = rest.partition("#:")[2].strip()
    return meanings


if __name__ == "__main__":
    page = Path(__file__).with_name("states.md")
    page.write_text(states_page(), encoding="utf-8")
    print(f"{page.name}: written from {Path(lifecycle.__file__).name}")

"""Write the pages of this folder that say what the code says: run `python docs/generate.py` after changing it.

`tests/core/test_lifecycle.py`, `tests/projections/test_asyncapi.py` and `tests/adapters/gateway/test_reference.py` fail
while a committed page is not what this writes.
"""

from __future__ import annotations

import inspect
from enum import Enum
from pathlib import Path
from typing import Any

from statemachine import StateMachine

from jobledger.adapters.gateway import asyncapi as commands
from jobledger.adapters.gateway.reference import with_tables
from jobledger.core.lifecycle import HALTED, JobLifecycle, JobState, TaskLifecycle, TaskState
from jobledger.projections import asyncapi
from jobledger.projections.feed.described import described as feed

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


ABOUT_MESSAGES = {
    "title": "jobledger",
    "version": "1.0.0",
    "description": (
        "What jobledger says and takes on NATS, for programs without its package. The feed: one CloudEvent 1.0 for "
        "each event of the log, on a JetStream stream to read from any point on (docs/feed.md). Commands: requests in "
        "JSON (docs/commands.md). Fields are only ever added: ignore those you do not know."
    ),
    "license": {"name": "Apache-2.0"},
}


def asyncapi_document() -> str:
    """Return the text of `asyncapi.json`."""
    parts = [feed(), asyncapi.Contribution(*commands.parts())]
    return asyncapi.written(asyncapi.document(ABOUT_MESSAGES, *parts))


def commands_page() -> str:
    """Return the text of `commands.md`, whose tables say what the code says."""
    return with_tables(Path(__file__).with_name("commands.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    pages = {"states.md": states_page(), "asyncapi.json": asyncapi_document(), "commands.md": commands_page()}
    for name, text in pages.items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
        print(f"{name}: written")

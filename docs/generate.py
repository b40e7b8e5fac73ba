"""Write the pages of this folder that say what the code says: run `python docs/generate.py` after changing it.

`tests/core/test_lifecycle.py`, `tests/projections/test_asyncapi.py`, `tests/adapters/gateway/test_reference.py`,
`tests/adapters/access/test_users.py` and `tests/fuzz/test_limits.py` fail while a committed page is not what this writes.
"""

from __future__ import annotations

import inspect
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from statemachine import StateMachine

from jobledger.adapters.access.matrix import with_tables as with_rights
from jobledger.adapters.gateway import asyncapi as commands
from jobledger.adapters.gateway.reference import with_tables
from jobledger.core import limits
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


def security_page() -> str:
    """Return the text of `security.md`, whose tables say what the code says."""
    return with_rights(Path(__file__).with_name("security.md").read_text(encoding="utf-8"))


LIMITS = """\
# Limits

Generated from the code by `python docs/generate.py`; each number stands in one place there, and is changed there.

How large what travels may be. Clients and runners keep to it before they send anything, and name the argument; the engine
holds to it whoever speaks to it, and refuses with the code `invalid`: nothing has happened then. What the log has already
is read whatever it says. Beyond all of these is the server's own limit of a message (`max_payload`, 1 MiB unless it is
raised; 8 MiB in a data folder), in which every request, answer and commit has to fit. Subtasks of one report, and events of
one commit, are as many as fit there. How deep a graph of tasks is has no limit: nothing walks it by recursion. Tried with
bytes and values that are none: `python tests/fuzz --minutes 10`.
"""

#: what else is bounded, by where: module, constant, what it is of. Sizes are bytes unless it says otherwise
BOUNDS: dict[str, list[tuple[str, str, str]]] = {
    "Tasks and clusters": [
        ("core.task", "MAX_NAME", "characters of the name of a task"),
        ("core.clusters", "MAX_SLUG", "characters of the slug of a cluster"),
        ("core.clusters", "MAX_NAME", "characters of the name of a cluster"),
        ("core.clusters", "MAX_DESCRIPTION", "characters of its description"),
        ("core.options", "MOST_PRIORITY", "the largest priority, and the smallest with a minus"),
        ("core.options", "MOST_RETRIES", "retries of a task, and slots of a concurrency key"),
        ("core.options", "MAX_KEY", "characters of a concurrency key"),
        ("core.options", "LONGEST", "seconds of a delay, a time limit or a start from now"),
    ],
    "What a runner reports": [
        (
            "adapters.runner.failure",
            "MAX_MESSAGE",
            "of the message of an error; the middle of a longer one is left out",
        ),
        ("adapters.runner.failure", "MAX_TRACEBACK", "of its traceback; the same"),
        (
            "adapters.runner.attempt.running_task",
            "MAX_DISPLAY",
            "characters of what a task displays; a longer text is cut",
        ),
        (
            "adapters.by_reference",
            "INLINE_INPUT",
            "of an input in a message; a larger one goes to the object store",
        ),
        ("adapters.by_reference", "INLINE_RESULT", "of a result in a message; the same"),
        ("adapters.objects", "LARGEST", "of an input or a result in the object store"),
        (
            "adapters.nats.values",
            "INLINE",
            "of a value of a job's cache in one message; a larger one takes several",
        ),
        (
            "adapters.telemetry.records",
            "MAX_RECORD",
            "of a line or a span; a larger one loses its attributes",
        ),
    ],
    "JSON requests": [
        ("adapters.gateway.fields", "MAX_TASKS", "tasks of a submission"),
        ("adapters.gateway.fields", "MAX_DEPTH", "arrays and objects in each other"),
        ("adapters.gateway.fields", "MAX_WORDS", "words of a list"),
        ("adapters.gateway.fields", "LONGEST_WAIT", "seconds that a request waits"),
        ("adapters.gateway.fields", "LARGEST_PAGE", "jobs, tasks or results of a reply"),
    ],
    "The connection to a server": [
        ("adapters.nats.frames", "LARGEST", "of a message that is received; another one ends the connection"),
        ("adapters.nats.frames", "LONGEST_LINE", "of a line that is received; the same"),
        (
            "adapters.nats.wire",
            "LONGEST_LINE",
            "of a line that is sent, which holds the subjects of a message",
        ),
        (
            "adapters.engine.partitions.recovery",
            "LARGEST",
            "of a checkpoint of an engine, unpacked; a larger one is not used",
        ),
    ],
    "Bundles": [
        ("adapters.audit.layout", "LARGEST_PAYLOAD", "of a commit"),
        (
            "projections.audit.folding",
            "ROOM",
            "tasks in memory while histories are folded, about; the rest takes another pass",
        ),
    ],
}


def limits_page() -> str:
    """Return the text of `limits.md`."""
    parts = [LIMITS, _bounds("Requests", "limit | of what", _requests())]
    for title, bounds in BOUNDS.items():
        rows = [
            (f"{module}.{name}", _number(import_module(f"jobledger.{module}"), name), what)
            for module, name, what in bounds
        ]
        parts.append(_bounds(title, "limit | of what", rows))
    return "\n".join(parts)


def _requests() -> list[tuple[str, str, str]]:
    """Return the constants of `core/limits.py` with what is said of each."""
    rows = []
    for line in inspect.getsource(limits).splitlines():
        names, equals, rest = line.partition(" = ")
        if equals and "#:" in rest and names.isupper():
            rows.append((f"core.limits.{names}", _number(limits, names), rest.partition("#:")[2].strip()))
    return rows


def _number(module: Any, name: str) -> str:
    return f"{getattr(module, name):,}".removesuffix(".0")


def _bounds(title: str, columns: str, rows: list[tuple[str, str, str]]) -> str:
    head = f"## {title}\n\n| {columns} | in the code |\n|---|---|---|\n"
    return head + "".join(f"| {number} | {what} | `{name}` |\n" for name, number, what in rows)


if __name__ == "__main__":
    pages = {
        "states.md": states_page(),
        "asyncapi.json": asyncapi_document(),
        "commands.md": commands_page(),
        "security.md": security_page(),
        "limits.md": limits_page(),
    }
    for name, text in pages.items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
        print(f"{name}: written")

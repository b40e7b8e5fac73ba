"""The compiled tables say exactly what the machines say, and the page in the docs shows just that."""

from __future__ import annotations

import runpy
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from statemachine import State, StateMachine
from statemachine.exceptions import TransitionNotAllowed

from jobledger.core.lifecycle import (
    HALTED,
    JOB_TABLE,
    TASK_TABLE,
    JobLifecycle,
    JobState,
    TaskLifecycle,
    TaskState,
    compile_table,
)

DOCS = Path(__file__).parents[2] / "docs"

BOTH = [
    pytest.param(TaskLifecycle, TaskState, TASK_TABLE, id="task"),
    pytest.param(JobLifecycle, JobState, JOB_TABLE, id="job"),
]

EVERY_PAIR = [
    pytest.param(machine, table, state, event, id=f"{machine.__name__}-{state.name}-{event}")
    for machine, states, table in (
        (TaskLifecycle, TaskState, TASK_TABLE),
        (JobLifecycle, JobState, JOB_TABLE),
    )
    for state in states
    for event in table
]


@pytest.mark.parametrize(("machine", "table", "state", "event"), EVERY_PAIR)
def test_the_table_does_what_the_machine_does(
    machine: type[StateMachine], table: dict[str, bytes], state: Enum, event: str
) -> None:
    live: Any = machine(start_value=state.value)
    target = table[event][state.value]
    if target:
        live.send(event)
        assert live.current_state_value == target
    else:
        with pytest.raises(TransitionNotAllowed):
            live.send(event)
        assert live.current_state_value == state.value


@pytest.mark.parametrize(("machine", "states", "table"), BOTH)
def test_the_table_has_a_row_for_each_event_and_nothing_else(
    machine: type[StateMachine], states: type[Enum], table: dict[str, bytes]
) -> None:
    assert set(table) == {event.id for event in machine().events}
    numbers = {state.value for state in states}
    for row in table.values():
        assert len(row) == 256  # what bytes.translate takes
        assert {number for number in range(256) if row[number]} <= numbers
        assert set(row) <= numbers | {0}


@pytest.mark.parametrize(("machine", "states", "table"), BOTH)
def test_the_enum_names_the_machine_s_states(
    machine: type[StateMachine], states: type[Enum], table: dict[str, bytes]
) -> None:
    assert {state.name: state.value for state in states} == {s.id.upper(): s.value for s in machine.states}
    initial: Any = machine.initial_state
    assert initial.value == 1
    final = {s.value for s in machine.states if s.final}
    assert final == {state.value for state in states if not any(row[state.value] for row in table.values())}


def test_stored_numbers_never_change() -> None:
    assert {state.name: state.value for state in TaskState} == {
        "QUEUED": 1,
        "RUNNING": 2,
        "COMPUTED": 3,
        "FAILED": 4,
        "SKIPPED": 5,
        "FAILED_OPTIONAL": 6,
        "CANCELED": 7,
        "ABANDONED": 8,
    }
    assert {state.name: state.value for state in JobState} == {
        "SUBMITTED": 1,
        "RUNNING": 2,
        "STARTED": 3,
        "COMPLETED": 4,
        "FAILED": 5,
        "CANCELED": 6,
        "DELETED": 7,
    }


def test_a_halted_job_is_one_that_nothing_starts_in() -> None:
    assert {state for state in JobState if not JOB_TABLE["run"][state.value]} - {JobState.RUNNING} == {
        JobState(number) for number in HALTED
    }


# -- what a flat table cannot say is refused ------------------------------------------------------------------------


class Guarded(StateMachine):
    a = State(value=1, initial=True)
    b = State(value=2, final=True)
    go = a.to(b, cond="allowed")
    allowed = True


class GuardedByUnless(StateMachine):
    a = State(value=1, initial=True)
    b = State(value=2, final=True)
    go = a.to(b, unless="forbidden")
    forbidden = False


class Validated(StateMachine):
    a = State(value=1, initial=True)
    b = State(value=2, final=True)
    go = a.to(b, validators="check")

    def check(self) -> None: ...


class TwoTargets(StateMachine):
    a = State(value=1, initial=True)
    b = State(value=2, final=True)
    c = State(value=3, final=True)
    go = a.to(b) | a.to(c)


class Eventless(StateMachine):
    a = State(value=1, initial=True)
    b = State(value=2)
    c = State(value=3, final=True)
    go = a.to(b)
    b.to(c)


class Nested(StateMachine):
    class a(State.Compound):
        inner = State(value=11, initial=True)
        other = State(value=12, final=True)
        step = inner.to(other)

    b = State(value=2, final=True)
    go = a.to(b)


@pytest.mark.parametrize("machine", [Guarded, GuardedByUnless, Validated, TwoTargets, Eventless, Nested])
def test_what_a_flat_table_cannot_say_is_refused(machine: type[StateMachine]) -> None:
    with pytest.raises(ValueError, match=machine.__name__):
        compile_table(machine)


def test_an_event_of_several_sources_and_a_transition_of_several_events_fit() -> None:
    class Door(StateMachine):
        shut = State(value=1, initial=True)
        ajar = State(value=2)
        wide = State(value=3)
        push = shut.to(ajar) | ajar.to(wide)
        slam = wide.to(shut) | ajar.to(shut)
        kick = shut.to(ajar, event="push kick")

    with pytest.raises(ValueError, match="two targets for push in shut"):
        compile_table(Door)

    class Lamp(StateMachine):
        off = State(value=1, initial=True)
        on = State(value=7)
        press = off.to(on) | on.to(off)

    assert {event: [*row[:8]] for event, row in compile_table(Lamp).items()} == {
        "press": [0, 7, 0, 0, 0, 0, 0, 1]
    }


# -- the page -------------------------------------------------------------------------------------------------------


def test_the_committed_page_is_current() -> None:
    page = runpy.run_path(str(DOCS / "generate.py"))["states_page"]()
    assert (DOCS / "states.md").read_text(encoding="utf-8") == page, "run: python docs/generate.py"

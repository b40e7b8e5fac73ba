"""The core against an oracle of live machines, driven by hypothesis. How and with what: `support/job_machine.py`."""

from __future__ import annotations

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobledger.core.lifecycle import JOB_TABLE, TASK_TABLE, JobState
from support.job_machine import JobMachine

TestJob = JobMachine.TestCase
TestJob.settings = settings(max_examples=120, stateful_step_count=15)

EVERY_TRANSITION = {
    (machine, state, event)
    for machine, table in (("TaskLifecycle", TASK_TABLE), ("JobLifecycle", JOB_TABLE))
    for event, row in table.items()
    for state in range(256)
    if row[state]
    # for a job of which nothing is computed, and yet all is finished: too rare here, `test_attempts.py` has it, and
    # `test_cancel.py`
} - {("JobLifecycle", state.value, "complete") for state in (JobState.SUBMITTED, JobState.RUNNING)}


def test_the_rules_reach_every_transition() -> None:
    """A machine that stays in shallow water finds nothing: this one takes every way there is."""
    taken: set[tuple[str, int, str]] = set()

    class Observed(JobMachine):
        def teardown(self) -> None:
            super().teardown()
            taken.update(self.oracle.taken)

    for attempt in range(12):
        run_state_machine_as_test(
            Observed,
            settings=settings(
                max_examples=100,
                stateful_step_count=8,
                derandomize=attempt == 0,
                database=None,
                phases=[Phase.generate],
            ),
        )
        if taken >= EVERY_TRANSITION:
            return
    assert EVERY_TRANSITION - taken == set()

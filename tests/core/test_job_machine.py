"""The core against an oracle of live machines, driven by hypothesis. How and with what: `support/job_machine.py`."""

from __future__ import annotations

from hypothesis import settings
from support.job_machine import JobMachine

TestJob = JobMachine.TestCase
TestJob.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

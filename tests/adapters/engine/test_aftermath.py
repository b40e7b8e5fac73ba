"""What an engine writes beside the log, and when it does not."""

from __future__ import annotations

import hashlib

import pytest

from jobledger.adapters import successes
from jobledger.adapters.engine.aftermath import Aftermath
from jobledger.adapters.link import Link
from jobledger.adapters.portal import shared_portal
from jobledger.core import events as e
from jobledger.core.job import Job, evolve
from support.engines import submission, task

KEY = hashlib.sha256(b"the same inputs").digest()


@pytest.mark.parametrize("owned", [True, False])
def test_an_engine_that_was_suspended_notes_no_success(link: Link, owned: bool) -> None:
    """The job may have been deleted meanwhile: what is noted then would be reused for good."""
    job = Job("018dd029")
    evolve(job, e.JobSubmitted("a job", submission(task())), 1)
    job.reuse_keys[0] = KEY
    aftermath = Aftermath(link.nc, link.names, owned=lambda: owned)
    shared_portal().run(aftermath._note(job, 0))
    key = successes.within("default", KEY)
    found = shared_portal().run(successes.recall(link.nc, link.names, key))
    assert (found is not None) is owned

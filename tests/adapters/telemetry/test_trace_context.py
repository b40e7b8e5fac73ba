"""Ids of traces and spans that everyone comes to alone."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import pytest

from jobledger.adapters.telemetry.trace_context import attempt_span, own_root, parent_of_attempts

JOB = "0190f6a4-8c1e-7f5e-9a57-3f1d1c2b4a66"
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_job_submitted_outside_of_any_span_is_a_trace_of_its_own() -> None:
    root = parent_of_attempts(JOB, "")
    assert root == own_root(JOB)
    assert root.trace == UUID(JOB).bytes
    assert root.span == sha256(JOB.encode()).digest()[:8]
    assert root.traceparent == f"00-{UUID(JOB).hex}-{root.span.hex()}-01"
    assert parent_of_attempts(JOB, root.traceparent) == root


def test_a_job_submitted_within_a_span_is_a_part_of_its_trace() -> None:
    parent = parent_of_attempts(JOB, GIVEN)
    assert parent.trace.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert parent.span.hex() == "b7ad6b7169203331"


@pytest.mark.parametrize(
    "unusable",
    [
        "nonsense",
        GIVEN[:-1],
        GIVEN.upper(),
        GIVEN.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        GIVEN.replace("b7ad6b7169203331", "0" * 16),
    ],
)
def test_what_is_no_traceparent_is_as_none(unusable: str) -> None:
    assert parent_of_attempts(JOB, unusable) == own_root(JOB)


def test_later_versions_of_a_traceparent_are_read_as_far_as_they_are_known() -> None:
    assert parent_of_attempts(JOB, f"01{GIVEN[2:]}-more") == parent_of_attempts(JOB, GIVEN)


@pytest.mark.parametrize("job_id", ["any id", str(UUID(int=0))])
def test_ids_that_make_no_trace_get_one_all_the_same(job_id: str) -> None:
    root = own_root(job_id)
    assert len(root.trace) == 16
    assert any(root.trace)


def test_the_span_of_an_attempt_follows_from_job_task_and_attempt() -> None:
    assert attempt_span(JOB, 3, 2) == sha256(f"{JOB}/3/2".encode()).digest()[:8]
    others = {attempt_span(JOB, task, attempt) for task in range(20) for attempt in range(1, 20)}
    assert len(others) == 20 * 19

"""Programs about who runs what: clusters, versions, tasks known to one runner only, coroutines."""

from __future__ import annotations

import asyncio

from jobledger.data import JobState, ProgressIndicator
from programs.conftest import Output
from programs.workflows import asynchronous, distributed, multi_cluster, progress, two_roots, versions


def test_a_job_on_two_clusters(output: Output) -> None:
    job = multi_cluster.main()
    assert output.lines() == [
        "-- the gpu runner",
        "-- the first runner",
        "prepare",
        "-- the gpu runner",
        "train",
        "-- the first runner",
        "evaluate",
    ]
    assert job.state is JobState.COMPLETED
    first, gpu = multi_cluster.CLUSTER, multi_cluster.GPU_CLUSTER
    assert [task.cluster for task in job.tasks] == [first, first, gpu, first]
    root, prepare, train, evaluate = (task.runner for task in job.tasks)
    assert root == prepare
    assert len({prepare, train, evaluate}) == 3  # each run of a runner has a name of its own


def test_runners_with_different_tasks(output: Output) -> None:
    job = distributed.main()
    assert output.lines() == ["-- SUBMITTED", "download a.tif", "download b.tif", "-- STARTED", "stitch"]
    assert job.state is JobState.COMPLETED


def test_two_root_tasks_on_two_clusters(output: Output) -> None:
    job = two_roots.main()
    assert output.lines() == ["ingest optical", "store optical", "ingest radar", "store radar"]
    assert job.state is JobState.COMPLETED
    assert [(task.input_json, task.cluster) for task in job.tasks] == [
        ("radar", "north"),
        ("optical", "south"),
        ("optical", "south"),  # subtasks go where their parent ran
        ("radar", "north"),
    ]


def test_newer_code_runs_what_was_submitted_with_older(output: Output) -> None:
    job = versions.main()
    assert output.lines() == ["-- SUBMITTED", "-- SUBMITTED", "v1.5 ran 2025, draft: False", "-- COMPLETED"]
    assert [str(task.identifier) for task in job.tasks] == ["example.org/Report v1.3"]


def test_coroutines(output: Output) -> None:
    job = asynchronous.main()
    assert output.lines() == ["gathered [0, 1, 4]", "async first", "ordinary second, 16"]
    assert job.state is JobState.COMPLETED


def test_coroutines_where_an_event_loop_is_running(output: Output) -> None:
    job = asyncio.run(asynchronous.in_a_notebook())
    assert output.lines() == ["gathered [0, 1, 4]", "async first", "ordinary second, 16"]
    assert job.state is JobState.COMPLETED


def test_progress_adds_up_and_counts_a_retried_task_once(output: Output) -> None:
    job = progress.main()
    assert job.state is JobState.COMPLETED
    assert job.progress == [ProgressIndicator("sites", 3, 3), ProgressIndicator(None, 6, 6)]

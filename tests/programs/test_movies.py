"""The film story, as a program of a user and as the example this project comes with."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import jobledger
from jobledger import Client, Job, JobFailed, JobState, TaskState
from programs.conftest import Output
from programs.workflows import movies

EXAMPLE = Path(__file__).parents[2] / "examples" / "movies.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("movies_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look up where a class comes from
    spec.loader.exec_module(module)
    return module


def runs(job: Job) -> list[int]:
    """How often each task was begun. One that was claimed and given back was not."""
    return [sum(attempt.started_at is not None for attempt in task.attempts) for task in job.tasks]


def test_the_job_resumes_from_the_point_of_failure(example: ModuleType, output: Output) -> None:
    titles = ["The Matrix", "Shrek 2", "The Ledger of Jobs", "The Avengers"]
    with example.serving_films() as api:
        job = movies.main(api, titles)
        assert job.state is JobState.FAILED
        states = [
            TaskState.COMPUTED,
            TaskState.COMPUTED,
            TaskState.COMPUTED,
            TaskState.FAILED,
            TaskState.QUEUED,
        ]
        assert [task.state for task in job.tasks] == states
        assert [task.display for task in job.tasks[:3]] == ["MoviesStats", "The Matrix", "Shrek 2"]
        with pytest.raises(JobFailed, match="KeyError: 'Title'"):
            job.wait(timeout=10)
        found, found_too, failure = output.lines()
        assert found == 'Movie found title="The Matrix" released="31 Mar 1999"'
        assert found_too == 'Movie found title="Shrek 2" released="19 May 2004"'
        assert failure.startswith("ERROR: Task PrintMovieStats failed with exception: KeyError('Title')")

        assert movies.deploy_and_retry(job) == 2
    assert job.refresh().state is JobState.COMPLETED
    assert output.lines() == [
        'Movie not found title="The Ledger of Jobs"',
        'Movie found title="The Avengers" released="04 May 2012"',
    ]
    assert runs(job) == [1, 1, 1, 2, 1]
    assert job.tasks[3].display == "NotFound: The Ledger of Jobs"


def test_the_example(data_folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={**os.environ, "PYTHONPATH": str(Path(jobledger.__path__[0]).parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    first, second = run.stdout.split("The task is mended")
    assert "with KeyError: 'Title'" in first
    assert "The Avengers (" not in first  # it was not looked up yet
    assert "2 tasks may run" in second
    assert 'No such film title="The Ledger of Jobs"' in second
    assert "Job COMPLETED" in second

    # what it says of the log is what the log says
    found = re.search(r"Submitted job (\S+)\.", run.stdout)
    assert found is not None
    with Client() as client:
        job = client.jobs().find(found[1])
        assert job.state is JobState.COMPLETED
        assert runs(job) == [1, 1, 1, 2, 1]
        for entry in job.history[-3:]:
            assert str(entry) in second

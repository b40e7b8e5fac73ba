"""`jobledger demo` as a program: what it prints is what the log says, and nothing of it stays behind."""

from __future__ import annotations

import os
import re
import signal

import pytest

from jobledger import Client, JobState
from jobledger.adapters.cli.demo import survey
from jobledger.core import events as e
from jobledger.data import AttemptOutcome
from support.waiting import eventually

from .conftest import Place, rest_of, running


@pytest.fixture(scope="module")
def said(place: Place) -> str:
    """What one whole run prints."""
    code, said, complained = place.run()
    assert (code, complained) == (0, ""), said + complained
    return said


def _number(said: str, of: str) -> int:
    found = re.search(rf"^ +([\d,]+)  {of}", said, re.MULTILINE)
    assert found, (of, said)
    return int(found[1].replace(",", ""))


def test_the_numbers_are_those_of_the_log(said: str, place: Place, client: Client) -> None:
    job = place.job(client, said)
    assert job.state is JobState.COMPLETED
    retried = next(entry.at for entry in job.history if isinstance(entry.event, e.JobRetried))
    attempts = {task.number: task.attempts for task in job.tasks}
    computed_at = {}
    failed = []
    for number, runs in attempts.items():
        outcomes = [run.outcome for run in runs if run.outcome is not AttemptOutcome.RELEASED]
        assert outcomes.count(AttemptOutcome.COMPUTED) == 1
        assert outcomes[-1] is AttemptOutcome.COMPUTED
        failed += [number] * outcomes.count(AttemptOutcome.FAILED)
        computed_at[number] = runs[-1].claimed_at
    before = sum(claimed < retried for claimed in computed_at.values())
    assert 0 < before < len(attempts)
    assert _number(said, "tasks were computed before the retry") == before
    assert _number(said, "tasks were computed after it") == len(attempts) - before
    assert _number(said, "tasks ran twice") == len(failed) == len(set(failed)) > 0
    assert _number(said, "computed tasks ran again") == 0
    assert _number(said, f"attempts in all, for {len(attempts):,} tasks") == len(attempts) + len(failed)
    for number in failed:
        task = job.tasks[number]
        assert f"task   {number}, SurveyModule with the input {task.input.decode()}" in said
        assert task.attempts[0].error is not None
        assert f"error  UnicodeDecodeError: {task.attempts[0].error.message}" in said


def test_the_totals_are_those_of_the_library(said: str) -> None:
    files = [survey.LIBRARY / file for package in survey.packages() for file in survey.files(package)]
    lines = sum(file.read_bytes().count(b"\n") for file in files)
    assert re.search(rf"^  all \d+ packages +{len(files):,} +{lines:,} ", said, re.MULTILINE), said


def test_the_commands_it_ends_with_work(said: str, place: Place, client: Client) -> None:
    status, history, _ = [line.strip() for line in said.splitlines()[-5::2]]
    found = place.shell(status)
    assert found.returncode == 0, found.stderr
    assert str(place.home) in found.stdout
    told = place.shell(history)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == str(place.job(client, said).history).splitlines()


def test_it_is_plain_where_there_is_no_terminal(said: str) -> None:
    assert "\x1b" not in said
    assert "\r" not in said
    assert re.search(r"^  tasks: .*\d+ computed, 1 failed$", said, re.MULTILINE)


def test_no_runner_is_left(said: str, place: Place) -> None:
    assert place.runners() == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_takes_its_runners_and_its_job_with_it(
    sign: signal.Signals, place: Place, client: Client
) -> None:
    with running(place) as (process, begin):
        process.send_signal(sign)
        rest = rest_of(process)
    assert (process.returncode, rest[1]) == (130, "")
    assert "Interrupted" in rest[0]
    assert place.runners() == []
    job = place.job(client, begin)
    assert job.settled
    assert job.state is not JobState.COMPLETED


def test_a_killed_one_takes_its_runners_with_it(place: Place) -> None:
    with running(place) as (process, _):
        process.kill()
        rest_of(process)
    eventually(lambda: not place.runners(), within=30.0)


def test_a_runner_that_is_killed_is_missed(place: Place, client: Client) -> None:
    with running(place) as (process, begin):
        os.kill(place.runners()[0], signal.SIGKILL)
        _, complained = rest_of(process)
    assert process.returncode == 1
    assert re.match(r"jobledger: runner \d+ ended by itself with exit code -9; ", complained), complained
    assert place.runners() == []
    # Not settled yet where the runner was at a task: that is lost when its lease ends.
    assert place.job(client, begin).state is JobState.CANCELED

"""Everything that shows a job, at once: none of the ways to read one may stumble over what a job can hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from unicodedata import category
from xml.etree import ElementTree

import msgspec

from jobledger.adapters.engine.growth import Growth
from jobledger.adapters.gateway import replies
from jobledger.adapters.views.columns import FIELDS, NESTED, row_of, values_of
from jobledger.core.codec import encode_commit
from jobledger.core.errors import JobLedgerError
from jobledger.core.job import Job, evolve_all
from jobledger.projections.cards import job_bundle, task_bundle
from jobledger.projections.comparing import compare
from jobledger.projections.diagram import Outline, drawn, tree
from jobledger.projections.feed import FeedEncoder, JobContext, Place, told
from jobledger.projections.history import History
from jobledger.projections.job_changes import changes_of
from jobledger.projections.job_view import JobView
from jobledger.projections.jobs.row_fold import RowFold, Step
from jobledger.projections.replaying import Replay
from jobledger.projections.task_view import TaskView
from support.random_history import Placed

_TASKS = 12  # of a job are looked at one by one


def read_in_every_way(job_id: str, commits: Sequence[Placed]) -> None:
    """Read a job whose commits can be folded. It raises what a reader stumbles over."""
    for read in (_view, _row, _feed, _history, _engine):
        read(job_id, commits)


def properties_of(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield what the properties of an object say. What is raised on purpose says something, too."""
    for name in dir(type(thing)):
        if isinstance(getattr(type(thing), name), property):
            try:
                yield name, getattr(thing, name)
            except JobLedgerError as error:
                yield name, error


def _view(job_id: str, commits: Sequence[Placed]) -> None:
    view = JobView(job_id)
    for placed in commits:
        view.apply(*placed)
    dict(properties_of(view))
    for number in range(min(_TASKS, len(view.tasks))):
        task = TaskView(view, number)
        str(task), repr(task), dict(properties_of(task))
        _shown(task_bundle(task))
        msgspec.json.encode(replies.task_of(task))
    str(view.tasks), repr(view)
    if view.state is not None and view.deleted is None:
        _shown(job_bundle(view))
        msgspec.json.encode(replies.job_of_view(view))
    outline = Outline.of(view)
    for direction in ("down", "left"):
        _as_xml(drawn(outline, direction=direction))
    for line in tree(outline):
        assert not any(category(letter) == "Cc" for piece in line for letter in piece.text), line
    with suppress(JobLedgerError):  # it is sealed
        str(compare(view, view))


def _shown(bundle: dict[str, str]) -> None:
    """A page shows it as it is: nothing in it may be taken for a tag."""
    page = bundle["text/html"]
    assert "<script>alert" not in page
    assert json.dumps(bundle)
    page.encode()


def _as_xml(svg: str) -> None:
    ElementTree.fromstring(svg)


def _row(job_id: str, commits: Sequence[Placed]) -> None:
    fold = RowFold(job_id)
    for position, version, commit in commits:
        fold.apply(Step(position, version, encode_commit(commit)))
        if fold.job.state:
            row = fold.row()
            dict(properties_of(row))
            msgspec.json.encode(replies.job_of_row(row))
            stored: list[Any] = []
            for name, value in zip(FIELDS, values_of(row), strict=False):
                if isinstance(value, int):  # a column of a database has 64 bits
                    assert -(2**63) <= value < 2**63, (name, value)
                if isinstance(value, str):  # and PostgreSQL takes no NUL
                    value.encode()
                stored.append(msgspec.json.decode(msgspec.json.encode(value)) if name in NESTED else value)
            assert row_of(stored) == row


def _feed(job_id: str, commits: Sequence[Placed]) -> None:
    context, encoder = JobContext(), FeedEncoder("default")
    for position, version, commit in commits:
        for unsent in told(context, Place(job_id, position, version, commit.at), commit.events):
            message = encoder.encode(unsent, 1)
            json.loads(message.payload)
            assert not set(message.subject) & set(" \t\r\n*>\0"), message.subject
            assert all(message.subject.split(".")), message.subject


def _history(job_id: str, commits: Sequence[Placed]) -> None:
    view = JobView(job_id)
    job = Job(job_id)
    for placed in commits:
        view.apply(*placed)
        for change in changes_of(job, placed.position, placed.commit):
            str(change)
    names: Callable[[int], str] = lambda number: view.tasks[number].name if number < len(view.tasks) else ""
    for entry in History(commits, names):
        str(entry)
    replay = Replay(job_id, commits)
    for step in replay:
        str(step), step.lines


def _engine(job_id: str, commits: Sequence[Placed]) -> None:
    job, growth = Job(job_id), Growth()
    for placed in commits:
        evolve_all(job, placed.commit.events, placed.commit.at)
        growth.note(len(job.graph), placed.commit.at)

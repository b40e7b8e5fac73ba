"""Cards of jobs and tasks: the same facts as HTML and as text, whatever the state, harmless whoever wrote them."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.lifecycle import JobState
from jobledger.projections.cards import job_card, job_text, task_card, task_text
from jobledger.projections.cards.standing import JOB_LOOKS
from jobledger.projections.job_view import JobView
from support.histories import JOB, JobDriver, task
from support.random_history import T0, ClockedDriver, committed, random_history
from support.views import view_of

SECOND = 1_000_000
EMPTY = ("br", "path")
HOSTILE = [
    "<script>alert('x')</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></details></div><h1>",
    "\x00\x1b[31mred\x1b[0m\x7f",
    "half \ud800 a character",
    "\u202eturned around",
    "x" * 5000,
    "\n".join("line" for _ in range(300)),
]


class Page(HTMLParser):
    """Reads a card strictly: every element that is opened is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return "|".join(self.words)


def failing() -> ClockedDriver:
    """A job of two tasks, of which one fails after an attempt that failed before, and one counts."""
    options = e.JobOptions({"team": "maps"})
    driver = ClockedDriver(task("Load", retries=1), task("Count"), options=options)
    driver.claim(2)
    started = T0 + 2_000
    driver.do(c.ReportProgress(JOB, 1, 1, started, [e.Progress("tiles", 8, 2)], "counting"))
    for number, message in ((1, "the first"), (2, "the second")):
        error = e.Error("OSError", message, f"Traceback of {message}")
        driver.do(c.ReportFailed(JOB, 0, number, started, started + 1_500, error))
        driver.claim()
    return driver


# -- what they say ----------------------------------------------------------------------------------------------------


def test_a_job_in_text() -> None:
    assert job_text(view_of(failing()), T0 + 4 * SECOND).split("\n") == [
        "job 'a job' (job-1): FAILED",
        "  progress      [######..................] 25.0 %",
        "                2 of 8 tiles",
        "  tasks         ▶ 1 running, ✗ 1 failed",
        "  submitted     2023-11-14 22:13:20.001Z by user@host",
        "  labels        team=maps",
        "  started       2023-11-14 22:13:20.002Z",
        "  runs for      3.998 s, computing 4.001 s, 1.0 tasks at a time",
        "  not settled   1 task still running",
        "  error         OSError: the second (task 0 (Load))",
    ]


def test_a_task_in_text() -> None:
    load, count = view_of(failing()).tasks
    assert task_text(load).split("\n") == [
        "✗ Load (job-1/0): FAILED",
        "  task          Load v1.0 on cluster 'default'",
        "  policy        1 retry",
        "  submitted     2023-11-14 22:13:20.001Z",
        "  started       2023-11-14 22:13:20.002Z",
        "  finished      2023-11-14 22:13:20.003Z",
        "  time          0 µs blocked, 1.0 ms pending, 3.0 ms executing",
        "  error         OSError: the second",
        "                attempt 1 failed on runner-1 in 1.5 ms: OSError: the first",
        "                attempt 2 failed on runner-1 in 1.5 ms: OSError: the second",
    ]
    assert task_text(count, T0 + 4 * SECOND).split("\n")[0] == "▶ counting (job-1/1): RUNNING"
    assert "  time          0 µs blocked, 1.0 ms pending, 3.998 s executing" in task_text(
        count, T0 + 4 * SECOND
    )


def test_a_card_says_what_the_text_says() -> None:
    view = view_of(failing())
    now = T0 + 4 * SECOND
    for html, text in [
        (job_card(view, now), job_text(view, now)),
        *((task_card(one, now), task_text(one, now)) for one in view.tasks),
    ]:
        said = Page(html).text
        for line in text.split("\n")[4:]:
            assert line[16:] in said


def test_every_attempt_has_its_traceback_behind_it() -> None:
    load = view_of(failing()).tasks[0]
    page = Page(task_card(load))
    assert "details" in page.tags
    assert re.findall(r"Traceback of the \w+", page.text) == [
        "Traceback of the first",
        "Traceback of the second",
    ]
    assert "Traceback of the second" in Page(job_card(view_of(failing()))).text


def test_a_notebook_shows_a_task_as_its_card() -> None:
    one = view_of(failing()).tasks[0]
    assert one._repr_mimebundle_() == {"text/html": task_card(one), "text/plain": task_text(one)}


def test_a_job_of_which_nothing_runs_says_what_it_waits_for() -> None:
    driver = JobDriver(task("Load"))
    assert (
        "  queued        task 0 (Load): ready: waits for a runner of cluster 'default' with task Load v1.0"
    ) in job_text(view_of(driver)).split("\n")


def test_who_canceled_and_deleted_it() -> None:
    driver = JobDriver(task("Load"))
    driver.do(c.CancelJob(JOB, "c-1", "ada@host", "too dear"))
    assert "  canceled      by ada@host: too dear" in job_text(view_of(driver)).split("\n")
    driver.do(c.DeleteJob(JOB, "d-1", "bob@host"))
    assert "  deleted       by bob@host" in job_text(view_of(driver)).split("\n")


def test_results_are_shown_in_short() -> None:
    driver = JobDriver(task(), task())
    driver.claim(2)
    driver.do(c.ReportComputed(JOB, 0, 1, 10, 20, result=e.Value(b'{"n":1}')))
    driver.do(c.ReportComputed(JOB, 1, 1, 10, 20, result=e.Value(object="job-1/beef", size=123_456)))
    view = view_of(driver)
    assert '  result        {"n":1}, 123,456 bytes in the object store' in job_text(view)
    assert '  result        {"n":1}' in task_text(view.tasks[0])


def test_a_job_that_is_not_known_yet() -> None:
    assert "not known yet" in Page(job_card(JobView(JOB))).text
    assert job_text(JobView(JOB)) == "job '' (job-1): not known yet"


def test_every_state_of_a_job_has_a_look() -> None:
    assert set(JOB_LOOKS) == set(JobState)


def test_many_attempts_and_labels_are_cut() -> None:
    driver = JobDriver(task(retries=30))
    counts = [e.Progress(f"label {number}", 2, 1) for number in range(40)]
    for number in range(1, 21):
        driver.claim()
        driver.do(c.ReportFailed(JOB, 0, number, 10, 20, e.Error("OSError", ""), None, counts))
    view = view_of(driver)
    assert "and 8 earlier attempts" in Page(task_card(view.tasks[0])).text
    assert "8 earlier attempts, not shown" in task_text(view.tasks[0])
    assert "and 28 more labels" in job_text(view)
    assert "and 28 more labels" in Page(job_card(view)).text


# -- whatever they hold -----------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32).map(Random))
@settings(max_examples=40, deadline=None)
def test_every_job_and_task_has_a_card(random: Random) -> None:
    view = view_of(committed(random_history(random), random))
    allowed = {"class", "style", "viewbox", "aria-hidden", "d"}
    for html in [job_card(view), *map(task_card, view.tasks)]:
        page = Page(html)
        assert page.attributes <= allowed
    for text in [job_text(view), *map(task_text, view.tasks)]:
        assert all(len(line) <= 420 for line in text.split("\n"))
    assert job_card(view) == job_card(view)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_shown_as_text(text: str) -> None:
    driver = failing()
    view = view_of(driver)
    view.job.name = view.job.by = view.displays[0] = (
        text  # no matter what an event of another client may hold
    )
    view.job.options = e.JobOptions({text: text})
    view.ended[0][-1] = view.ended[0][-1]._replace(error=e.Error(text, text, text), reason=text)
    view.progressed[1] = [e.Progress(text, 2, 1)]
    view.runners[1] = text
    plain = Page(job_card(view_of(driver)))
    page = Page(job_card(view))
    assert (page.tags, page.attributes) == (plain.tags, plain.attributes)
    for html in (job_card(view), task_card(view.tasks[0])):
        html.encode()
        assert len(html) < 40_000
        assert Page(html).tags <= {*Page(task_card(view_of(driver).tasks[0])).tags, "br", "i"}
    for lines in (job_text(view), task_text(view.tasks[0])):
        assert len(lines.split("\n")) <= 12
        assert not [char for char in lines if unicodedata.category(char) in ("Cc", "Cs") and char != "\n"]

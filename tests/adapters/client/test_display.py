"""`visualize` and `display` of jobs that ran, in a terminal and in a file. For notebooks see test_notebook.py."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from jobledger import ArgumentError, Client, ExecutionContext, Job, NotFoundError, Task


class Root(Task):
    leaves: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Root({self.leaves})"
        leaves = context.submit_subtasks([Leaf(number) for number in range(self.leaves)])
        context.submit_subtask(End(), depends_on=leaves)


class Leaf(Task):
    number: int

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Leaf <{self.number}>\nof some"


class End(Task):
    def execute(self, context: ExecutionContext) -> None:
        """Nothing is left to do."""


TREE = """\
custom display names · COMPLETED · 5 tasks
└─ ✓ Root(3)
   ├─ ✓ Leaf <0> of some
   ├─ ✓ Leaf <1> of some
   ├─ ✓ Leaf <2> of some
   └─ ✓ End  (after Leaf <0> of some, Leaf <1> of some, Leaf <2> of some)
"""


@pytest.fixture
def job(client: Client) -> Job:
    job = client.jobs().submit("custom display names", Root(3))
    client.runner(tasks=[Root, Leaf, End]).run_all()
    return job


def test_a_job_is_drawn_and_printed(client: Client, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = client.jobs()
    svg = jobs.visualize(job)
    texts = [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[-8:] == [
        "Root(3)",
        "Leaf <0>",
        "of some",
        "Leaf <1>",
        "of some",
        "Leaf <2>",
        "of some",
        "End",
    ]
    assert jobs.visualize(str(job.id), "down", "elk", False, "auto") == svg
    assert jobs.visualize(job.id, direction="left", theme="dark") != svg
    assert jobs.display(job) is None
    assert capsys.readouterr().out == TREE
    jobs.display(str(job.id), direction="right", layout="dagre", sketchy=False, theme="light")
    assert capsys.readouterr().out == TREE
    with pytest.raises(NotFoundError, match="there is no job"):
        jobs.visualize(uuid4())


def test_a_job_is_drawn_as_it_stands_now(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    job = client.jobs().submit("waiting", [Leaf(1), Leaf(2)])
    client.jobs().display(job)
    assert capsys.readouterr().out.endswith("SUBMITTED · 2 tasks\n└─ ○ Leaf × 2  queued\n")  # noqa: RUF001
    client.runner(tasks=[Leaf]).run_all()
    client.jobs().display(job)
    assert "COMPLETED" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colours_for_the_same_words(
    client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", coloured := Terminal())
    client.jobs().display(job)
    assert "\x1b[32m✓" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", plain := Terminal())
    client.jobs().display(job)
    assert plain.getvalue() == TREE


def test_output_without_the_letters_gets_question_marks(
    client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    client.jobs().display(job)
    assert b"?? ? Root(3)" in raw.getvalue()


def test_ipython_is_not_imported_to_find_out() -> None:
    code = "assert not pictures.in_notebook(); assert 'IPython' not in sys.modules"
    program = f"import sys; from jobledger.adapters.client.show import pictures; {code}"
    # in a process of its own: whatever runs notebooks for other tests may have imported it here
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("method", ["visualize", "display"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"direction": "sideways"},
            "direction='sideways' is not possible: pass 'down', 'up', 'left' or 'right'",
        ),
        ({"direction": None}, "direction=None is not possible"),
        ({"layout": "neato"}, "layout='neato' is not possible: pass 'dagre' or 'elk'"),
        ({"theme": ["dark"]}, r"theme=\['dark'\] is not possible: pass 'auto', 'light' or 'dark'"),
        ({"sketchy": "no"}, "sketchy='no' is neither True nor False"),
        ({"job_or_id": "job 7"}, "'job 7' is not a job, nor the id of one"),
    ],
)
def test_bad_arguments(method: str, given: dict[str, Any], says: str) -> None:
    jobs = Client("nats://127.0.0.1:1", patience=0).jobs()
    arguments = {"job_or_id": uuid4()} | given
    with pytest.raises(ArgumentError, match=says):
        getattr(jobs, method)(**arguments)

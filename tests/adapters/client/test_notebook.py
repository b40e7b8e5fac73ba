"""Jobs and tasks in a real notebook: cards that follow them to their end, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest

from jobledger.adapters.nats.names import Names
from support.engines import EngineHarness
from support.notebooks import Notebook
from support.servers import NatsServer

BEGIN = """
import asyncio, threading, time
from IPython.display import display
from jobledger import *
from jobledger.adapters.portal import shared_portal

class Add(Task):
    left: int

    def execute(self, context: ExecutionContext) -> int:
        return self.left + 1

class Broken(Task):
    def execute(self, context: ExecutionContext) -> None:
        raise ValueError("it broke")

client = Client({url!r}, namespace="notebook")
jobs = client.jobs()
runner = client.runner(tasks=[Add, Broken])
runner.run_all()  # what a connection and a runner take is there from now on
threads = set(threading.enumerate())

def watchers(loop=shared_portal().loop):
    return [task for task in asyncio.all_tasks(loop) if task.get_name().startswith("jobledger cards of")]

def nobody_watches():
    while watchers():
        time.sleep(0.01)
    return set(threading.enumerate()) - threads
"""


@pytest.fixture(scope="module")
def notebook(nats_server: NatsServer) -> Iterator[Notebook]:
    engine = EngineHarness(nats_server.url, Names("notebook")).wait_ready()
    with Notebook() as notebook:
        notebook.run(BEGIN.format(url=nats_server.url))
        yield notebook
        notebook.run("jobs.submit('one that goes on', Add(1))")  # a kernel ends in spite of a live card
    engine.stop()


def state(text: str) -> str:
    """The state a card tells of, in its first line."""
    return text.split("\n")[0].rpartition(": ")[2]


@pytest.mark.parametrize(
    ("task", "what_happens", "ending"),
    [
        ("Add(1)", "runner.run_all()", "COMPLETED"),
        ("Broken()", "runner.run_all()", "FAILED"),
        ("Add(1)", "jobs.cancel(job)", "CANCELED"),
    ],
)
def test_a_card_follows_its_job_to_the_end_and_leaves_no_thread_behind(
    notebook: Notebook, task: str, what_happens: str, ending: str
) -> None:
    notebook.run(f"job = jobs.submit('adding', {task})")
    card = notebook.run("job")
    assert state(card.text) == "SUBMITTED"
    notebook.run(what_happens)
    assert notebook.run("nobody_watches()").text == "set()"
    assert state(card.text) == ending
    assert f"{ending}</span>" in card.shown[0]["text/html"]


def test_a_job_that_is_settled_is_not_watched(notebook: Notebook) -> None:
    notebook.run("job = jobs.submit('adding', Add(1))\nrunner.run_all()")
    assert state(notebook.run("job").text) == "COMPLETED"
    assert notebook.run("watchers()").text == "[]"


def test_cells_that_show_the_same_job_share_a_watcher(notebook: Notebook) -> None:
    notebook.run("job = jobs.submit('adding', Add(1))")
    cards = [notebook.run(code) for code in ("job", "display(job, job)", "jobs.find(job.id)", "job.tasks[0]")]
    assert notebook.run("len(watchers())").text == "1"
    notebook.run("runner.run_all()\nnobody_watches()")
    states = [state(shown["text/plain"]) for card in cards for shown in card.shown]
    assert states == ["COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED", "COMPUTED"]


def test_a_task_is_followed_to_its_own_end(notebook: Notebook) -> None:
    notebook.run("job = jobs.submit('adding', [Add(1), Broken()])")
    first, second = notebook.run("job.tasks[0]"), notebook.run("job.tasks[1]")
    assert notebook.run("jobs.cancel(job.tasks[0])").text == "1"
    notebook.run("while 'CANCELED' not in [task.state.name for task in job.tasks]: pass")
    notebook.run("runner.run_all()\nnobody_watches()")
    assert [state(first.text), state(second.text)] == ["CANCELED", "FAILED"]
    assert "ValueError: it broke" in second.text


def test_an_asynchronous_job_is_followed_on_the_loop_of_the_notebook(
    notebook: Notebook, nats_server: NatsServer
) -> None:
    notebook.run(f"away = AsyncClient({nats_server.url!r}, namespace='notebook')")
    notebook.run("there = await away.jobs().submit('adding', Add(1))\nbefore = set(threading.enumerate())")
    card, task = notebook.run("there"), notebook.run("there.tasks[0]")
    notebook.run("runner.run_all()\nawait there.wait()")
    left = notebook.run(
        "while watchers(asyncio.get_running_loop()): await asyncio.sleep(0.01)\nset(threading.enumerate()) - before"
    )
    assert left.text == "set()"
    assert [state(card.text), state(task.text)] == ["COMPLETED", "COMPUTED"]
    notebook.run("await away.close()")


def test_updates_are_a_quarter_of_a_second_apart(notebook: Notebook) -> None:
    notebook.run("""
class Slow(Task):
    def execute(self, context):
        time.sleep(0.03)

screen, times = get_ipython().display_pub, []
publish = screen.publish

def timed(*args, update=False, **more):
    times.append(time.monotonic()) if update else None
    publish(*args, update=update, **more)

screen.publish = timed
job = jobs.submit("slow", [Slow() for _ in range(30)])
""")
    card = notebook.run("job")
    told = notebook.run(
        "client.runner(tasks=[Slow]).run_all()\nnobody_watches()\nscreen.publish = publish\ntimes"
    )
    times = [float(one) for one in told.text.strip("[]").split(",")]
    assert state(card.text) == "COMPLETED"
    assert len(times) > 2
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.24


def test_a_card_says_why_it_is_not_kept_up_to_date(notebook: Notebook, nats_server: NatsServer) -> None:
    notebook.run(f"other = Client({nats_server.url!r}, namespace='notebook')")
    notebook.run("job = other.jobs().submit('adding', Add(1))")
    closed = notebook.run("job")
    notebook.run("other.close()\nnobody_watches()")
    assert state(closed.text.split("\n  Not kept")[0]) == "SUBMITTED"
    assert "Not kept up to date any more: the client was closed" in closed.shown[0]["text/html"]
    assert "As of its latest reading: this client was closed" in notebook.run("job").text

    notebook.run("job = jobs.submit('adding', Add(1))")
    deleted = notebook.run("job")
    notebook.run("jobs.delete(job, force=True, reason='a typing error')\nnobody_watches()")
    assert state(deleted.text.split("\n")[0]) == "DELETED"
    assert "Not kept up to date any more: job 'adding'" in deleted.text
    assert "was deleted" in notebook.run("job").text


def test_the_card_shown_longest_ago_makes_room(notebook: Notebook) -> None:
    notebook.run("many = [jobs.submit('adding', Add(n)) for n in range(34)]")
    first, others = notebook.run("many[0]"), notebook.run("display(*many[1:])")
    notebook.run("runner.run_all()\nnobody_watches()")
    texts = [first.text, *(shown["text/plain"] for shown in others.shown)]
    assert [state(text) for text in texts[2:]] == ["COMPLETED"] * 32
    for text in texts[:2]:
        assert text.endswith("Not kept up to date any more: 32 cards that were shown later are")


def test_what_is_captured_is_shown_as_it_stands(notebook: Notebook) -> None:
    notebook.run("job = jobs.submit('adding', Add(1))")
    notebook.run("%%capture captured\njob")
    assert notebook.run("watchers()").text == "[]"
    assert state(notebook.run("captured.outputs[0]").text) == "SUBMITTED"


def test_a_card_that_nobody_can_see_is_given_up(notebook: Notebook) -> None:
    notebook.run("""
from IPython.core.displaypub import DisplayPublisher

class Screen(DisplayPublisher):
    def publish(self, *args, **more):
        print(args[0]["text/plain"])

shell = get_ipython()
job = jobs.submit("adding", [Add(1), Add(2)])
""")
    shown = notebook.run(
        "real, shell.display_pub = shell.display_pub, Screen()\ndisplay(job)\nshell.display_pub = real"
    )
    assert "): SUBMITTED" in shown.printed
    notebook.run("jobs.cancel(job.tasks[0])\nnobody_watches()")
    assert notebook.run("job.settled").text == "False"


def test_display_shows_the_diagram(notebook: Notebook) -> None:
    notebook.run("job = jobs.submit('adding', [Add(1), Broken()])\nrunner.run_all()")
    (diagram,) = notebook.run("jobs.display(job, theme='dark')").shown
    assert diagram["image/svg+xml"].startswith("<svg")
    svg = notebook.run("print(jobs.visualize(job, theme='dark'))").printed
    assert diagram["image/svg+xml"].strip() == svg.strip()


def test_ipython_in_a_terminal_shows_plain_text(nats_server: NatsServer, names: Names) -> None:
    engine = EngineHarness(nats_server.url, names).wait_ready()
    program = f"""
from jobledger import Client, Task
class Add(Task): left: int

jobs = Client({nats_server.url!r}, namespace={names.namespace!r}).jobs()
job = jobs.submit("adding", Add(1))
job
job.tasks[0]
print(job)
jobs.display(job)
"""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "IPython",
            "--simple-prompt",
            "--no-banner",
            "--HistoryManager.hist_file=:memory:",
        ],
        input=program,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    engine.stop()
    assert ran.stderr == ""
    assert "): SUBMITTED\n  progress      [....." in ran.stdout
    assert "/0): QUEUED\n  task          Add v0.0 on cluster 'default'" in ran.stdout
    assert "): SUBMITTED, tasks: 1 QUEUED\n" in ran.stdout
    assert "adding · SUBMITTED · 1 task\n└─ ○ Add  queued\n" in ran.stdout
    assert "<div" not in ran.stdout

"""The processes of a soak: `python -m soak.programs engine|projector|runner|reader|load …`, each telling what it holds."""

from __future__ import annotations

import sys

from . import inside


def main() -> None:
    what, *arguments = sys.argv[1:]
    inside.report()  # which imports nothing: other threads may be at that
    if what == "load":
        from .load import run

        run(*arguments)
    elif what in ("runner", "reader"):
        url, namespace = arguments
        {"runner": _run_tasks, "reader": _read}[what](url, namespace)
    else:
        if what == "engine":
            inside.watch_engines()
        from jobledger.adapters.cli import main as command

        sys.argv[1:] = [what, *arguments]
        command()


def _run_tasks(url: str, namespace: str) -> None:
    from jobledger import Client
    from jobledger.testing import InlineClient

    from .workflow import SHAPES, TASKS

    # What is imported when it is first needed is no leak, and it is chance which runner is handed its first task of a kind when.
    for root, _ in SHAPES:
        InlineClient().run(root, *TASKS)
    with Client(url, namespace=namespace) as client:
        say("runs")
        client.runner(tasks=TASKS, concurrency=4).run_forever()


def _read(url: str, namespace: str) -> None:
    """Subscribe to everything, until killed."""
    from threading import Event

    from jobledger import Client

    client = Client(url, namespace=namespace)
    subscriptions = [client.jobs().subscribe(lambda change: None) for _ in range(3)]
    say("reads")
    Event().wait()
    del subscriptions


def say(what: str) -> None:
    sys.stderr.write(f"soak program {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()

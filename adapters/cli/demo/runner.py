"""A runner of the demo, as a process of its own: `python -m jobledger.adapters.cli.demo.runner before …`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import warnings
from importlib import import_module

from jobledger import Client
from jobledger.cache import LocalFileSystemCache


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("version", choices=["before", "after"], help="which code to run")
    parser.add_argument("--folder", required=True, help="the data folder whose server to use")
    parser.add_argument("--cache", required=True, help="where the tasks keep data for each other")
    parser.add_argument("--cluster", required=True, help="which tasks to take")
    options = parser.parse_args()

    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore", SyntaxWarning)  # about other people's code, which is only counted here
    tasks = import_module(f".{options.version}", __package__).TASKS
    runner = Client(data_folder=options.folder).runner(
        tasks=tasks, cluster=options.cluster, cache=LocalFileSystemCache(options.cache)
    )
    _say(f"{options.version}.py: {', '.join(task.name for task in runner.tasks_to_run)}")
    runner.run_forever()
    _say("has ended, as it was told to")


def _end_with_parent() -> None:
    """Stop when the demo is gone, however it ended: its end of this pipe closes with it."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()

"""A runner as a process of its own: `python -m faults.runner_program`, told by options where to work.

With `--respawn` the runner is a child, and another one follows whenever it ends: for tasks that kill their process.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType

import jobledger.adapters.link
import jobledger.adapters.runner.runner  # noqa: F401  loaded before a fork, not after each
from faults.tasks import TASKS
from jobledger import Client


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", help="of the server; without one, the embedded one is used")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--respawn", action="store_true")
    options = parser.parse_args()

    sys.stderr.write("runner ready\n")
    sys.stderr.flush()
    while options.respawn:
        child = os.fork()
        if not child:
            break
        _outlive(child)
    client = Client(options.url, namespace=options.namespace)
    client.runner(tasks=TASKS, concurrency=options.concurrency).run_forever()


def _outlive(child: int) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    os.waitpid(child, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    main()

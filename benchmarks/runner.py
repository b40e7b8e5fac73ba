"""A process with runners in it: `python -m benchmarks.runner FOLDER`. It ends when its standard input does.

With `--runners 50` there are fifty, each with a connection of its own, as if each were a process: that is how hundreds fit
two cores while they have nothing to do.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import Any

from benchmarks.tasks import SERVED
from jobledger import Client

#: what the connections of runners are called
LABEL = "benchmark runner"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="data folder of the server")
    parser.add_argument("--runners", type=int, default=1)
    parser.add_argument("--pool", type=int, default=0, help="processes for the tasks of each; 0: none")
    arguments = parser.parse_args()
    more: dict[str, Any] = {"concurrency": arguments.pool, "pool": "processes"} if arguments.pool else {}
    clients = [Client(data_folder=arguments.folder, name=LABEL) for _ in range(arguments.runners)]
    first, *others = (client.runner(tasks=SERVED, **more) for client in clients)
    threads = [threading.Thread(target=runner.run_forever) for runner in others]
    for thread in (threading.Thread(target=end_with_parent, daemon=True), *threads):
        thread.start()
    first.run_forever()
    for runner in others:
        runner.stop()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def end_with_parent() -> None:
    """End this process as SIGTERM does once nobody holds the other end of its standard input."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()

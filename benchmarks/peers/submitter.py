"""The submitting process of one system: runs the workloads in the system's own environment, prints JSON lines.

    <environment>/bin/python -m benchmarks.peers.submitter huey W1=2000 W3=100 --repeat 3

`run.py` starts it, with the server and the worker running. The first line says that the worker answers.
"""

from __future__ import annotations

import argparse
import importlib
import json

from benchmarks.peers.workloads import WORKLOADS, Peer


def measure(peer: Peer, sizes: dict[str, int], repeat: int) -> None:
    """Run each workload `repeat` times and print its figures as they come."""
    # connections, caches and pools are there once everything has been used
    peer.submit(0)()
    print(json.dumps({"ready": True}), flush=True)
    peer.fan_out(20)
    peer.chain(5)
    peer.independent(20)
    for workload, size in sizes.items():
        runs = [WORKLOADS[workload](peer, size) for _ in range(repeat)]
        for measured in zip(*runs, strict=True):
            told = {"workload": workload, "what": measured[0].what, "unit": measured[0].unit}
            print(json.dumps({**told, "values": [one.value for one in measured]}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one system from inside its environment.")
    parser.add_argument("app", help="folder of the system, with an app.py in it")
    parser.add_argument("sizes", nargs="+", metavar="WORKLOAD=SIZE")
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    sizes = {workload: int(size) for workload, size in (given.split("=") for given in options.sizes)}
    peer: Peer = importlib.import_module(f"benchmarks.peers.{options.app}.app").open_peer()
    measure(peer, sizes, options.repeat)
    peer.close()


if __name__ == "__main__":
    main()

"""What is measured: each system with its server, its worker, what is durable when, and how much of each workload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .servers import Server, nats_server, no_server, postgresql, redis_always, redis_everysec

_CORES = str(os.cpu_count())


@dataclass(frozen=True, kw_only=True)
class System:
    """One system as its documentation recommends it, as durable as it sensibly can be made.

    Shape:  `prepare` and `worker` are commands whose first word is a program of the system's environment; in `prepare`
            stands "{server}" for the server's address.
    """

    name: str
    folder: str  #: beside this file: requirements.txt and app.py
    durability: str  #: what survives the end of which process or machine
    settings: str  #: the worker's pool, and how the submitter learns of results
    server: Server = no_server
    prepare: tuple[str, ...] = ()  #: once, before the worker starts
    worker: tuple[str, ...] = ()  #: none where the submitting process runs the tasks itself
    environment: Mapping[str, str] = field(default_factory=dict)  #: variables for its processes
    sizes: Mapping[str, int] = field(default_factory=dict)  #: of workloads, where not `SIZES`


#: tasks of W1, tasks of W2, jobs of W3, jobs of W4
SIZES = {"W1": 2_000, "W2": 200, "W3": 200, "W4": 1_000}

_AOF_ALWAYS = "Redis syncs every write before it answers (appendfsync always)"
_AOF_EVERYSEC = (
    "Redis syncs once a second (appendfsync everysec): the end of the machine loses up to a second"
)
_ROWS = (
    "every change of state is a transaction that is synced (PostgreSQL's fsync and synchronous_commit are on)"
)

_HUEY = System(
    name="huey + SQLite",
    folder="huey",
    durability="every write is synced (fsync=True), but a worker that takes a task deletes it: its end loses the task",
    settings="1 worker thread, its default; worker and submitter look every 1 ms (left alone: 0.05 to 10 s); results are kept",
    worker=(
        "huey_consumer",
        "benchmarks.peers.huey.app.huey",
        *("--workers", "1", "--delay", "0.001", "--max-delay", "0.001", "--backoff", "1", "--quiet"),
    ),
)
_DRAMATIQ_AGAIN = "acknowledged after the run: a task of a worker that ended is delivered again"
_DRAMATIQ = System(
    name="dramatiq + Redis, sync always",
    folder="dramatiq",
    durability=f"{_AOF_ALWAYS}; {_DRAMATIQ_AGAIN}",
    settings=f"{_CORES} processes of 8 threads, its default; results by a blocking read",
    server=redis_always,
    worker=("dramatiq", "benchmarks.peers.dramatiq.app", "--processes", _CORES, "--threads", "8"),
)
_CELERY_AGAIN = "acknowledged after the run (task_acks_late): a task of a worker that ended is delivered again, after an hour"
_CELERY = System(
    name="Celery + Redis, sync always",
    folder="celery",
    durability=f"{_AOF_ALWAYS}; {_CELERY_AGAIN}",
    settings=f"prefork with {_CORES} processes, its default, each fetching 64 tasks ahead; results by subscription",
    server=redis_always,
    worker=("celery", "--app=benchmarks.peers.celery.app", "worker", f"--concurrency={_CORES}"),
)
_TASKIQ = System(
    name="taskiq + NATS JetStream",
    folder="taskiq",
    durability="JetStream syncs every message before it is acknowledged (sync_interval: always), results too; "
    "acknowledged after the result is saved: a task of a worker that ended is delivered again",
    settings="2 processes, its default, fetching 100 messages at a time; submitter looks for results every 2 ms "
    "(left alone: 200), for 16 at once; chains by the submitter, as it has none",
    server=nats_server,
    worker=("taskiq", "worker", "benchmarks.peers.taskiq.app:broker", "--workers", "2"),
)
_DBOS = System(
    name="DBOS + PostgreSQL",
    folder="dbos",
    durability=f"{_ROWS}: the start and the result of every workflow and the result of every step",
    settings="one process that submits and runs, as its documentation begins; W1 and W2 are the steps of one workflow",
    server=postgresql,
    environment={"PEER_ROLE": "all"},
    sizes={"W1": 1_000, "W4": 500},
)
_PROCRASTINATE = System(
    name="Procrastinate + PostgreSQL",
    folder="procrastinate",
    durability=f"{_ROWS}; a job of a worker that ended stays as it is until someone has it retried",
    settings="10 jobs at a time, as its documentation shows; LISTEN/NOTIFY; submitter looks at the state of jobs every "
    "2 ms, as there are no results; chains by the submitter, as it has none",
    server=postgresql,
    prepare=("procrastinate", "--app=benchmarks.peers.procrastinate.app.app", "schema", "--apply"),
    worker=("procrastinate", "--app=benchmarks.peers.procrastinate.app.app", "worker", "--concurrency=10"),
)

#: fastest first, as far as was known when this was written
SYSTEMS = (
    _HUEY,
    _DRAMATIQ,
    replace(
        _DRAMATIQ,
        name="dramatiq + Redis, sync every second",
        durability=f"{_AOF_EVERYSEC}; {_DRAMATIQ_AGAIN}",
        server=redis_everysec,
    ),
    _TASKIQ,
    _CELERY,
    replace(
        _CELERY,
        name="Celery + Redis, sync every second",
        durability=f"{_AOF_EVERYSEC}; {_CELERY_AGAIN}",
        server=redis_everysec,
    ),
    _PROCRASTINATE,
    _DBOS,
    replace(
        _DBOS,
        name="DBOS + PostgreSQL, queue to a worker",
        settings="a client that enqueues and a worker process; both look every 10 ms (left alone: 1 s)",
        prepare=("dbos", "migrate", "--sys-db-url", "{server}"),
        worker=("python", "-m", "benchmarks.peers.dbos.app"),
        environment={"PEER_ROLE": "client"},
        sizes={"W1": 500, "W3": 50, "W4": 500},
    ),
    replace(
        _DBOS,
        name="DBOS + SQLite",
        durability="as on PostgreSQL, with SQLite's defaults, which sync every transaction (synchronous FULL)",
        server=no_server,
        sizes={"W1": 500, "W3": 100, "W4": 200},
    ),
)


def chosen(names: list[str]) -> list[System]:
    """Return the systems whose names begin so, whatever the case; all of them if no name is given.

    Errors: ValueError for a name that no system has.
    """
    for name in names:
        if not any(system.name.lower().startswith(name.lower()) for system in SYSTEMS):
            raise ValueError(
                f"there is no system {name!r}: there are {'; '.join(one.name for one in SYSTEMS)}"
            )
    prefixes = tuple(name.lower() for name in names or [""])
    return [system for system in SYSTEMS if system.name.lower().startswith(prefixes)]

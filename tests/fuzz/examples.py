"""Valid bytes of everything that is read from elsewhere, and what reads them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from jobledger.adapters import protocol as p
from jobledger.adapters.engine.partitions.recovery import Checkpoint, decode_checkpoint
from jobledger.adapters.metrics.figures import Report, Sample, decode_report
from jobledger.adapters.nats.clusters import Change, decode_change, encode_change
from jobledger.adapters.nats.log import continued, encode_message
from jobledger.adapters.nats.records import RecordError, decode_record
from jobledger.adapters.successes import Success
from jobledger.adapters.telemetry.records import Batch, Line, decode_batch, encode_batch, encode_record
from jobledger.adapters.views import protocol as v
from jobledger.core import clusters
from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, CodecError, Commit, decode_commit, encode_commit
from jobledger.core.errors import DamagedLog
from jobledger.core.policy import Policy
from jobledger.core.submission import TaskSpec
from jobledger.core.undecodable import UNDECODABLE
from jobledger.projections.jobs import JobFilter
from support.engines import submission, task
from support.random_history import committed, random_history

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
HISTORIES = Path(__file__).parent.parent / "core" / "histories"


def recorded() -> list[list[bytes]]:
    """Return the encoded commits of the golden corpus, by history."""
    return [
        [bytes.fromhex(line) for line in path.read_text(encoding="ascii").splitlines()]
        for path in sorted(HISTORIES.glob("*.hex"))
    ]


def random_histories(count: int) -> list[list[bytes]]:
    """Return the encoded commits of some histories as engines write them."""
    return [
        [encode_commit(placed.commit) for placed in committed(driver, random)]
        for random in map(Random, range(count))
        for driver in (random_history(random, steps=25, tasks=20),)
    ]


class Reader(NamedTuple):
    """What reads one kind of bytes: `decode` raises nothing but `errors`."""

    decode: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    valid: list[bytes]


_REPORTS: list[c.Report] = [
    c.ReportComputed(
        JOB, 0, 1, 1, 2, submission(task()), "shown", [e.Progress("a", 2, 1)], e.Value(b"1"), bytes(32)
    ),
    c.ReportFailed(JOB, 0, 1, 1, 2, e.Error("ValueError", "it broke", "a traceback")),
    c.StageSubtasks(JOB, 0, 1, submission(task(), task(after=(0,)))),
    c.ReleaseTask(JOB, 0, 1, "why"),
    c.ReportReused(JOB, 0, 1, 1, 2, JOB, 0),
    c.ReportCanceled(JOB, 0, 1, 1, 2),
    c.ReportProgress(JOB, 0, 1, 1, [e.Progress("a", 2, 1)], "shown"),
]
COMMANDS: list[p.CommandRequest] = [
    c.SubmitJob(JOB, "a job", submission(task(), task(after=(0,))), "me", e.JobOptions({"a": "b"}, key="k")),
    c.CancelJob(JOB, "one", "me", "why", 5),
    c.CancelTask(JOB, "two", 0),
    c.RetryJob(JOB, "three", "me", 0),
    c.DeleteJob(JOB, "four"),
    c.TakeOver(
        JOB, e.TasksTakenOver(b"plan", 0, [e.TakenOver(0, 0, 3)], [e.SubtasksOf(0, submission(task()))])
    ),
    c.ForkJob(
        JOB,
        "a fork",
        submission(task(policy=Policy(priority=1, delay=5, retry_on=("OSError",)))),
        "me",
        e.JobOptions(origin=e.Origin(JOB, 1, 1, bytes(32))),
        e.TasksTakenOver(b"plan", 1, []),
    ),
    p.FollowJob(JOB, wait=0.0),
]
_REPLIES: list[p.Reply] = [
    p.Refused("invalid", "why"),
    p.Unavailable("why"),
    p.Done(3, 1, 2),
    p.JobStatus(3, 1, 2, True, [0, 1, 2]),
    p.Exchanged(
        [p.RefusedReport(0, "stale", "why")],
        [p.ClaimedJob(JOB, "a job", [TaskSpec("Task", 1, 0, "default")], [p.ClaimedTask(0, 1, 0, b"1", 0)])],
        15.0,
        [JOB],
        {JOB: (-1.0, 0, 3)},
    ),
    p.HeartbeatSeen([p.AttemptRef(JOB, 0, 1)], [p.Halted(JOB, [0, 1], True, "why", 5)]),
    p.Results([(0, e.Value(b"1")), (1, None)]),
]
_COMMITS = [one for history in (*recorded(), *random_histories(4)) for one in history]
_LINE = Line(1, 20, "loaded", 0, 1, {"rows": 3})
_encode = msgspec.msgpack.Encoder().encode


READERS: dict[str, Reader] = {
    "a commit": Reader(decode_commit, (CodecError,), _COMMITS),
    "a record": Reader(
        decode_record, (RecordError,), [encode_message(1, decode_commit(one)) for one in _COMMITS[:20]]
    ),
    "the next commit of a job": Reader(
        lambda data: continued(JOB, None, 1, data),
        (DamagedLog,),
        [
            encode_message(1, Commit(bytes(16), NO_PREVIOUS, 1, "engine", False, decode_commit(one).events))
            for one in _COMMITS[:20]
        ],
    ),
    "a change of a cluster": Reader(
        decode_change,
        (RecordError,),
        [encode_change(1, Change(bytes(16), 1, "me", clusters.ClusterCreated("GPU pool", "two cards")))],
    ),
    "a command": Reader(p.decode_command, UNDECODABLE, [_encode(one) for one in COMMANDS]),
    "an exchange": Reader(
        p.decode_exchange,
        UNDECODABLE,
        [
            _encode(p.Exchange("default", [("Task", 1, 0)], [one], 1, 0.0, [p.AttemptRef(JOB, 0, 1)]))
            for one in _REPORTS
        ],
    ),
    "a sign of life": Reader(
        p.decode_heartbeat,
        UNDECODABLE,
        [_encode(p.Heartbeat([p.AttemptRef(JOB, 0, 1)], [c.ReportProgress(JOB, 0, 1, 1)]))],
    ),
    "a question for results": Reader(p.decode_results_request, UNDECODABLE, [_encode(p.ReadResults(JOB, 0))]),
    "an answer of an engine": Reader(p.decode_reply, UNDECODABLE, [_encode(one) for one in _REPLIES]),
    "what was halted": Reader(p.decode_halted, UNDECODABLE, [_encode(p.Halted(JOB, [0, 1], True, "why", 5))]),
    "who serves a partition": Reader(p.presence, (), [_encode(p.Presence("engine", 3))]),
    "a checkpoint of an engine": Reader(
        decode_checkpoint,
        (),
        [zlib.compress(_encode(Checkpoint(7, [JOB, JOB])), level=1), zlib.compress(bytes(10**5))],
    ),
    "a question to a view": Reader(
        v.decode_request, UNDECODABLE, [_encode(v.FindJobs(JobFilter())), _encode(v.CountJobs(JobFilter()))]
    ),
    "an answer of a view": Reader(v.decode_reply, UNDECODABLE, [_encode(p.Refused("invalid", "why"))]),
    "what tasks logged": Reader(
        decode_batch,
        (),
        [encode_batch(Batch(bytes(16), "runner", bytes(16), 0, [msgspec.Raw(encode_record(_LINE))]))],
    ),
    "what a process counted": Reader(
        decode_report, UNDECODABLE, [_encode(Report("engine", "one", {"jobs": [Sample(("a",), 1.0)]}))]
    ),
    "a success to reuse": Reader(
        msgspec.msgpack.Decoder(Success).decode, UNDECODABLE, [_encode(Success(JOB, 0, e.Value(b"1")))]
    ),
}

"""Record histories for the golden corpus: `PYTHONPATH=src:tests python tests/core/record_histories.py`.

A history is two files in `histories/`: `<name>.hex`, the bytes of its commits, one a line in hexadecimal; and
`<name>.json`, the state they fold to. `test_codec.py` holds every later version of the code to both.

What is recorded stays: this only ever adds histories that are missing. A new kind of event, or a new field, gets a new
history; an old one is proof that what was once written can still be read. `releases.json` says with which version each
was recorded, and the SHA-256 of both files: the corpus grows with every release, and nothing in it changes.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, digest, encode_commit
from jobledger.core.job import Job, fold
from jobledger.core.submission import NewTask, columns
from support.histories import JOB, JobDriver, describe, submission, task

HISTORIES = Path(__file__).with_name("histories")
EPOCH = 1_700_000_000_000_000  # as large as real times are


def fan_out() -> JobDriver:
    """20 subtasks, and one that waits for all of them."""
    job = _job(task("Root", data=b'{"n":20}'))
    job.run(
        0, *[task("Part", data=b"%d" % n) for n in range(20)], task("Reduce", cluster="gpu", after=range(20))
    )
    while claimed := job.claim(8, runner="runner-ä"):
        for number in claimed:
            job.compute(number)
    return job


def failed_and_retried() -> JobDriver:
    """Two retries used up, a failure, what ran meanwhile, a retry of the job, and the rest."""
    job = _job(task("Root"))
    job.run(0, task("Flaky", retries=2), task("Beside"), task("Later", after=[0]))
    for _ in range(3):
        job.claim()
        job.fail(1, error=e.Error("ValueError", "çа me dépasse \N{FACE WITH OPEN MOUTH}", "Traceback …"))
    job.retry()
    job.claim(2)
    job.do(c.ReportFailed(JOB, 1, 4, EPOCH + 5, EPOCH + 6, e.Error("E", ""), "shown to users"))
    job.claim()
    job.do(c.ReportComputed(JOB, 1, 5, EPOCH + 7, EPOCH + 9, None, "shown to users"))
    job.drain()
    job.compute(2)
    return job


def left_failed() -> JobDriver:
    """A job that failed in two places while a third task has a retry left and a fourth runs on."""
    job = _job(task("A"), task("B", retries=1), task("C"), task("D"), task("E"))
    job.claim(4)
    job.fail(0)
    job.fail(1)
    job.fail(2)
    return job


def optional() -> JobDriver:
    """A failure below an optional task, one of an optional task, and what is skipped."""
    job = _job(task("Root"))
    job.run(0, task("X", optional=True), task("After", after=[0]), task("Y", optional=True, retries=1))
    job.run(1, task("Fail"), task("Skipped", after=[0]), task("Runs"), task("Skipped too"))
    job.claim()
    job.claim(specs=[job.job.graph.spec[6]])
    job.fail(4)
    job.compute(6)
    for _ in range(2):
        while job.job.state_of(3).name == "QUEUED":
            job.claim(specs=[job.job.graph.spec[3]])
        job.fail(3)
    job.drain()
    return job


def staged() -> JobDriver:
    """Subtasks in chunks, with dependencies across them; a first attempt whose chunks come to nothing."""
    job = _job(task("Root", retries=1))
    tasks = [task("Part", data=bytes(40), after=[n - 1] if n % 3 else []) for n in range(12)]
    *chunks, last = columns(tasks, max_bytes=200)
    job.claim()
    job.stage(0, chunks[0])
    job.fail(0)
    job.claim()
    for chunk in chunks:
        job.stage(0, chunk)
    job.do(c.ReportComputed(JOB, 0, 2, EPOCH, EPOCH + 1, last))
    job.drain()
    return job


def staged_and_running() -> JobDriver:
    """A job in the middle of its life: chunks staged, nothing reported yet."""
    job = _job(task("Root"), task("Other"))
    job.claim(2)
    job.stage(0, submission(task("A"), task("B", after=[0])))
    return job


def canceled() -> JobDriver:
    """Canceled while two tasks run, of which one ends and has subtasks."""
    job = _job(task("A"), task("B"), task("C"))
    job.claim(2)
    job.cancel()
    job.compute(0, task("Child"))
    return job


def canceled_and_retried() -> JobDriver:
    """Canceled, retried, canceled again, failed for all that, retried again, completed."""
    job = _job(task("A"), task("B"))
    job.cancel("one")
    job.retry("two")
    job.claim(2)
    job.cancel("three")
    job.fail(1)
    job.compute(0)
    job.retry("four")
    job.drain()
    return job


def lost_runners() -> JobDriver:
    """Leases that expire until the task is held to blame, and a task that is given back."""
    job = _job(task("Deadly", retries=3), task("Fine"))
    for attempt in range(11):
        job.claim(runner=f"runner-{attempt}")
        job.expire(0, alone=True)
    job.retry()
    job.claim(2)
    job.release(1)
    job.expire(0)
    return job


def lost_alone() -> JobDriver:
    """Runners that are lost with one task in their hands, and with several; one of them is retried."""
    job = _job(task("Deadly"), task("Beside"), task("Mended"))
    for attempt in range(4):
        job.claim(3, runner=f"runner-{attempt}")
        job.expire(0, alone=attempt > 1)
        job.release(1) if attempt > 1 else job.expire(1)
        job.expire(2, alone=attempt > 2)
    job.cancel_task(2)
    job.retry(task=2)
    job.claim(1)
    return job


def counted() -> JobDriver:
    """Tasks that count their work: computed, tried again, failed."""
    job = _job(task("A", retries=1), task("B"))
    job.claim(2)
    half = [e.Progress("", 4, 2), e.Progress("tiles", 300, 0)]
    job.do(c.ReportFailed(JOB, 0, 1, EPOCH, EPOCH + 1, e.Error("E", "once"), None, half))
    job.claim()
    job.do(c.ReportComputed(JOB, 0, 2, EPOCH + 2, EPOCH + 3, None, None, [e.Progress("", 4, 4)]))
    job.do(c.ReportFailed(JOB, 1, 1, EPOCH, EPOCH + 4, e.Error("E", "for good"), "B", half))
    return job


def parts_canceled() -> JobDriver:
    """Tasks that are canceled while they are queued and while they run, and end in every way; the job ends by that."""
    job = _job(task("Root"), task("Beside"))
    job.run(0, *[task("Part", retries=1) for _ in range(6)], task("Reduce", after=range(6)), task("Group"))
    job.run(9, task("Below"), task("Below too"))
    job.claim(5, specs=[job.job.graph.spec[2]])  # tasks 2 to 6
    job.do(c.CancelTask(JOB, "one", 9, "me@hier", "zu groß", 5_000_000))
    for number in range(2, 8):
        job.do(c.CancelTask(JOB, f"cancel-{number}", number, "me@hier", "", -1))
    half, attempt = [e.Progress("", 4, 2)], job.job.attempt
    job.do(c.ReportCanceled(JOB, 2, attempt[2], EPOCH + 1, EPOCH + 2, "stopped", half))
    error = e.Error("TaskCanceled", "")
    job.do(c.ReportFailed(JOB, 3, attempt[3], EPOCH + 1, EPOCH + 3, error, None, half))
    job.release(4)
    job.expire(5)
    job.compute(6, task("Never runs"))
    job.drain()
    return job


def left_stopping() -> JobDriver:
    """Tasks that are asked to stop and have not: one of them in an optional subtree, of which the rest is skipped."""
    job = _job(task("Root"))
    job.run(0, task("A"), task("X", optional=True), task("After A", after=[0]))
    job.run(2, task("X1"), task("X2"), task("X3"))
    job.claim(2)
    job.claim(specs=[job.job.graph.spec[1]])
    job.cancel_task(1, "one")
    job.cancel_task(4, "two")
    return job


def continued() -> JobDriver:
    """Failures that halt only what depends on them, delays, a retry of a part, and the end of the rest."""
    job = JobDriver()
    job.now = EPOCH
    options: dict[str, Any] = {
        "labels": {"team": "Karten"},
        "continues": True,
        "key": "k-1",
        "trace": "00-" + 32 * "1" + "-01",
    }
    policy: dict[str, Any] = {
        "delay": 1_000_000,
        "backoff": 2.0,
        "cap": 60_000_000,
        "retry_on": ("OSError",),
        "give_up": ("E",),
    }
    roots = [
        task("A", retries=1, **policy),
        task("B"),
        task("After A", after=[0]),
        task("After B", after=[1]),
    ]
    job.submit(*roots, task("Halts", on_failure=1, after=[2]), **options)
    job.claim(2)
    job.fail(0)
    job.fail(1)
    job.now += 1_000_000
    job.claim()
    job.fail(0, final=True)
    job.do(c.RetryJob(JOB, "again", "me@hier", 0))
    job.claim()
    return job


def scheduled() -> JobDriver:
    """Priorities, a delayed start, limits by key, a time limit; inputs by reference."""
    late: dict[str, Any] = {"priority": -3, "not_before": EPOCH + 3_600_000_000}
    limited: dict[str, Any] = {
        "priority": 7,
        "key": "api",
        "limit": 1,
        "timeout": 30_000_000,
        "reuse": True,
        "jitter": 0.25,
    }
    job = JobDriver()
    job.now = EPOCH
    roots = submission(
        task("Now"), *[task("Limited", data=b"an-object", **limited)] * 3, task("Late", **late)
    )
    roots = msgspec.structs.replace(roots, references=[1, 4])
    job.do(c.SubmitJob(JOB, "a job", roots, "user@host", e.JobOptions(force=True)))
    job.claim(9, slots={"api": 1})
    job.compute(1)
    job.claim(9, slots={"api": 1})
    return job


def reused() -> JobDriver:
    """An earlier success that was taken, results inside the event and outside, and news of a running task."""
    job = _job(task("A"), task("B"), task("C"), task("D"))
    job.claim(4)
    large = e.Value(object=f"{JOB}/{'0' * 64}", size=123_456)
    job.do(c.ReportReused(JOB, 0, 1, EPOCH, EPOCH + 1, "job-0", 7, e.Value(b"[1,2]")))
    job.do(c.ReportReused(JOB, 1, 1, EPOCH, EPOCH + 1, "job-0", 8))
    job.do(c.ReportComputed(JOB, 2, 1, EPOCH, EPOCH + 9, result=large, reuse_key=bytes(range(32))))
    job.do(c.ReportProgress(JOB, 3, 1, EPOCH, [e.Progress("tiles", 300, 7)], "halfway"))
    return job


def overdue() -> JobDriver:
    """A deadline that passes while a task runs, another one set by a retry, which passes too."""
    job = JobDriver()
    job.now = EPOCH
    job.submit(task("A"), task("B"), deadline=EPOCH + 1_000)
    job.claim()
    job.now = EPOCH + 1_000
    job.do(c.ExpireJob(JOB))
    job.stop(0)
    job.retry("again", deadline=EPOCH + 5_000)
    job.claim()
    job.now = EPOCH + 5_000
    job.do(c.ExpireJob(JOB))
    return job


def deleted() -> JobDriver:
    """Deleted by force while a task runs."""
    job = _job(task("A"), task("B"))
    job.claim()
    job.do(c.DeleteJob(JOB, "away", "me@hier", "nobody needs it", True))
    return job


def erased() -> JobDriver:
    """Sealed, failed in part, deleted, and its key destroyed."""
    job = JobDriver()
    job.now = EPOCH
    job.submit(task("A", data=b"\x01sealed", retries=1), task("B", data=b"\x01sealed"), sealed="nats/job-1")
    job.claim(2)
    label = e.Progress("", 2, 1, b"\x01a label")
    job.do(
        c.ReportComputed(
            JOB, 1, 1, EPOCH + 1, EPOCH + 2, None, "sealed:AQ==", [label], e.Value(b"\x01a result")
        )
    )
    job.do(c.ReportFailed(JOB, 0, 1, EPOCH + 1, EPOCH + 3, e.Error("KeyError", "", "", b"\x01texts")))
    job.do(c.DeleteJob(JOB, "away", "me@hier", "it was asked for", True))
    job.do(c.EraseJob(JOB))
    return job


def forked() -> JobDriver:
    """Forked in three parts: what was computed, reused, failed where it was optional, and skipped; and what is left."""
    job = JobDriver()
    job.now = EPOCH
    plan, runners = bytes(range(32)), ["runner-a", "runner-ä"]
    subtasks = submission(
        task("Load"), task("Maybe", optional=True), task("After", after=[0, 1]), task("Again")
    )
    below = submission(task("Bad"), task("Worse", after=[0]))
    times = EPOCH - 900, EPOCH - 800, EPOCH - 700
    root = e.TakenOver(0, 0, 3, 1, 1, *times, "schön", [e.Progress("rows", 9, 7)], e.Value(b'{"n":20}'))
    load = e.TakenOver(
        1, 1, 3, 2, 0, *times, result=e.Value(object="job-1/aa", size=99), source_job="job-0", source_task=7
    )
    maybe = e.TakenOver(2, 2, 3, 1, 0, *times)
    bad = e.TakenOver(5, 6, 6, 3, 1, *times, error=e.Error("E", "it broke", "Traceback …"))
    worse = e.TakenOver(6, 7, 5, cause=5)
    job.do(c.TakeOver(JOB, e.TasksTakenOver(plan, 0, [root], [e.SubtasksOf(0, subtasks)], runners)))
    job.do(c.TakeOver(JOB, e.TasksTakenOver(plan, 1, [load, maybe], [e.SubtasksOf(2, below)], runners)))
    last = e.TasksTakenOver(plan, 2, [bad, worse], [], runners)
    origin = e.Origin("job-of-old", 4711, 12, bytes(32))
    options = e.JobOptions({"team": "maps"}, origin=origin)
    job.do(c.ForkJob(JOB, "a fork", submission(task("Root")), "me@hier", options, last))
    job.drain()
    return job


SCENARIOS: dict[str, Callable[[], JobDriver]] = {
    "fan-out": fan_out,
    "failed-and-retried": failed_and_retried,
    "left-failed": left_failed,
    "optional": optional,
    "staged": staged,
    "staged-and-running": staged_and_running,
    "canceled": canceled,
    "canceled-and-retried": canceled_and_retried,
    "lost-runners": lost_runners,
    "lost-alone": lost_alone,
    "unknown-tag": fan_out,
    "counted": counted,
    "parts-canceled": parts_canceled,
    "left-stopping": left_stopping,
    "continued": continued,
    "scheduled": scheduled,
    "reused": reused,
    "overdue": overdue,
    "deleted": deleted,
    "forked": forked,
    "erased": erased,
}


def _job(*roots: NewTask) -> JobDriver:
    job = JobDriver()
    job.now = EPOCH
    job.submit(*roots)
    return job


def commits(job: JobDriver) -> list[Commit]:
    """Return what `job` has been through as commits, each naming the one before it."""
    found: list[Commit] = []
    previous, state = NO_PREVIOUS, Job(JOB)
    for number, (at, events) in enumerate(job.history, 1):
        fold(state, [(at, events)])
        commit = Commit(number.to_bytes(16), previous, at, "engine-1", state.settled, list(events))
        previous = digest(encode_commit(commit))
        found.append(commit)
    return found


def from_the_future(known: list[Commit]) -> list[Commit]:
    """Return the same history as a later version might have written it: with events that are not known today."""
    found: list[Commit] = []
    for commit in known:
        unknown = e.UnknownEvent(250, [len(found), "fields", {"of": [b"any", None, 1.5, True]}])
        events = [unknown, *commit.events] if len(found) % 2 else [*commit.events, unknown]
        previous = digest(encode_commit(found[-1])) if found else NO_PREVIOUS
        found.append(msgspec.structs.replace(commit, events=events, previous=previous))
    return found


def record(folder: Path) -> list[str]:
    """Write the histories that are missing in `folder`. Return their names."""
    folder.mkdir(exist_ok=True)
    added = []
    for name, scenario in SCENARIOS.items():
        path = folder / f"{name}.hex"
        if path.exists():
            continue
        job = scenario()
        history = commits(job)
        if name == "unknown-tag":
            history = from_the_future(history)
        with path.open("x", encoding="ascii") as file:
            file.writelines(encode_commit(commit).hex() + "\n" for commit in history)
        state = json.dumps(describe(job.job), indent=1, ensure_ascii=False)
        path.with_suffix(".json").write_text(state + "\n", encoding="utf-8")
        added.append(name)
    return added


def version() -> str:
    """Return the version of the product that is recorded."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def seals(folder: Path, name: str) -> dict[str, str]:
    """Return the SHA-256 of both files of a history, by suffix."""
    return {
        suffix: hashlib.sha256((folder / f"{name}.{suffix}").read_bytes()).hexdigest()
        for suffix in ("hex", "json")
    }


def release(folder: Path) -> None:
    """Note the histories that no release has under the version of today."""
    register = folder / "releases.json"
    releases = json.loads(register.read_text(encoding="ascii")) if register.exists() else {}
    known = {name for names in releases.values() for name in names}
    today = releases.setdefault(version(), {})
    for path in sorted(folder.glob("*.hex")):
        if path.stem not in known:
            today[path.stem] = seals(folder, path.stem)
    register.write_text(json.dumps(releases, indent=1, sort_keys=True) + "\n", encoding="ascii")


if __name__ == "__main__":
    print("added:", ", ".join(record(HISTORIES)) or "none, all are recorded")
    release(HISTORIES)

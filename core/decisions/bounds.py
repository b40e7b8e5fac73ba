"""How much one command may ask for: what is refused however well-formed it is. The numbers: `core.limits`.

Looked at where a command is decided, never where an event is applied: what the log has is read whatever it says. Kinds of
task that the job knows already were looked at when they came.
"""

from __future__ import annotations

from .. import commands as c
from .. import events as e
from .. import limits, ranges
from ..clusters import MAX_SLUG
from ..job import Job
from ..options import LONGEST, MAX_KEY, MOST_PRIORITY, MOST_RETRIES
from ..policy import Policy
from ..submission import Submission, TaskSpec
from ..task import MAX_NAME
from .refusal import Refusal

_LONGEST = LONGEST * 1_000_000  # µs
_NUMBERS = range(10**9)  # of versions, as texts have them


def check_bounds(job: Job, tasks: Submission) -> None:
    """Refuse tasks of which there are too many, or that ask for what nobody can mean."""
    for spec in tasks.specs:
        if spec not in job.spec_index:
            _check_spec(spec)
    size = len(job.graph) + tasks.start + len(tasks)
    if size > limits.MOST_TASKS:
        raise _too_much(f"job {job.id} would have {size:,} tasks", limits.MOST_TASKS)
    if tasks.dependency_sets:
        members = sum(map(ranges.count, tasks.dependency_sets))
        if members > limits.MOST_DEPENDENCIES:
            raise _too_much(
                f"the dependency sets of a submission have {members:,} members in all",
                limits.MOST_DEPENDENCIES,
                "let tasks that wait for the same ones wait for one task after those",
            )


def check_options(command: c.SubmitJob | c.ForkJob) -> None:
    """Refuse what a job is called and labelled if it is longer than any client lets it be."""
    options = command.options or e.JobOptions()
    _check_text("the name of a job", command.name, limits.MAX_JOB_NAME)
    _check_text("who submits it", command.by, limits.MAX_BY)
    _check_text("its idempotency key", options.key, limits.MAX_IDEMPOTENCY_KEY)
    _check_text("its traceparent", options.trace, limits.MAX_TRACE)
    _check_text("the name of its key", options.sealed, limits.MAX_KEY_NAME)
    check_deadline(options.deadline)
    if len(options.labels) > limits.MAX_LABELS:
        raise _too_much(f"a job with {len(options.labels):,} labels", limits.MAX_LABELS)
    for name, text in options.labels.items():
        _check_text("the name of a label", name, limits.MAX_LABEL_KEY)
        _check_text("a label", text, limits.MAX_LABEL_VALUE)


def check_error(error: e.Error) -> None:
    size = len(error.reason) + len(error.message) + len(error.traceback) + len(error.sealed)
    if size > limits.MAX_ERROR:
        raise _too_much(f"an error of {size:,} characters", limits.MAX_ERROR)


def check_deadline(deadline: int) -> None:
    _check_time(
        "a deadline", abs(deadline), limits.LAST_TIME
    )  # one that has passed may be as old as it likes


def _check_spec(spec: TaskSpec) -> None:
    _check_text("the name of a task", spec.name, MAX_NAME)
    _check_text("the slug of a cluster", spec.cluster, MAX_SLUG)
    if spec.major not in _NUMBERS or spec.minor not in _NUMBERS or spec.max_retries > MOST_RETRIES:
        raise Refusal("invalid", f"{spec!r:.300} has a version, or a number of retries, that is none")
    if spec.policy is not None:
        _check_policy(spec.policy)


def _check_policy(policy: Policy) -> None:
    _check_text("a concurrency key", policy.key, MAX_KEY)
    _check_time("a start", policy.not_before, limits.LAST_TIME)
    for time in (policy.timeout, policy.delay, policy.cap):
        _check_time("a length of time", time, _LONGEST)
    if not -MOST_PRIORITY <= policy.priority <= MOST_PRIORITY or policy.limit > MOST_RETRIES:
        raise Refusal("invalid", f"{policy!r:.300} has a priority or a limit beyond {MOST_PRIORITY:,}")
    words = (*(policy.retry_on or ()), *policy.give_up)
    if len(words) > limits.MOST_WORDS:
        raise _too_much(f"a retry policy that names {len(words):,} exceptions", limits.MOST_WORDS)
    for word in words:
        _check_text("the name of an exception", word, limits.MAX_WORD)


def _check_text(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise Refusal("invalid", f"{what} has {len(text):,} characters, at most {limit:,} are possible")


def _check_time(what: str, time: int, limit: int) -> None:
    if not 0 <= time <= limit:
        raise Refusal("invalid", f"{what} of {time:,} µs is none: times are from 0 to {limit:,}")


def _too_much(what: str, limit: int, remedy: str = "divide the work among several jobs") -> Refusal:
    return Refusal("invalid", f"{what}, at most {limit:,} are possible: {remedy}")

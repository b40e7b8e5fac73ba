"""Options that select jobs, and asking before something is done to many."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from cyclopts import Group, Parameter, Token

from jobledger.core.errors import ArgumentError

from . import exits, output
from .output import Output
from .times import Past

if TYPE_CHECKING:
    from jobledger.projections.jobs import JobRow

    from ..client.intervene.bulk import Outcomes

_GROUP = Group("Which jobs", sort_key=50)

JobStateName: TypeAlias = Literal["submitted", "running", "started", "completed", "failed", "canceled"]
TaskStateName: TypeAlias = Literal[
    "queued",
    "running",
    "computed",
    "failed",
    "skipped",
    "failed-optional",
    "canceled",
    "abandoned",
]

JOB_STATES: tuple[str, ...] = get_args(JobStateName)
TASK_STATES: tuple[str, ...] = get_args(TaskStateName)


def _name_of_state(kind: Any, tokens: Sequence[Token]) -> Any:
    """Take a state as it is printed, too: in capitals. What is none is refused as any other choice is."""
    from cyclopts import convert

    lowered = [token.evolve(value=token.value.lower().replace("_", "-")) for token in tokens]
    return convert(kind, lowered)


def _filter(name: str, text: str, **more: Any) -> Parameter:
    return Parameter(name=name, group=_GROUP, help=text, **more)


TaskStates: TypeAlias = Annotated[
    list[TaskStateName] | None, Parameter(converter=_name_of_state, metavar="STATE")
]


@Parameter(name="*")
@dataclass(frozen=True)
class Selected:
    """Which jobs are meant: all conditions hold, and of one that is repeated any."""

    state: Annotated[
        list[JobStateName] | None,
        _filter(
            "--state", "Where the job stands; may be repeated.", converter=_name_of_state, metavar="STATE"
        ),
    ] = None
    task_state: Annotated[
        list[TaskStateName] | None,
        _filter(
            "--task-state",
            "Where one of its tasks stands; may be repeated.",
            converter=_name_of_state,
            metavar="STATE",
        ),
    ] = None
    name: Annotated[str | None, _filter("--name", "A part of its name, in upper or lower case.")] = None
    task_name: Annotated[
        list[str] | None, _filter("--task-name", "Name of the class of one of its tasks; may be repeated.")
    ] = None
    cluster: Annotated[
        list[str] | None, _filter("--cluster", "Cluster of one of its tasks; may be repeated.")
    ] = None
    label: Annotated[
        list[str] | None, _filter("--label", "KEY=VALUE; may be repeated.", metavar="KEY=VALUE")
    ] = None
    since: Annotated[Past | None, _filter("--since", "Submitted at that time, or so long ago, or later.")] = (
        None
    )
    until: Annotated[Past | None, _filter("--until", "Submitted before that time, or longer ago.")] = None

    @property
    def criteria(self) -> dict[str, Any]:
        """As the client takes them; {} if none is given. Errors: ArgumentError naming the option."""
        from jobledger.core.lifecycle import JobState, TaskState

        if self.since and self.until and self.since > self.until:
            raise ArgumentError(
                f"--since {self.since:%Y-%m-%dT%H:%M:%SZ} is after --until {self.until:%Y-%m-%dT%H:%M:%SZ}: no job is of "
                "such a time. With lengths of time, --since takes the longer one"
            )
        given = {
            "job_states": [JobState[_member(one)] for one in self.state or ()],
            "task_states": [TaskState[_member(one)] for one in self.task_state or ()],
            "name": self.name,
            "tasks": self.task_name,
            "clusters": self.cluster,
            "labels": _several(self.label),
            "temporal_extent": (self.since, self.until) if self.since or self.until else None,
        }
        return {condition: value for condition, value in given.items() if value}


NOTHING_SELECTED = Selected()

_BULK = Group("Many at once", sort_key=60)
All: TypeAlias = Annotated[
    bool, Parameter(name="--all", group=_BULK, help="All jobs there are, where no condition is given.")
]
Yes: TypeAlias = Annotated[bool, Parameter(name=["--yes", "-y"], group=_BULK, help="Do it without asking.")]
DryRun: TypeAlias = Annotated[
    bool, Parameter(name="--dry-run", group=_BULK, help="Only show which jobs they are.")
]


def labels_from(given: list[str] | None) -> dict[str, str] | None:
    """Return labels written as KEY=VALUE, each key once. Errors: ArgumentError."""
    pairs = [_pair(one) for one in given or ()]
    labels = dict(pairs)
    if len(labels) < len(pairs):
        twice = next(key for key in labels if [one for one, _ in pairs].count(key) > 1)
        raise ArgumentError(f"--label {twice}=… is given twice: a label has one value")
    return labels or None


def states_from(kind: Any, names: Sequence[str] | None) -> list[Any]:
    """Return the states of these names, as an option gave them."""
    return [kind[_member(one)] for one in names or ()]


def each(
    do: Callable[..., Outcomes],
    selected: Selected,
    *,
    everything: bool,
    yes: bool,
    dry_run: bool,
    form: Output,
    **options: Any,
) -> int:
    """Do something to all jobs that are selected, once it is said how many they are, and agreed to.

    Shape:  `do` is such as `jobs.cancel_all`, `options` what it takes beside the selection.
    Errors: ArgumentError if nothing is selected, or everything and something.
    """
    criteria = selected.criteria
    if not criteria and not everything:
        raise ArgumentError(
            "no job is named, and none selected: name one, select some by --state, --name, --label and the like, or "
            "all of them by --all"
        )
    if criteria and everything:
        raise ArgumentError("--all goes with no other condition: leave it out, or the conditions")
    found = do(**criteria, everything=everything, dry_run=True, **options)
    if dry_run:
        output.rows(
            [_row(outcome.job) for outcome in found], form, columns=("id", "name", "state", "submitted_at")
        )
        output.say(str(found))
        return 0
    if found.count and not yes and not _agreed(str(found)):
        output.say("jobledger: nothing was done")
        return exits.FAILED
    done = do(**criteria, everything=everything, **options) if found.count else found
    output.rows(
        [
            _row(one.job) | {"affected": one.affected, "error": str(one.error) if one.error else None}
            for one in done
        ],
        form,
        columns=("id", "name", "affected", "error"),
    )
    output.say(str(done))
    return exits.FAILED if done.failed else 0


def _agreed(what: str) -> bool:
    """Ask. Errors: ArgumentError where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise ArgumentError(f"{what}, and nothing was done: --yes does it, --dry-run shows which they are")
    sys.stderr.write(f"{what}. Do it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _row(job: JobRow) -> dict[str, Any]:
    return {"id": job.id, "name": job.name, "state": job.state, "submitted_at": job.submitted_at}


def _member(name: str) -> str:
    return name.upper().replace("-", "_")


def _several(given: list[str] | None) -> dict[str, list[str]]:
    labels: dict[str, list[str]] = {}
    for key, value in map(_pair, given or ()):
        labels.setdefault(key, []).append(value)
    return labels


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ArgumentError(f"--label {text!r:.100} is no label: write KEY=VALUE, such as --label team=blue")
    return key, value

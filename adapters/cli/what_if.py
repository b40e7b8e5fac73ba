"""`jobledger what-if`: recorded histories with the code that is installed now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from jobledger.core.errors import ArgumentError, NotFoundError

from . import exits
from . import output as out
from .connection import HERE, Connection
from .output import Output
from .references import JobReference, id_of
from .selection import NOTHING_SELECTED, All, Selected

if TYPE_CHECKING:
    from jobledger.core.task import Task
    from jobledger.projections.whatif import JobStates, WhatIf

_FORMAT = 1  # of the file of states; another number is refused rather than guessed at
_COLUMNS = ("job", "name", "kind", "position", "text")

_Classes = list["type[Task]"] | None
_Saved = dict[str, "JobStates"]


def what_if(
    *jobs: JobReference,
    selected: Selected = NOTHING_SELECTED,
    everything: All = False,
    bundle: Annotated[
        Path | None,
        Parameter(help="The histories in this file, as `audit export` writes it."),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        Parameter(
            help="Could the tasks run again? module:Class, or a module of task classes. May be repeated.",
            metavar="MODULE:CLASS",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        Parameter(help="Write to this file where each job stands, for --against."),
    ] = None,
    against: Annotated[
        Path | None,
        Parameter(
            help="Compare with what was saved, by another version of this program; the jobs in it, if none are named."
        ),
    ] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Fold recorded histories with the code installed now, and report every state that would differ.

    The histories are those of the jobs that are named or selected, or those in a bundle. The exit code is 0 if everything
    is as it was recorded, and 1 if anything is not.
    """
    from .loading import classes_from

    given = {"JOB": jobs, "conditions": selected.criteria, "--all": everything, "--bundle": bundle}
    chosen = [what for what, value in given.items() if value]
    if len(chosen) > 1:
        raise ArgumentError(f"{', '.join(chosen)}: each says which histories are meant. Give one of them")
    classes: _Classes = [cls for path in tasks for cls in classes_from(path)] if tasks else None
    saved = _load(against) if against is not None else {}
    if bundle is not None:
        outcomes = _bundled(bundle, classes, saved)
    elif chosen or saved:
        outcomes = _logged(server, list(jobs), selected if chosen and not jobs else None, classes, saved)
    else:
        raise ArgumentError(
            "no job is named, and none selected: name some, select some by --state, --name, --label and the like, all of "
            "them by --all, those in a file by --bundle, or those that were saved by --against"
        )
    return _report(outcomes, output, save)


def _report(outcomes: Iterator[WhatIf], output: Output, save: Path | None) -> int:
    from jobledger.projections.wording import counted

    states: _Saved = {}
    count = divergences = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count, divergences
        for outcome in outcomes:
            count += 1
            divergences += len(outcome.divergences)
            if outcome.states is not None:
                states[outcome.job] = outcome.states
            for one in outcome.divergences:
                yield {
                    "job": one.job,
                    "name": one.name,
                    "kind": one.kind.value,
                    "version": one.version,
                    "position": one.position,
                    "task": one.task,
                    "count": one.count,
                    "text": one.text,
                }

    if output == "table":
        found = list(rows())
        if found:
            out.rows(found, output, columns=_COLUMNS)
    else:
        out.rows(rows(), output)
    if save is not None:
        _save(save, states)
    outcome = counted(divergences, "divergence") if divergences else "all as recorded"
    out.say(f"jobledger: {counted(count, 'job')}, {outcome}")
    return exits.FAILED if divergences else 0


# -- where histories come from ------------------------------------------------------------------------------------


def _logged(
    server: Connection, references: list[str], selected: Selected | None, classes: _Classes, saved: _Saved
) -> Iterator[WhatIf]:
    """Yield what becomes of the jobs in the log: those named, those selected, or those that were saved."""
    with server.client() as client:
        if references:
            ids = iter([id_of(client, reference) for reference in references])
        elif selected is not None:
            ids = iter([row.id for row in client.jobs().rows(**selected.criteria)])
        else:
            ids = iter(saved)
        for job_id in ids:
            try:
                yield client.jobs().what_if(job_id, classes, saved.get(job_id))
            except NotFoundError:
                if job_id not in saved:
                    raise
                yield _gone(job_id)


def _gone(job_id: str) -> WhatIf:
    from jobledger.projections.whatif import Divergence, DivergenceKind, WhatIf

    divergence = Divergence(DivergenceKind.STATE, job_id, "", 0, 0, "it was saved, and is not in this log")
    return WhatIf(job_id, "", 0, [divergence], None)


def _bundled(path: Path, classes: _Classes, saved: _Saved) -> Iterator[WhatIf]:
    """Yield what becomes of the jobs in a bundle."""
    from jobledger.projections.job_view import JobView
    from jobledger.projections.whatif import what_if as asked

    from ..audit.bundle import read_bundle
    from ..audit.unusable import UnusableInput

    histories: dict[str, list[Any]] = {}
    for found in read_bundle(path):
        if found.commit is None:
            raise UnusableInput(f"{path}: the commit at position {found.position}: {found.problem}")
        histories.setdefault(found.job_id, []).append(found)
    for job_id, commits in histories.items():
        versions = [found.version for found in commits]
        if versions != list(range(1, len(versions) + 1)):
            out.say(
                f"jobledger: job {job_id} is left out: the bundle does not have all its commits from the first on"
            )
            continue
        yield asked(JobView(job_id), commits, classes=classes, saved=saved.get(job_id))


# -- the file of states -------------------------------------------------------------------------------------------


def _save(path: Path, states: _Saved) -> None:
    import msgspec

    from ..version import installed_version

    data = msgspec.json.encode(
        {"format": _FORMAT, "jobledger": installed_version(), "jobs": states}, order="sorted"
    )
    try:
        path.write_bytes(data + b"\n")
    except OSError as error:
        raise ArgumentError(
            f"--save {path}: cannot be written ({error.strerror}): name another file"
        ) from error


def _load(path: Path) -> _Saved:
    import msgspec

    from jobledger.core.undecodable import UNDECODABLE
    from jobledger.projections.whatif import JobStates

    try:
        data = msgspec.json.decode(path.read_bytes())
        known = data["format"]
        if known != _FORMAT:
            raise ArgumentError(
                f"--against {path}: its format is {known!r:.20}, only {_FORMAT} is known here: save the states anew"
            )
        return msgspec.convert(data["jobs"], dict[str, JobStates])
    except OSError as error:
        raise ArgumentError(f"--against {path}: cannot be read ({error.strerror})") from error
    except (*UNDECODABLE, TypeError, KeyError) as error:
        raise ArgumentError(f"--against {path}: is no file that --save wrote: {error!r:.200}") from None

"""`jobledger audit`: export the log, verify it, and write down how it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from jobledger.core.errors import ArgumentError

from . import exits
from . import output as out
from .connection import HERE, Connection
from .output import Output
from .references import JobReference, id_of
from .times import At

if TYPE_CHECKING:
    from jobledger.projections.audit import AuditReport, Finding

app = App(
    name="audit",
    help="Export the log as a file that proves itself, verify it, and detect a history that was rewritten.",
)

_To = Annotated[
    Path,
    Parameter(name=["-o", "--file"], help="The file to write: as a whole, or not at all.", metavar="FILE"),
]
_Key = Annotated[
    Path | None, Parameter(help="Sign with this private Ed25519 key, as PEM or of OpenSSH.", metavar="FILE")
]
_Format = Annotated[
    out.Format, Parameter(help="What is printed of it: for people, or for programs.", show_default=True)
]


@app.command
def export(
    *,
    to: _To,
    job: Annotated[list[JobReference] | None, Parameter(help="Only this job; may be repeated.")] = None,
    from_: Annotated[
        At | None, Parameter(name="--from", help="The first position, or the time from which on.")
    ] = None,
    until: Annotated[
        At | None, Parameter(name="--to", help="The last position, or the time up to which.")
    ] = None,
    key: _Key = None,
    format: _Format = "table",  # noqa: A002
    server: Connection = HERE,
) -> int:
    """Write commits to one file that can be verified anywhere, without a server.

    Two exports of the same range are the same, byte for byte, on any machine. What is in the file: docs/audit.md.
    """
    with server.client() as client:
        jobs = [id_of(client, one) for one in job or ()]
        exported = client.audit().export(to, jobs=jobs or None, start=from_, end=until, key=key)
    out.facts(exported._asdict(), format)
    for text in exported.warnings:
        out.say(f"jobledger: {text}")
    if exported.partial_jobs:
        out.say(
            f"jobledger: {exported.partial_jobs:,} of the jobs began before the range: their chains can be verified from "
            "their first commit in it on, what their events led to cannot"
        )
    if exported.unreadable:
        out.say(
            f"jobledger: {exported.unreadable:,} commits cannot be read: `jobledger audit verify` says which"
        )
    return 0


@app.command
def verify(
    bundle: Annotated[Path | None, Parameter(help="A bundle; default: the log of the server.")] = None,
    /,
    *,
    store: Annotated[
        Path | None, Parameter(help="Verify the files of a server that is stopped.", metavar="FOLDER")
    ] = None,
    public_key: Annotated[
        Path | None, Parameter(help="The key that has to have signed it.", metavar="FILE")
    ] = None,
    checkpoint: Annotated[
        Path | None, Parameter(help="A checkpoint that was taken earlier.", metavar="FILE")
    ] = None,
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Say which commit was edited, dropped, inserted, reordered, cut off or rewritten, the first one first.

    Exit code 0 if nothing is wrong, 8 if something is, 65 if what is to be verified cannot be used at all.
    """
    from ..audit.unusable import UnusableInput

    try:
        report = _report(bundle, store, public_key, checkpoint, server)
    except UnusableInput as error:
        out.say(f"jobledger: {error}")
        return exits.UNUSABLE
    if output == "table":
        _tell(report)
    elif output == "json":
        out.value(_facts(report) | {"findings": list(map(_finding, report.findings))})
    else:
        out.rows(map(_finding, report.findings), output)
    return 0 if report.ok else exits.UNSOUND


@app.command
def checkpoint(*, to: _To, key: _Key = None, format: _Format = "table", server: Connection = HERE) -> int:  # noqa: A002
    """Write down how the log stands, in a small file with which `verify` detects later that it was rewritten.

    The log is verified first. Keep the file where nobody who can change the log can change it.
    """
    with server.client() as client:
        out.facts(client.audit().checkpoint(to, key=key)._asdict(), format)
    return 0


@app.command
def keygen(
    file: Annotated[Path, Parameter(help="For the private key; the public one gets .pub behind its name.")], /
) -> int:
    """Make an Ed25519 key to sign with, and print its fingerprint."""
    from ..audit.keys import generate_key

    out.line(generate_key(file))
    out.say(f"jobledger: {file} signs and is to be kept secret; {file}.pub is for whoever verifies")
    return 0


def _report(
    bundle: Path | None,
    store: Path | None,
    public_key: Path | None,
    checkpoint: Path | None,
    server: Connection,
) -> AuditReport:
    from ..audit.offline import verify, verify_store

    if bundle is not None and store is not None:
        raise ArgumentError(f"{bundle} and --store {store} exclude each other: verify one after the other")
    if bundle is not None:
        return verify(bundle, public_key=public_key, checkpoint=checkpoint)
    if store is not None:
        namespace = server.chosen_namespace
        return verify_store(store, namespace=namespace, public_key=public_key, checkpoint=checkpoint)
    if public_key is not None and checkpoint is None:
        raise ArgumentError(
            f"--public-key {public_key}: the log of a server is not signed. Name a bundle, or a --checkpoint"
        )
    with server.client() as client:
        return client.audit().verify(checkpoint=checkpoint, public_key=public_key)


def _tell(report: AuditReport) -> None:
    for finding in report.findings:
        out.line(str(finding))
    if report.count > len(report.findings):
        out.say(f"jobledger: {report.count - len(report.findings):,} more were found")
    looked = f"{report.commits:,} commits of {report.jobs:,} jobs with {report.events:,} events"
    verdict = (
        f"{report.count:,} finding{'' if report.count == 1 else 's'}" if report.count else "nothing is wrong"
    )
    out.line(f"{looked}: {verdict}")
    for text in _notes(report):
        out.say(f"jobledger: {text}")


def _notes(report: AuditReport) -> list[str]:
    from jobledger.projections.audit import FindingKind

    notes = list(report.notes)
    if report.key and not any(finding.kind is FindingKind.SIGNATURE for finding in report.findings):
        checked = (
            "which is the one that was given" if report.trusted else "and no public key was given to compare"
        )
        notes.append(f"it is signed by {report.key}, {checked}")
    if report.vouched:
        notes.append(f"the checkpoint vouches for {report.vouched:,} jobs as they are here")
    if report.partial_jobs:
        notes.append(
            f"{report.partial_jobs:,} of the jobs began before the first commit: their chains hold from there on; whether "
            "the lifecycle allows their events was not looked at"
        )
    for tag, count in sorted(report.unknown_events.items()):
        notes.append(f"{count:,} events have tag {tag}, which a later version of jobledger knows")
    return notes


def _facts(report: AuditReport) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "count": report.count,
        "commits": report.commits,
        "events": report.events,
        "jobs": report.jobs,
        "start": report.start,
        "last": report.last,
        "partial_jobs": report.partial_jobs,
        "unknown_events": dict(report.unknown_events),
        "key": report.key,
        "trusted": report.trusted,
        "vouched": report.vouched,
        "notes": report.notes,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return finding._asdict()

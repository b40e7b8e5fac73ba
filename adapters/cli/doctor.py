"""`jobledger doctor`: whether what is promised can be relied on, found out by asking the servers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Path as File

from . import exits
from . import output as out
from .connection import HERE, Connection
from .output import Output

if TYPE_CHECKING:
    from ..doctor.findings import HealthFinding

doctor = App(
    name="doctor",
    help="Examine the servers of a namespace: whether what is acknowledged is safe, and all that keeps it so.\n\n"
    "That is: fsync, settings and replicas of streams, file system, version, engines, views, space, clocks. Exit code 9 if a "
    "promise does not hold, or cannot be shown to. The embedded server is examined through its own system account; elsewhere "
    "how servers sync is told to a user of theirs, or at their monitoring addresses.",
)

_WIDTH = len("unknown")


def _option(text: str, env: str, **more: Any) -> Parameter:
    return Parameter(help=f"{text} [env: {env}]", **more)


@doctor.default
def examine(
    *,
    system_user: Annotated[
        str | None, _option("User of the servers' system account.", "JOBLEDGER_SYSTEM_USER")
    ] = None,
    system_password: Annotated[str | None, _option("Its password.", "JOBLEDGER_SYSTEM_PASSWORD")] = None,
    system_creds: Annotated[
        Path | None,
        _option(
            "A .creds file of such a user.",
            "JOBLEDGER_SYSTEM_CREDS",
            validator=File(exists=True, dir_okay=False),
        ),
    ] = None,
    monitor: Annotated[
        tuple[str, ...],
        Parameter(help="Monitoring address of a server, such as http://host:8222; may be repeated."),
    ] = (),
    output: Output = "table",
    server: Connection = HERE,
) -> int:
    """Examine the servers of a namespace."""
    with server.client() as client:
        report = client.doctor(
            system_user=system_user or os.environ.get("JOBLEDGER_SYSTEM_USER"),
            system_password=system_password or os.environ.get("JOBLEDGER_SYSTEM_PASSWORD"),
            system_credentials=system_creds or os.environ.get("JOBLEDGER_SYSTEM_CREDS"),
            monitoring=monitor,
        )
    if output == "table":
        for finding in report.findings:
            out.text(_told(finding))
    else:
        out.rows(map(_facts, report.findings), output)
    if report.ok:
        return 0
    out.say("jobledger: what is promised does not hold, or cannot be shown to: see what is failed or unknown")
    return exits.UNRELIABLE


def _facts(finding: HealthFinding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "state": finding.state,
        "found": finding.found,
        "why": finding.why,
        "remedy": finding.remedy,
        "promise": finding.promise,
    }


def _told(finding: HealthFinding) -> str:
    """Return a line for what is well, and three for what is not."""
    from ..doctor.findings import Health
    from .tables import styled_state

    text = f"{styled_state(finding.state.value, _WIDTH)}  {finding.check}: {out.printable(finding.found)}"
    if finding.state is Health.OK:
        return text
    indent = "\n" + " " * (_WIDTH + 2)
    more = {"why": finding.why, "do": finding.remedy}
    return text + "".join(f"{indent}{name}: {out.printable(told)}" for name, told in more.items() if told)

"""The table at the end of a run."""

from __future__ import annotations

from chaos.run import Outcome


def table(outcome: Outcome) -> str:
    """Return what happened, a line for each figure, and what is wrong."""
    figures, options = outcome.figures, outcome.options
    lines = [("faults", f"{outcome.faults.total():,}")]
    lines += [(f"  {fault} {what}", f"{count:,}") for (fault, what), count in sorted(outcome.faults.items())]
    lines += [
        ("jobs", f"{figures.jobs:,}"),
        ("tasks", f"{figures.tasks:,}"),
        ("attempts", f"{figures.attempts:,}"),
        ("  expired with their runner", f"{figures.expiries:,}"),
        ("  given back", f"{figures.releases:,}"),
        ("commits", f"{figures.commits:,}"),
        ("longest time without a commit", f"{figures.standstill:.1f} s"),
        ("submissions refused: log full", f"{outcome.refused:,}"),
        ("slowest answer to a client", f"{outcome.slowest_answer:.1f} s"),
        ("all settled after the last fault", f"{outcome.settled_after:.1f} s"),
    ]
    if options.in_time:
        lines.append(("  which may take", f"{outcome.limit:g} s ({options.lease:g} s is a lease)"))
    width = max(len(name) for name, _ in lines)
    text = [f"{name:<{width}}  {value:>10}" for name, value in lines]
    return "\n".join([*text, "", *(outcome.findings or ["nothing lost, nothing computed twice"])])

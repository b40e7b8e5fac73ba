"""Measured figures: how they are printed, and the JSON they are kept in.

    {"about": {...}, "figures": [{"system", "workload", "what", "unit", "median", "min", "max", "runs", "values", ...}]}

The programs that measure other systems on the same workloads write the same.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PRODUCT = "jobledger"


@dataclass(frozen=True)
class Target:
    """What a figure is to reach: at least, or at most, so much."""

    limit: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,.10g}"


def at_least(limit: float) -> Target:
    return Target(limit)


def at_most(limit: float) -> Target:
    return Target(limit, at_least=False)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that was measured in one or several runs.

    Units:  `cpu` is microseconds of processor time by kind of process, for each `per` (a task, a job, …).
    """

    workload: str  #: such as "W1"; figures of several systems with the same one can be compared
    what: str  #: names it among those of its workload
    unit: str
    values: list[float]
    system: str = PRODUCT
    per: str = ""
    cpu: Mapping[str, float] = field(default_factory=dict)
    messages: tuple[float, float] | None = None  #: that the NATS server took in and gave out, for each `per`
    target: Target | None = None
    curve: str = ""  #: of a figure that is one point of a curve: what the curve is of
    x: float | None = None  #: and how much work there was
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        return None if self.target is None else self.target.met(self.median)

    @property
    def spread(self) -> str:
        return f"{number(min(self.values))} to {number(max(self.values))}"

    def __str__(self) -> str:
        """One line, and others for the processor time, the messages and a note."""
        line = (
            f"{self.workload:<6}{self.what:<76}{number(self.median):>11} {self.unit:<9}{self.spread:>22}"
            f"{len(self.values):>5}"
        )
        if self.target is not None:
            line += f"   {self.target!s:<12}{'met' if self.met else 'NOT MET'}"
        if self.cpu:
            total = sum(self.cpu.values())
            parts = ", ".join(f"{purpose} {number(one)}" for purpose, one in self.cpu.items())
            line += f"\n        µs of processor time a {self.per}: {parts}; together {number(total)}"
        if self.messages is not None:
            taken, given = map(number, self.messages)
            line += f"\n        messages a {self.per}: the server took in {taken}, gave out {given}"
        return line + (f"\n        {self.note}" if self.note else "")

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "system": self.system,
            "workload": self.workload,
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "runs": len(self.values),
            "values": self.values,
        }
        if self.cpu:
            told |= {"per": self.per, "cpu": dict(self.cpu)}
        if self.messages is not None:
            told["messages"] = list(self.messages)
        if self.target is not None:
            told["target"] = {"limit": self.target.limit, "at_least": self.target.at_least}
        if self.x is not None:
            told |= {"curve": self.curve, "x": self.x}
        if self.note:
            told["note"] = self.note
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Figure:
        """Return the figure that a program wrote. Errors: KeyError for what is none."""
        target, messages = told.get("target"), told.get("messages")
        return cls(
            workload=told["workload"],
            what=told.get("what", told["workload"]),
            unit=told["unit"],
            values=list(told.get("values") or [told["median"]]),
            system=told.get("system", PRODUCT),
            per=told.get("per", ""),
            cpu=told.get("cpu", {}),
            messages=None if messages is None else tuple(messages),
            target=None if target is None else Target(**target),
            curve=told.get("curve", ""),
            x=told.get("x"),
            note=told.get("note", ""),
        )


@dataclass
class Report:
    """Figures, and about what they were measured with."""

    about: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)

    def add(self, figures: Iterable[Figure]) -> None:
        """Print the figures as they come."""
        for figure in figures:
            self.figures.append(figure)
            print(figure, flush=True)

    def find(self, workload: str, what: str) -> Figure:
        """Return the figure whose name begins like this. Errors: KeyError."""
        for figure in self.figures:
            if figure.workload == workload and figure.what.startswith(what):
                return figure
        raise KeyError(f"{workload} {what}")

    def write(self, path: Path) -> None:
        told = {"about": self.about, "figures": [figure.as_json() for figure in self.figures]}
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Report:
        """Errors: ValueError, saying which file it is, for one that no program here wrote."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            return cls(told["about"], [Figure.from_json(one) for one in told["figures"]])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} has no figures: {error!r}") from error


def merged(reports: Iterable[Report]) -> Report:
    """Return one report of all: what was measured several times has the values of all runs."""
    about: dict[str, Any] = {}
    figures: dict[tuple[str, str, str, str], Figure] = {}
    # What is told of the machine is that of the product, where both tell.
    for report in sorted(reports, key=lambda one: all(figure.system != PRODUCT for figure in one.figures)):
        for key, told in report.about.items():  # what is told of each system is kept of all
            about[key] = about.get(key, {}) | told if isinstance(told, dict) else about.get(key, told)
        for one in report.figures:
            key_of_figure = (one.system, one.workload, one.what, one.unit)
            known = figures.get(key_of_figure)
            figures[key_of_figure] = one if known is None else replace(one, values=known.values + one.values)
    return Report(about, list(figures.values()))


def number(value: float) -> str:
    """Return a number with as many digits as a measurement is worth.

    >>> number(48712.3), number(412.6), number(4.902), number(0.0312)
    ('48,700', '413', '4.90', '0.031')
    """
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{round(value, -2):,.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"

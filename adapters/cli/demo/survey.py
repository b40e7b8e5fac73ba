"""The demo's workflow: how much code is in the standard library of this Python?

    SurveyLibrary ─┬─ SurveyPackage, one for each package ── SurveyModule, one for each of its modules
                   └─ SumUp, once all packages and everything below them are computed

`SurveyModule` is only declared here: it can be submitted, and is run by whoever has an implementation of it. `before`
and `after` are two of them, such as a program has before and after a bug is fixed.
"""

from __future__ import annotations

import ast
import json
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path

from jobledger import ExecutionContext, Task

LIBRARY = Path(sysconfig.get_path("stdlib"))
TOP_LEVEL = "(top level)"  # the package of those modules that are in none
#: folders of what is installed besides the library, and of tests and their data
LEFT_OUT = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test", "lib2to3"}
#: where in the job's cache the result is
TOTALS = "totals"


# -- the tasks ----------------------------------------------------------------------------------------------------


class SurveyLibrary(Task):
    """The root: submits a task for each package, and one that waits for all of them."""

    def execute(self, context: ExecutionContext) -> None:
        names = packages()
        surveys = context.submit_subtasks([SurveyPackage(name) for name in names])
        context.submit_subtask(SumUp(names), depends_on=surveys)


class SurveyPackage(Task):
    """Submits a task for each module of one package."""

    package: str

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = self.package
        context.submit_subtasks([SurveyModule(self.package, file) for file in files(self.package)])


class SurveyModule(Task):
    """Counts what is in one module, and stores the counts under its package in the job's cache."""

    package: str
    file: str  #: its path below the library

    def store(self, context: ExecutionContext, counts: Counts) -> None:
        """Hand the counts over to `SumUp`."""
        name = self.file.replace("/", ".")
        context.job_cache.group(self.package)[name] = json.dumps(asdict(counts)).encode()


class SumUp(Task):
    """Adds up what all `SurveyModule` tasks stored."""

    packages: list[str]

    def execute(self, context: ExecutionContext) -> None:
        totals = {}
        for package in self.packages:
            stored = context.job_cache.group(package).items()
            totals[package] = asdict(sum((Counts(**json.loads(value)) for _, value in stored), Counts()))
        context.job_cache[TOTALS] = json.dumps(totals).encode()


# -- what is counted ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """What is in one or several modules."""

    modules: int = 0
    lines: int = 0
    classes: int = 0
    functions: int = 0
    imports: int = 0  #: import statements
    unparsed: int = 0  #: modules that are no valid Python: only their lines are counted

    def __add__(self, other: Counts) -> Counts:
        mine, others = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + others[name] for name in mine})


def count(source: str) -> Counts:
    """Return what is in one module. Errors: SyntaxError, ValueError for a text that is no valid Python."""
    nodes = list(ast.walk(ast.parse(source)))

    def number_of(*kinds: type[ast.AST]) -> int:
        return sum(isinstance(node, kinds) for node in nodes)

    return Counts(
        modules=1,
        lines=source.count("\n"),
        classes=number_of(ast.ClassDef),
        functions=number_of(ast.FunctionDef, ast.AsyncFunctionDef),
        imports=number_of(ast.Import, ast.ImportFrom),
    )


# -- the library --------------------------------------------------------------------------------------------------


def packages() -> list[str]:
    """Return the folders of the library that have modules in them, and last the one of the modules in no folder."""
    folders = sorted({entry.name for entry in LIBRARY.iterdir() if entry.is_dir()} - LEFT_OUT)
    return [name for name in [*folders, TOP_LEVEL] if files(name)]


def files(package: str) -> list[str]:
    """Return the modules of a package, those of the packages inside it too: paths below the library, in order."""
    found = LIBRARY.glob("*.py") if package == TOP_LEVEL else (LIBRARY / package).rglob("*.py")
    paths = (path.relative_to(LIBRARY) for path in found)
    return sorted(path.as_posix() for path in paths if not LEFT_OUT.intersection(path.parts[:-1]))

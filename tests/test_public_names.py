"""Every public name is documented, its documentation shows how it is used, and what is shown there is true.

Public is what the modules that users import promise, and what the classes among it offer, by themselves or by bases of
ours. Examples of public names run with what a user has who wrote `from jobledger import …` and has a client; those of
other names run with what is in their module, too. Behind the client are a real server, an engine and a projector.
"""

from __future__ import annotations

import asyncio
import doctest
import inspect
import pkgutil
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

import jobledger
import jobledger.audit
import jobledger.cache
import jobledger.data
import jobledger.errors
import jobledger.eventstore
import jobledger.testing
from jobledger import Client, ExecutionContext, Task
from jobledger.adapters.embedded.feed_process import FeedSwitch
from jobledger.adapters.embedded.folder import DataFolder
from jobledger.adapters.nats.names import Names
from support.engines import EngineHarness
from support.feeds import FeedHarness, switched_by
from support.projectors import ProjectorHarness
from support.servers import NatsServer

PUBLIC = (
    jobledger,
    jobledger.audit,
    jobledger.data,
    jobledger.cache,
    jobledger.errors,
    jobledger.eventstore,
    jobledger.testing,
)

#: what public signatures mention of ours that users have no use for by name
NOT_FOR_USERS = {"UnknownEvent"}

METHODS = (property, classmethod, staticmethod)


# -- what is public -----------------------------------------------------------------------------------------------


def public_names() -> dict[str, Any]:
    """Return everything that is promised, by the shortest of the names it has."""
    return {name: getattr(module, name) for module in PUBLIC for name in module.__all__}


CLASSES: dict[str, type] = {name: found for name, found in public_names().items() if isinstance(found, type)}


def homes(cls: type) -> list[type]:
    """Return a class and its bases, as far as they are ours."""
    return [base for base in cls.__mro__ if base.__module__.startswith("jobledger.")]


def members(cls: type) -> dict[str, Any]:
    """Return the public members of a class as they are defined; None for a field that is only annotated."""
    found: dict[str, Any] = {}
    for base in reversed(homes(cls)):
        for name, value in (dict.fromkeys(inspect.get_annotations(base)) | dict(vars(base))).items():
            if not name.startswith("_"):
                found[name] = value
    return found


def has_own_docs(member: Any) -> bool:
    """Whether this is a method or a property, and not a field of a record."""
    return isinstance(member, METHODS) or inspect.isroutine(member)


def docs_of(cls: type, name: str) -> str:
    """Return the docstring of a member, which it may have from the class that it overrides."""
    docs = (vars(base)[name].__doc__ for base in homes(cls) if name in vars(base))
    return next(filter(None, docs), "")


def shown_in(docs: str | None) -> str:
    """Return the examples of a docstring, with what they print; those that are not run do not count."""
    examples = doctest.DocTestParser().get_examples(docs or "")
    run = [example for example in examples if not example.options.get(doctest.SKIP)]
    return "\n".join(text for example in run for text in (example.source, example.want))


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_and_all_it_offers_have_an_example(name: str) -> None:
    cls = CLASSES[name]
    of_class = shown_in(vars(cls).get("__doc__"))
    without = [] if of_class else [name]
    for member, value in members(cls).items():
        if has_own_docs(value):
            shown = bool(shown_in(docs_of(cls, member)))
        else:
            shown = re.search(rf"\b{member}\b", of_class) is not None
        if not shown:
            without.append(f"{name}.{member}")
    assert without == []


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_a_module_offers_what_it_promises_and_shows_some_of_it(module: ModuleType) -> None:
    offered = {name for name in dir(module) if name.isidentifier() and not name.startswith("__")}
    assert offered == set(module.__all__) - {"__version__"}
    shown = shown_in(module.__doc__)
    assert shown
    for name in module.__all__:
        found = getattr(module, name)
        assert found.__name__ == name if isinstance(found, type) else name in shown, name


def test_every_type_that_public_names_mention_is_public() -> None:
    ours = {
        name
        for module in modules()
        for name, found in vars(module).items()
        if isinstance(found, type) and found.__module__ == module.__name__
    }
    mentioned = {
        word: f"{name}.{member}"
        for name, cls in CLASSES.items()
        for member, annotation in annotated_with(cls)
        for word in re.findall(r"\w+", annotation)
    }
    private = ours - CLASSES.keys() - NOT_FOR_USERS
    assert {word: where for word, where in mentioned.items() if word in private} == {}


def annotated_with(cls: type) -> Iterator[tuple[str, str]]:
    """Yield what the fields, parameters and results of a class are annotated with, as text."""
    for base in homes(cls):
        for name, annotation in inspect.get_annotations(base).items():
            if not name.startswith("_"):
                yield name, str(annotation)
    for name, member in members(cls).items():
        if has_own_docs(member):
            function: Any = member.fget if isinstance(member, property) else getattr(cls, name)
            signature = inspect.signature(function)
            for parameter in signature.parameters.values():
                if parameter.name != "self":
                    yield name, str(parameter.annotation)
            yield name, str(signature.return_annotation)


# -- what is shown is true ----------------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(jobledger.__path__, "jobledger."):
        if not found.name.endswith("__main__"):
            yield import_module(found.name)


def documented() -> set[str]:
    """Return the docstrings of all public names."""
    docs = {module.__doc__ or "" for module in PUBLIC}
    for cls in CLASSES.values():
        docs.add(cls.__doc__ or "")
        docs.update(docs_of(cls, name) for name, member in members(cls).items() if has_own_docs(member))
    return docs


def examples() -> dict[str, doctest.DocTest]:
    """Return all examples there are, by the docstring that they are in: methods share those of their operations."""
    find = doctest.DocTestFinder().find
    found = [test for module in (jobledger, *modules()) for test in find(module, module.__name__, module)]
    return {test.docstring: test for test in reversed(found) if test.docstring and test.examples}


EXAMPLES = examples()
PUBLIC_DOCS = documented()


def test_all_public_examples_are_run() -> None:
    assert [docs for docs in PUBLIC_DOCS if shown_in(docs) and docs not in EXAMPLES] == []


class Checker(doctest.OutputChecker):
    """Takes the names of exceptions as users import them, without the modules in which they are."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, re.sub(r"^jobledger\.[\w.]*\.(?=\w+: )", "", got), optionflags)


class Greet(Task):
    name: str

    def execute(self, context: ExecutionContext) -> None:
        context.current_task.display = f"Hello, {self.name}"


@pytest.fixture(scope="module")
def client(nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The client of the examples. A `Client()` that they make themselves finds the same server."""
    view = f"sqlite:///{tmp_path_factory.mktemp('views')}/jobs.sqlite3"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBLEDGER_URL", nats_server.url)
        engine = EngineHarness(nats_server.url, Names()).wait_ready()
        projector = ProjectorHarness(nats_server.url, Names(), view).start()
        feed = FeedHarness(nats_server.url, Names()).start()
        folder = DataFolder.locate(tmp_path_factory.mktemp("folder"))
        with switched_by(nats_server.url, Names(), FeedSwitch(folder)), Client() as client:
            yield client
        feed.stop()
        projector.stop()
        engine.stop()


LIBRARIES = {"asyncio": asyncio, "threading": threading, "time": time, "Any": Any, "Path": Path}
TIMES = {"UTC": UTC, "datetime": datetime, "timedelta": timedelta, "UUID": UUID}
IMPORTED = public_names() | LIBRARIES | TIMES


@pytest.fixture
def given(client: Client) -> dict[str, Any]:
    """What examples take for granted: a client, and a job that was run."""
    job = client.jobs().submit("greetings", Greet("world"))
    client.runner(tasks=[Greet]).run_all()
    return {"__name__": "__main__", "Greet": Greet, "client": client, "job": job, "task": job.tasks[0]}


@pytest.mark.parametrize("test", EXAMPLES.values(), ids=lambda test: test.name)
def test_the_example_of(
    test: doctest.DocTest, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    test.globs = IMPORTED | ({} if test.docstring in PUBLIC_DOCS else test.globs) | given
    said: list[str] = []
    runner = doctest.DocTestRunner(Checker(), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=said.append).failed == 0, "".join(said)

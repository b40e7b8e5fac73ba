"""What docs/eventsourcing.md says is so, and its example runs: for people who want the persistence module alone."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from eventsourcing.application import Application, ProcessingEvent
from eventsourcing.cipher import AESCipher
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.system import MultiThreadedRunner, ProcessApplication, SingleThreadedRunner, System
from eventsourcing.utils import get_topic

import jobledger
import jobledger.eventstore
from jobledger.adapters.nats.eventstore import factory as settings
from jobledger.adapters.nats.names import Names
from support.recorders import Opened
from support.servers import NatsServer

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "eventsourcing.md").read_text()
EXAMPLE = ROOT / "examples" / "eventsourcing_repair_shop.py"


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_public_module_is_a_persistence_module() -> None:
    env = {"PERSISTENCE_MODULE": "jobledger.eventstore", "NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "s"}
    made = InfrastructureFactory.construct({**env, "MAPPER_TOPIC": "jobledger.eventstore:MsgspecMapper"})
    assert type(made) is jobledger.eventstore.JetStreamFactory
    assert type(made.mapper()) is jobledger.eventstore.MsgspecMapper


def test_what_is_missing_is_named_with_both_names_it_can_have() -> None:
    with pytest.raises(OSError, match="set DEPOT_NATS_URL or NATS_URL, for example to nats://"):
        type("Depot", (Application,), {})({"PERSISTENCE_MODULE": "jobledger.eventstore"})


def test_the_page_has_every_setting_and_its_default() -> None:
    rows = re.findall(r"^\| (`NATS_.*?) \|.*\| (.*?) \|$", section("Settings"), re.MULTILINE)
    told = {name: default for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    options = {f"NATS_{option.upper()}" for option in settings._ENDPOINT_OPTIONS}
    own = {
        value
        for name, value in vars(settings.JetStreamFactory).items()
        if name.startswith("NATS_") and isinstance(value, str)
    }
    assert told.keys() == options | own
    assert (told["NATS_REPLICAS"], told["NATS_TIMEOUT"]) == ("1", "5")
    factory = settings.JetStreamFactory({"NATS_URL": "nats://127.0.0.1", "NATS_STREAM": "s"})
    assert (factory._replicas, factory._timeout) == (1, 5)


def test_settings_of_one_application_win(opened: Opened, nats_server: NatsServer, names: Names) -> None:
    env = {
        "PERSISTENCE_MODULE": "jobledger.eventstore",
        "NATS_URL": "nats://127.0.0.1:1",
        "DEPOT_NATS_URL": nats_server.url,
        "DEPOT_NATS_STREAM": names.namespace,
        "COMPRESSOR_TOPIC": "zlib",
        "CIPHER_TOPIC": get_topic(AESCipher),
        "CIPHER_KEY": AESCipher.create_key(16),
    }
    with type("Depot", (Application,), {})(env) as depot:
        parcel = Aggregate()
        depot.save(parcel)
        assert depot.repository.get(parcel.id) == parcel
        assert depot.notification_log.select(1, 10)[0].id == 1


class Parcel(Aggregate):
    pass


class Label(Aggregate):
    @staticmethod
    def create_id(parcel_id: UUID) -> UUID:
        return uuid5(parcel_id, "label")

    def __init__(self, parcel_id: UUID) -> None:
        self.parcel_id = parcel_id


class Parcels(Application[UUID]):
    pass


class Labels(ProcessApplication[UUID]):
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:
        if isinstance(domain_event, Parcel.Created):
            processing_event.collect_events(Label(domain_event.originator_id))


@pytest.mark.parametrize("runner_class", [SingleThreadedRunner, MultiThreadedRunner])
def test_a_system_of_applications_runs(
    runner_class: type[Any], nats_server: NatsServer, names: Names
) -> None:
    env = {
        "PERSISTENCE_MODULE": "jobledger.eventstore",
        "NATS_URL": nats_server.url,
        "PARCELS_NATS_STREAM": f"{names.namespace}-parcels",
        "LABELS_NATS_STREAM": f"{names.namespace}-labels",
    }
    with runner_class(System(pipes=[[Parcels, Labels]]), env=env) as runner:
        parcel = Parcel()
        (recording,) = runner.get(Parcels).save(parcel)
        labels = runner.get(Labels)
        labels.recorder.wait("Parcels", recording.notification.id, timeout=10)
        assert labels.repository.get(Label.create_id(parcel.id)).parcel_id == parcel.id


def conformance_classes() -> dict[str, int]:
    """Return the library's test classes that are run here, each with how many tests it has."""
    tree = ast.parse((Path(__file__).parent / "test_conformance.py").read_text())
    homes = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("eventsourcing.tests")
        for alias in node.names
    }
    bases = {
        ast.unparse(base).partition("[")[0]
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
        for base in node.bases
    }
    classes = {
        name: getattr(importlib.import_module(str(homes[name])), name) for name in bases & homes.keys()
    }
    return {
        name: len([test for test, _ in inspect.getmembers(cls) if test.startswith("test")])
        for name, cls in classes.items()
    }


def test_the_page_lists_the_conformance_tests_that_are_run() -> None:
    rows = re.findall(r"^\| `(\w+Case)` \| (\d+) \|", section("Conformance"), re.MULTILINE)
    assert {name: int(number) for name, number in rows} == conformance_classes()


def test_the_program_on_the_page_runs(nats_server: NatsServer, names: Names, tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    program = tmp_path / "depot.py"
    program.write_text(found[1])
    assert run(program, nats_server, {"NATS_STREAM": names.namespace}) == ["Oslo"]


def test_the_example_runs_and_goes_on_where_it_was(
    nats_server: NatsServer, names: Names, tmp_path: Path
) -> None:
    streams = {
        f"{name}_NATS_STREAM": f"{names.namespace}-{name.lower()}" for name in ("SHOP", "OFFICE", "PARTS")
    }

    def printed() -> list[str]:
        return run(EXAMPLE, nats_server, streams, nats_server.url, str(tmp_path))

    assert printed() == [
        "The racer has 8 new parts and cost 68.",
        "After three parts the bill was 6.",
        "Snapshots at versions [5, 10].",
        "Two people changed the racer at once: the second one is told to look again.",
        "Parts fitted: {'bell': 1, 'saddle': 1, 'spoke': 7}.",
        "The receipt is for 68.",
    ]
    assert printed()[4:] == [
        "Parts fitted: {'bell': 2, 'saddle': 2, 'spoke': 14}.",
        "The receipt is for 68.",
    ]


def run(program: Path, server: NatsServer, more: dict[str, str], *arguments: str) -> list[str]:
    """Run a program as its reader would, and return the lines it printed."""
    settings = {"PERSISTENCE_MODULE": "jobledger.eventstore", "NATS_URL": server.url, **more}
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(jobledger.__path__[0]).parent), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()
